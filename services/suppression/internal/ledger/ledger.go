// Package ledger is the one way a state changes: read, merge, publish with
// acks=all, then apply here. It also applies what other replicas published, and
// repairs what two of them overwrote.
//
// It guarantees that a change it reported as made is on Kafka and answered from
// this replica's store, that a change which alters nothing is not published, and
// that no replica's change is lost permanently: the topic keeps every version of
// a record for min.compaction.lag.ms (24 h), and every replica that reads them
// notices a record that lacks what an earlier one had. It does not judge
// changes: package list does.
package ledger

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"go.uber.org/zap"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/internal/platform/telemetry"
	"github.com/mailstream/mailstream/services/suppression/internal/list"
	"github.com/mailstream/mailstream/services/suppression/internal/store"
)

// stripes is how many locks the addresses share. A batch holds those it needs
// for one round trip to Kafka; with 1024, two single writes seldom meet.
const stripes = 1024

// Store keeps the states of this replica: package store.
type Store interface {
	// Get returns the state of k; ok is false when nothing is known.
	Get(k store.Key) (state schemas.Suppression, ok bool, err error)
	// Merge makes all of b or nothing of it.
	Merge(b store.Batch) error
	// Behind returns up to limit keys of which the topic knows less than the store.
	Behind(limit int) []store.Key
}

// Publisher makes records durable: when Publish returns nil, all in-sync
// replicas have them. Kept by produce.Producer.
type Publisher interface {
	Publish(ctx context.Context, recs ...*kgo.Record) error
}

// Options say what a ledger is about.
type Options struct {
	Topic      string
	Partitions int32
	// Applied are the offsets to read next when Store was opened.
	Applied   map[int32]int64
	Store     Store
	Publisher Publisher
	// Settle is applied to each state that is changed; nil leaves it.
	Settle store.Settle
	// Hash gives the recipient hash of a canonical address.
	Hash func(canonical string) string
	// Former gives the hash that a mailbox with two domains had before, "" for
	// most; nil for none.
	Former  func(canonical string) string
	Metrics *Metrics
	Log     *zap.Logger
}

// Ledger changes states. It is safe for concurrent use.
type Ledger struct {
	opt   Options
	locks [stripes]chan struct{} // each holds one token while it is free

	mu    sync.Mutex
	known map[int32]int64 // the last offset written or followed, by partition; guarded by mu

	pepper pepperCheck // of Follow alone
}

// New returns a ledger over opt.
func New(opt Options) *Ledger {
	opt.Log = telemetry.Throttled(opt.Log) // lines about records and attempts
	l := &Ledger{opt: opt, known: map[int32]int64{}}
	l.Begin(opt.Applied)
	for i := range l.locks {
		l.locks[i] = make(chan struct{}, 1)
		l.locks[i] <- struct{}{}
	}
	return l
}

// Begin says that the store has been filled up to the offsets in applied.
func (l *Ledger) Begin(applied map[int32]int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for partition, next := range applied {
		l.known[partition] = next - 1
	}
}

// Edit is one change of one address.
type Edit struct {
	Key store.Key
	// Address is canonical; empty when it is not known.
	Address string
	// Apply returns the state after the change. It must only grow cur, by
	// list.Merge, and may be called more than once.
	Apply func(cur schemas.Suppression) schemas.Suppression
}

// Result says what became of one Edit.
type Result struct {
	// Changed is false when the state had all of it already.
	Changed bool
	// At is a record from which on the change is in the topic.
	At Position
}

