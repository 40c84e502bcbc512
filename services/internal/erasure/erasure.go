// Package erasure is what the services know of the people who have to be forgotten:
// the topic of erasures, read whole and followed.
//
// It guarantees that a Ledger without a Fault knows every erasure that was
// acknowledged longer ago than StaleAfter, so that a writer which asks Fault before
// each write brings no erased person back. It deletes nothing itself: each service forgets in
// what it keeps.
package erasure

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kgo"
	"go.uber.org/zap"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/internal/platform/kafka"
	"github.com/mailstream/mailstream/services/internal/platform/kafka/offsets"
	"github.com/mailstream/mailstream/services/internal/platform/kafka/read"
	"github.com/mailstream/mailstream/services/internal/platform/telemetry"
)

// StaleAfter is how old what a ledger knows may be before Fault says so: a few
// looks at the ends of its topic.
const StaleAfter = 10 * time.Second

var (
	// errReading says that the topic has not been read to its end since the start.
	errReading = errors.New("the erasures are still being read: nothing is written until then")
	// errStale says that the brokers have not answered for a while.
	errStale = errors.New("the erasures may be out of date: nothing is written until Kafka answers")
	// errNotErasure says that a value is not a schemas.Erasure. What it is stays unsaid:
	// it may be anything.
	errNotErasure = errors.New("decode erasure: the value is not an erasure")
)

// Options change what a Ledger does with what it reads.
type Options struct {
	// Each, when not nil, is given the erasures of each batch after they are known. On
	// an error it gets the same batch once more.
	Each func(ctx context.Context, batch []schemas.Erasure) error
}

// Ledger knows who has to be forgotten. All of it is in memory, some 300 bytes a
// person. Run reads; the other methods are safe for concurrent use at any time.
type Ledger struct {
	opt  Options
	tail *read.Tail

	mu      sync.RWMutex
	people  map[string]schemas.Erasure // by hash, guarded by mu
	letters map[string]struct{}        // ids of dead letters, guarded by mu
	fault   error                      // of the latest batch, guarded by mu
}

// New returns a ledger that reads nothing before Run.
func New(cfg kafka.Config, opt Options, log *zap.Logger, reg prometheus.Registerer) (*Ledger, error) {
	tail, err := read.NewTail(cfg, read.TailConfig{Topic: schemas.ErasuresTopic(cfg.TopicPrefix)}, log, reg)
	if err != nil {
		return nil, fmt.Errorf("make ledger of erasures: %w", err)
	}
	return &Ledger{opt: opt, tail: tail, people: map[string]schemas.Erasure{}, letters: map[string]struct{}{}}, nil
}

// Run reads and follows the topic until ctx is done. A record that cannot be read
// stops the reading until the topic is mended, and Fault says where it is.
func (l *Ledger) Run(ctx context.Context) error { return l.tail.Run(ctx, l.apply) }

// readPatience is how long the brokers may take to hand out the erasures, some
// hundred bytes a person.
const readPatience = time.Minute

// lookEvery spaces the looks of Follow at what is wrong.
const lookEvery = 100 * time.Millisecond

// Follow returns a ledger that has read all there is and follows it until stop is
// called. It is for commands; a service has Run among its tasks. The error wraps
// kafka.ErrUnknownTopic where there is no topic.
func Follow(ctx context.Context, cfg kafka.Config, log *zap.Logger) (l *Ledger, stop func(), err error) {
	wait, done := context.WithTimeout(ctx, readPatience)
	defer done()
	if err := checkTopic(wait, cfg, log); err != nil {
		return nil, nil, err
	}
	l, err = New(cfg, Options{}, log, telemetry.NewRegistry())
	if err != nil {
		return nil, nil, err
	}
	run, cancel := context.WithCancel(context.WithoutCancel(ctx)) // until stop, whatever becomes of ctx
	ended := make(chan error, 1)
	go func() { ended <- l.Run(run) }()
	for {
		select {
		case <-l.CaughtUp():
			return l, func() { cancel(); <-ended }, nil
		case err = <-ended:
			cancel()
			return nil, nil, fmt.Errorf("read erasures: %w", err)
		case <-wait.Done():
			err = errors.Join(wait.Err(), l.Fault())
		case <-time.After(lookEvery):
			if err = l.Fault(); !errors.Is(err, errNotErasure) {
				continue
			}
			// no waiting cures that
		}
		cancel()
		<-ended
		return nil, nil, fmt.Errorf("read erasures: %w", err)
	}
}

