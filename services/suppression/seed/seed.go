// Package seed fills the local store of a suppression replica with made-up
// addresses, without Kafka, so that a benchmark can measure checks against a
// long list in seconds instead of publishing it first. A replica that starts on
// a seeded store answers from it like from any other. It is for benchmarks: what
// it writes is in no topic and is gone when the store is emptied.
package seed

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/internal/address"
	"github.com/mailstream/mailstream/services/internal/platform/config"
	"github.com/mailstream/mailstream/services/suppression/internal/list"
	"github.com/mailstream/mailstream/services/suppression/internal/store"
)

// batchEntries is how many addresses are written at a time.
const batchEntries = 20_000

// Options say what to write where.
type Options struct {
	// StateDir is the service's own state folder.
	StateDir string
	// TopicID is the id of the suppressions topic the replica will follow, as the
	// brokers print it.
	TopicID string
	// Pepper is the replica's privacy.pepper.
	Pepper string
	// Entries is how many addresses to write.
	Entries int
	// Address returns the i-th address, canonical.
	Address func(i int) string
	// Progress, when not nil, is called from time to time with the number written.
	Progress func(entries int)
}

// Fill writes the addresses, each hard-bounced, and returns once they are on disk, as a
// replica has them that has just read the topic.
func Fill(ctx context.Context, opt Options) (err error) {
	m, err := NewMaker(opt)
	if err != nil {
		return err
	}
	s, err := store.Open(ctx, store.Options{Dir: opt.StateDir, Topic: opt.TopicID, Log: zap.NewNop()})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	f, err := s.NewFill()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	updates := make([]store.Update, 0, batchEntries)
	for i := 0; i < opt.Entries; i++ {
		state := m.State(i)
		key, err := store.ParseKey(state.Hash)
		if err != nil {
			return err
		}
		updates = append(updates, store.Update{Key: key, State: state})
		if len(updates) < batchEntries && i+1 < opt.Entries {
			continue
		}
		if err := errors.Join(ctx.Err(), f.Add(updates)); err != nil {
			return fmt.Errorf("write seed %d: %w", i, err)
		}
		updates = updates[:0]
		if opt.Progress != nil {
			opt.Progress(i + 1)
		}
	}
	return f.Finish(ctx, nil)
}

// Maker makes the states of Options. It is safe for concurrent use.
type Maker struct {
	opt    Options
	hasher *address.Hasher
	since  time.Time
}

// NewMaker returns a maker of the states that opt describes.
func NewMaker(opt Options) (*Maker, error) {
	hasher, err := address.NewHasher(config.Literal(opt.Pepper))
	if err != nil {
		return nil, err
	}
	return &Maker{opt, hasher, list.Stamp(time.Now().Add(-24 * time.Hour))}, nil
}

// State returns the state of the i-th address: hard-bounced.
func (m *Maker) State(i int) schemas.Suppression {
	canonical := m.opt.Address(i)
	return schemas.Suppression{
		Hash: m.hasher.Hash(canonical), Address: canonical, UpdatedAt: m.since,
		Entries: []schemas.SuppressionEntry{{
			Scope: schemas.ScopeAccount, Reason: schemas.SuppressHardBounce, AddedAt: m.since, Since: m.since,
			Evidence: fmt.Sprintf("019b%04x-%04x-8000-8000-%012x", i>>16&0xffff, i&0xffff, i),
			Provider: "mailjet", Source: "acme-mailjet",
		}},
	}
}
