package deadletters

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kgo"
	"go.uber.org/zap"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/internal/platform/kafka"
	"github.com/mailstream/mailstream/services/internal/platform/kafka/read"
	"github.com/mailstream/mailstream/services/internal/platform/telemetry"
)

const (
	// beat is how often a running operation is written at least.
	beat = 10 * time.Second
	// cutAfter is how long a running operation may be unwritten before it counts as cut.
	cutAfter = 6 * beat
	// keepEnded is how long an operation is listed after its end; the audit has it longer.
	keepEnded = 90 * 24 * time.Hour
	// operationsMax bounds those in memory, about a kilobyte each. Beyond it the oldest
	// are not listed.
	operationsMax = 10_000
)

// Book knows the operations of all processes: their topic, read whole and followed. Run
// reads; the other methods are safe for concurrent use at any time.
type Book struct {
	topic string
	tail  *read.Tail
	to    Publisher
	log   *zap.Logger

	mu      sync.Mutex
	known   map[string]schemas.Operation // guarded by mu
	changed chan struct{}                // closed with the next change, guarded by mu
}

// NewBook returns a book that reads nothing before Run.
func NewBook(cfg kafka.Config, to Publisher, log *zap.Logger, reg prometheus.Registerer) (*Book, error) {
	topic := schemas.OperationsTopic(cfg.TopicPrefix)
	tail, err := read.NewTail(cfg, read.TailConfig{Topic: topic}, log, reg)
	if err != nil {
		return nil, fmt.Errorf("make book of operations: %w", err)
	}
	return &Book{topic: topic, tail: tail, to: to, log: telemetry.Throttled(log), known: map[string]schemas.Operation{}, changed: make(chan struct{})}, nil
}

// Run reads and follows the topic until ctx is done.
func (b *Book) Run(ctx context.Context) error {
	return b.tail.Run(ctx, func(_ context.Context, recs []*kgo.Record) error {
		if n := b.apply(recs); n > 0 {
			b.log.Error("records are not operations and were skipped", telemetry.Topic(b.topic), telemetry.Rows(n))
		}
		return nil
	})
}

// CaughtUp is closed once all that the topic had is known.
func (b *Book) CaughtUp() <-chan struct{} { return b.tail.CaughtUp() }

// apply takes records in and returns how many are not operations.
func (b *Book) apply(recs []*kgo.Record) (bad int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, rec := range recs {
		id := string(rec.Key)
		if rec.Value == nil {
			delete(b.known, id)
			continue
		}
		var op schemas.Operation
		if json.Unmarshal(rec.Value, &op) != nil || op.ID == "" || op.ID != id || op.StartedAt.IsZero() {
			bad++
			continue
		}
		if was, ok := b.known[id]; ok {
			op = merge(was, op)
		}
		b.known[id] = op
	}
	for len(b.known) > operationsMax {
		oldest := slices.MinFunc(slices.Collect(maps.Values(b.known)), inTime)
		delete(b.known, oldest.ID)
	}
	close(b.changed)
	b.changed = make(chan struct{})
	return bad
}

// merge returns what is known of an operation after its next record. Whoever asks to
// stop it may have an older state of its progress than who does it.
func merge(was, next schemas.Operation) schemas.Operation {
	stop := cmp.Or(was.StopBy, next.StopBy)
	if was.State != schemas.OperationRunning || next.State == schemas.OperationRunning && next.UpdatedAt.Before(was.UpdatedAt) {
		next = was
	}
	next.StopBy = stop
	return next
}

func inTime(a, b schemas.Operation) int {
	return cmp.Or(a.StartedAt.Compare(b.StartedAt), cmp.Compare(a.ID, b.ID))
}

// seen returns op as it is at now: one that is no longer written was cut.
func seen(op schemas.Operation, now time.Time) schemas.Operation {
	if op.State == schemas.OperationRunning && now.Sub(op.UpdatedAt) > cutAfter {
		op.State = schemas.OperationCut
	}
	return op
}

// Get returns the operation of that id.
func (b *Book) Get(id string) (schemas.Operation, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	op, ok := b.known[id]
	return seen(op, time.Now()), ok
}

// List returns at most limit operations, the latest first.
func (b *Book) List(limit int) []schemas.Operation {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	list := []schemas.Operation{}
	for _, op := range b.known {
		list = append(list, seen(op, now))
	}
	slices.SortFunc(list, func(a, c schemas.Operation) int { return inTime(c, a) })
	return list[:min(len(list), limit)]
}

// running returns the operation that runs, the one that began first.
func (b *Book) running() (schemas.Operation, bool) {
	list := slices.DeleteFunc(b.List(operationsMax), func(op schemas.Operation) bool { return op.State != schemas.OperationRunning })
	if len(list) == 0 {
		return schemas.Operation{}, false
	}
	return list[len(list)-1], true
}

// await returns once the operation of that id is as ok wants it.
func (b *Book) await(ctx context.Context, id string, ok func(op schemas.Operation, known bool) bool) error {
	for {
		b.mu.Lock()
		op, known := b.known[id]
		changed := b.changed
		b.mu.Unlock()
		if ok(op, known) {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// errNotWritten says that the topic of operations did not take a record.
var errNotWritten = errors.New("kafka does not take records of operations")

// write keeps op for good before it returns.
func (b *Book) write(ctx context.Context, op schemas.Operation) error {
	value, err := json.Marshal(op)
	if err != nil {
		return fmt.Errorf("encode operation: %w", err)
	}
	rec := &kgo.Record{
		Topic: b.topic, Key: []byte(op.ID), Value: value,
		Headers: []kgo.RecordHeader{{Key: schemas.HeaderContentType, Value: []byte(schemas.ContentTypeJSON)}},
	}
	if err := b.to.Publish(ctx, rec); err != nil {
		return fmt.Errorf("write operation %s: %w: %w", op.ID, errNotWritten, err)
	}
	return nil
}

// forgetOld deletes what ended long ago from the topic. What fails is tried with the
// next operation.
func (b *Book) forgetOld(ctx context.Context) {
	var old []*kgo.Record
	for _, op := range b.List(operationsMax) {
		if op.State != schemas.OperationRunning && time.Since(op.UpdatedAt) > keepEnded {
			old = append(old, &kgo.Record{Topic: b.topic, Key: []byte(op.ID)})
		}
	}
	if len(old) == 0 {
		return
	}
	if err := b.to.Publish(ctx, old...); err != nil {
		b.log.Warn("old operations are listed for longer", telemetry.Err(err))
	}
}
