package suppression

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/mailstream/mailstream/services/internal/platform/kafka"
	"github.com/mailstream/mailstream/services/internal/platform/kafka/read"
	"github.com/mailstream/mailstream/services/internal/platform/lifecycle"
	"github.com/mailstream/mailstream/services/internal/platform/telemetry"
	"github.com/mailstream/mailstream/services/suppression/internal/ledger"
	"github.com/mailstream/mailstream/services/suppression/internal/store"
)

// fillRecordsMin is from how many records on an empty store is filled: fewer are read one
// batch after the other within a second or two.
const fillRecordsMin = 20_000

// fill gives an empty store what a snapshot or the topic has now, many times faster than
// the tail could. What keeps it from that is logged and no error: the tail then reads the
// whole topic.
func (s *Service) fill(ctx context.Context) error {
	if s.store.Len() > 0 || len(s.store.Applied()) > 0 {
		return nil
	}
	b, err := s.bounds(ctx)
	if err != nil {
		s.shared.Log.Warn("bounds of the topic could not be read, reading it record by record", telemetry.Topic(s.topic), telemetry.Err(err))
		return ctx.Err()
	}
	if s.cfg.Snapshot.URL != "" {
		if done, err := s.tryFill(ctx, "snapshot", func() (int64, error) { return s.fillFromSnapshot(ctx, b) }); done || err != nil {
			return err
		}
	}
	if b.records() < fillRecordsMin {
		return nil
	}
	_, err = s.tryFill(ctx, s.topic, func() (int64, error) { return s.fillFromTopic(ctx, b) })
	return err
}

// tryFill logs what became of a fill; done is false where another way has to be taken.
func (s *Service) tryFill(ctx context.Context, from string, fill func() (int64, error)) (done bool, err error) {
	began := time.Now()
	rows, err := fill()
	switch {
	case ctx.Err() != nil:
		return false, context.Cause(ctx)
	case errors.Is(err, ledger.ErrPepper), errors.Is(err, store.ErrDamaged):
		return false, err
	case err != nil:
		s.shared.Log.Warn("local store could not be filled in one go, reading the topic", telemetry.Name(from), telemetry.Err(err))
		return false, nil
	}
	s.shared.Log.Info("local store filled", telemetry.Name(from), telemetry.Rows(int(rows)), telemetry.Duration(time.Since(began)))
	return true, nil
}

// bounds are the first offset and the one behind the last, by partition.
type bounds struct{ starts, ends map[int32]int64 }

func (b bounds) records() (n int64) {
	for partition, start := range b.starts {
		n += b.ends[partition] - start
	}
	return n
}

func (s *Service) bounds(ctx context.Context) (b bounds, err error) {
	if b.ends, err = s.awaitEnds(ctx); err != nil {
		return b, err
	}
	starts, err := s.offsets.Starts(ctx, s.topic)
	if err != nil {
		return b, fmt.Errorf("read starts of %q: %w", s.topic, err)
	}
	b.starts = make(map[int32]int64, len(starts))
	for at, start := range starts {
		b.starts[at.Partition] = start
	}
	return b, nil
}

// filling is a fill on its way.
type filling struct {
	fill *store.Fill
	of   int64 // records of the topic, some of which are about the same address
}

// beginFill begins to fill the store with about as many states as the topic has records,
// for readiness to tell of until end is called.
func (s *Service) beginFill(of int64) (f *store.Fill, end func() error, err error) {
	if f, err = s.store.NewFill(); err != nil {
		return nil, nil, err
	}
	s.filling.Store(&filling{f, of})
	return f, func() error {
		s.filling.Store(nil)
		return f.Close()
	}, nil
}

// filled says how far a fill is, "" where there is none.
func (s *Service) filled() string {
	f := s.filling.Load()
	if f == nil {
		return ""
	}
	return fmt.Sprintf(": %d of at most %d records", f.fill.Len(), f.of)
}

func (s *Service) fillFromTopic(ctx context.Context, b bounds) (rows int64, err error) {
	reader := read.NewCommitted(s.shared.Kafka, s.shared.Log, s.shared.Registry)
	defer reader.Close()
	begin := make(map[kafka.TopicPartition]int64, len(b.starts))
	for partition, start := range b.starts {
		if start < b.ends[partition] {
			begin[kafka.TopicPartition{Topic: s.topic, Partition: partition}] = start
		}
	}
	if err := reader.Add(begin); err != nil {
		return 0, err
	}
	f, end, err := s.beginFill(b.records())
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, end()) }()
	next, err := s.ledger.Load(ctx, reader, b.starts, b.ends, f)
	if err != nil {
		return 0, err
	}
	return f.Len(), lifecycle.UnlessDone(ctx, f.Finish(ctx, next))
}