// checkTopic fails where the topic is not there, for which a service waits and a command
// does not. What else may be wrong shows when it is read.
func checkTopic(ctx context.Context, cfg kafka.Config, log *zap.Logger) error {
	lister := offsets.NewLister(cfg, log, telemetry.NewRegistry())
	defer lister.Close()
	topic := schemas.ErasuresTopic(cfg.TopicPrefix)
	if _, err := lister.Starts(ctx, topic); errors.Is(err, kafka.ErrUnknownTopic) {
		return fmt.Errorf("read erasures of %q: %w", topic, err)
	}
	return nil
}

// CaughtUp is closed once all that the topic had is known.
func (l *Ledger) CaughtUp() <-chan struct{} { return l.tail.CaughtUp() }

// Fault says why a person may come back through what is written now, nil when
// nobody does.
func (l *Ledger) Fault() error {
	l.mu.RLock()
	fault := l.fault
	l.mu.RUnlock()
	if fault != nil {
		return fault
	}
	select {
	case <-l.tail.CaughtUp():
	default:
		return errReading
	}
	if l.tail.Lag() > StaleAfter {
		return errStale
	}
	return nil
}

// Of returns the erasure of the person with that hash.
func (l *Ledger) Of(hash string) (schemas.Erasure, bool) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	e, ok := l.people[hash]
	return e, ok
}

// Covers reports whether an event of that person, which happened and was received
// at the given Unix milliseconds, has to be forgotten. It allocates nothing.
func (l *Ledger) Covers(hash []byte, at, received int64) bool {
	l.mu.RLock()
	defer l.mu.RUnlock()
	e, ok := l.people[string(hash)]
	return ok && min(at, received) <= e.ErasedAt.UnixMilli()
}

// HasLetter reports whether the dead letter of that id has to be forgotten.
func (l *Ledger) HasLetter(id string) bool {
	l.mu.RLock()
	defer l.mu.RUnlock()
	_, ok := l.letters[id]
	return ok
}

// All returns the erasures, in the order of their hashes.
func (l *Ledger) All() []schemas.Erasure {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return slices.SortedFunc(maps.Values(l.people), func(a, b schemas.Erasure) int { return strings.Compare(a.Hash, b.Hash) })
}

func (l *Ledger) apply(ctx context.Context, recs []*kgo.Record) error {
	changes, err := decode(recs)
	if err == nil {
		batch := l.note(changes)
		if l.opt.Each != nil {
			err = l.opt.Each(ctx, batch)
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.fault = err
	return err
}

// note takes changes in, in order, and returns the erasures among them.
func (l *Ledger) note(changes []change) []schemas.Erasure {
	l.mu.Lock()
	defer l.mu.Unlock()
	batch := make([]schemas.Erasure, 0, len(changes))
	for _, c := range changes {
		if c.deleted {
			delete(l.people, c.hash)
			continue
		}
		l.people[c.hash] = c.erasure
		for _, id := range c.erasure.DeadLetters {
			l.letters[id] = struct{}{}
		}
		batch = append(batch, c.erasure)
	}
	return batch
}

// change is one record. A deleted erasure lets its person come back.
type change struct {
	hash    string
	deleted bool
	erasure schemas.Erasure
}

func decode(recs []*kgo.Record) ([]change, error) {
	changes := make([]change, 0, len(recs))
	for _, r := range recs {
		c := change{hash: string(r.Key), deleted: r.Value == nil}
		if !c.deleted && (json.Unmarshal(r.Value, &c.erasure) != nil || c.hash == "" || c.erasure.Hash != c.hash || c.erasure.ErasedAt.IsZero()) {
			return nil, fmt.Errorf("read record %d of partition %d of %q: %w", r.Offset, r.Partition, r.Topic, errNotErasure)
		}
		changes = append(changes, c)
	}
	return changes, nil
}

// Record returns the record of e for topic.
func Record(topic string, e schemas.Erasure) (*kgo.Record, error) {
	value, err := json.Marshal(e)
	if err != nil {
		return nil, fmt.Errorf("encode erasure: %w", err)
	}
	return &kgo.Record{
		Topic: topic, Key: []byte(e.Hash), Value: value,
		Headers: []kgo.RecordHeader{{Key: schemas.HeaderContentType, Value: []byte(schemas.ContentTypeJSON)}},
	}, nil
}
