package ledger

import (
	"context"
	"errors"
	"fmt"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/internal/platform/fate"
	"github.com/mailstream/mailstream/services/internal/platform/telemetry"
	"github.com/mailstream/mailstream/services/suppression/internal/store"
)

// Follow applies records of the topic, those of one partition in order, and the
// positions after them. A record that this code cannot have written is skipped
// and counted.
func (l *Ledger) Follow(_ context.Context, recs []*kgo.Record) error {
	batch := store.Batch{Updates: make([]store.Update, 0, len(recs)), Applied: map[int32]int64{}}
	var fault error
	for _, r := range recs {
		batch.Applied[r.Partition] = r.Offset + 1
		u, err := decode(r)
		if err != nil {
			l.opt.Metrics.unreadable.Inc()
			fault = fmt.Errorf("read record %d of partition %d: %w", r.Offset, r.Partition, err)
			continue
		}
		batch.Updates = append(batch.Updates, u)
	}
	if fault != nil { // the last of the batch speaks for all: the counter has the number
		l.opt.Log.Error("record of the topic was passed over", telemetry.Topic(l.opt.Topic), telemetry.Err(fault))
	}
	if err := l.checkPepper(batch.Updates); err != nil {
		return err
	}
	if err := l.opt.Store.Merge(batch); err != nil {
		return fmt.Errorf("apply %d followed records: %w", len(recs), err)
	}
	l.reach(recs)
	l.opt.Metrics.followed.Add(float64(len(recs)))
	return nil
}

// ErrPepper says that the addresses in the topic do not have the hashes we give
// them. Every check would find nothing. Fate: halt.
var ErrPepper = errors.New("recipient hashes in the topic were made with another pepper")

// pepperStrikes is how many addresses in a row must disagree, with none that
// agrees, before it is the pepper and not one odd record.
const pepperStrikes = 8

// pepperCheck is what is known of whether the topic has our pepper.
type pepperCheck struct {
	agreed  bool
	strikes int
}

// pepperStatesMax bounds the states that CheckPepper looks at.
const pepperStatesMax = 1000

// CheckPepper compares some of the states that a store has from before with the hashes we
// give: the topic may have no record that Follow would compare. Follow must not run.
func (l *Ledger) CheckPepper(ctx context.Context, scan func(context.Context, store.Key, func(store.Key, schemas.Suppression) bool) error) error {
	var some []store.Update
	err := scan(ctx, store.Key{}, func(k store.Key, s schemas.Suppression) bool {
		some = append(some, store.Update{Key: k, State: s})
		return len(some) < pepperStatesMax
	})
	if err != nil {
		return fmt.Errorf("compare hashes: %w", err)
	}
	return l.checkPepper(some)
}

// checkPepper compares a few addresses with their hashes.
func (l *Ledger) checkPepper(updates []store.Update) error {
	for _, u := range updates {
		if l.pepper.agreed {
			return nil
		}
		if u.State.Address == "" {
			continue
		}
		if l.opt.Hash(u.State.Address) == u.State.Hash || l.opt.Former != nil && l.opt.Former(u.State.Address) == u.State.Hash {
			l.pepper.agreed = true
			return nil
		}
		if l.pepper.strikes++; l.pepper.strikes >= pepperStrikes {
			return fate.Wrap(fate.Halt, ErrPepper)
		}
	}
	return nil
}