// Write makes edits, in order, and returns once they are durable and answered
// from the store: all of them or, with an error, perhaps some. A repeat is safe.
// No other goroutine of this process changes the same addresses meanwhile.
func (l *Ledger) Write(ctx context.Context, edits []Edit) ([]Result, error) {
	unlock, err := l.lock(ctx, edits)
	if err != nil {
		return nil, fmt.Errorf("wait for other writers: %w", err)
	}
	defer unlock()
	results := make([]Result, len(edits))
	dirty, err := l.plan(edits, results)
	if err != nil {
		return nil, err
	}
	recs, err := l.publish(ctx, dirty)
	if err != nil {
		return nil, err
	}
	at := make(map[store.Key]Position, len(recs))
	for i, r := range recs {
		at[dirty[i].Key] = Position{r.Partition, r.Offset}
	}
	for i, e := range edits {
		pos, ok := at[e.Key]
		if !ok {
			pos = l.present(e.Key)
		}
		results[i].At = pos
	}
	return results, nil
}

// plan works out the states after edits and returns those that are new.
func (l *Ledger) plan(edits []Edit, results []Result) ([]store.Update, error) {
	now := list.Stamp(time.Now())
	index := make(map[store.Key]int, len(edits))
	var planned []store.Update
	for i, e := range edits {
		at, seen := index[e.Key]
		if !seen {
			state, _, err := l.opt.Store.Get(e.Key)
			if err != nil {
				return nil, err
			}
			state.Hash = e.Key.String()
			at = len(planned)
			index[e.Key] = at
			planned = append(planned, store.Update{Key: e.Key, State: state})
		}
		cur := planned[at].State
		next := e.Apply(cur)
		if l.opt.Settle != nil {
			next = l.opt.Settle(next)
		}
		if list.Same(cur, next) {
			continue
		}
		next.Address = max(next.Address, e.Address)
		next.UpdatedAt = now
		planned[at].State = next
		results[i].Changed = true
	}
	changed := map[store.Key]bool{}
	for i, e := range edits {
		changed[e.Key] = changed[e.Key] || results[i].Changed
	}
	return slices.DeleteFunc(planned, func(u store.Update) bool { return !changed[u.Key] }), nil
}

// publish makes updates durable and then visible here. The records come back
// in the order of updates.
func (l *Ledger) publish(ctx context.Context, updates []store.Update) ([]*kgo.Record, error) {
	if len(updates) == 0 {
		return nil, nil
	}
	recs := make([]*kgo.Record, len(updates))
	for i, u := range updates {
		rec, err := encode(l.opt.Topic, u.State)
		if err != nil {
			return nil, err
		}
		recs[i] = rec
	}
	if err := l.opt.Publisher.Publish(ctx, recs...); err != nil {
		return nil, fmt.Errorf("publish %d suppressions: %w", len(recs), err)
	}
	l.reach(recs)
	if err := l.opt.Store.Merge(store.Batch{Updates: updates}); err != nil {
		return nil, fmt.Errorf("apply %d suppressions: %w", len(recs), err)
	}
	return recs, nil
}

// reach remembers how far the records go that this replica knows.
func (l *Ledger) reach(recs []*kgo.Record) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, r := range recs {
		if last, ok := l.known[r.Partition]; !ok || r.Offset > last {
			l.known[r.Partition] = r.Offset
		}
	}
}

// present returns a position that has all this replica knows of k.
func (l *Ledger) present(k store.Key) Position {
	partition := l.PartitionOf(k)
	l.mu.Lock()
	defer l.mu.Unlock()
	last, ok := l.known[partition]
	if !ok {
		last = -1
	}
	return Position{Partition: partition, Offset: last}
}

// lock takes the locks of edits, in one order for everybody.
func (l *Ledger) lock(ctx context.Context, edits []Edit) (unlock func(), err error) {
	need := make([]int, 0, len(edits))
	for _, e := range edits {
		need = append(need, (int(e.Key[0])<<8|int(e.Key[1]))%stripes)
	}
	slices.Sort(need)
	need = slices.Compact(need)
	held := 0
	unlock = func() {
		for _, i := range need[:held] {
			l.locks[i] <- struct{}{}
		}
	}
	for _, i := range need {
		select {
		case <-l.locks[i]:
			held++
		case <-ctx.Done():
			unlock()
			return nil, context.Cause(ctx)
		}
	}
	return unlock, nil
}
