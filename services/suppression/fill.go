package suppression

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/mailstream/mailstream/services/internal/platform/fate"
	"github.com/mailstream/mailstream/services/internal/platform/kafka"
	"github.com/mailstream/mailstream/services/internal/platform/kafka/read"
	"github.com/mailstream/mailstream/services/internal/platform/lifecycle"
	"github.com/mailstream/mailstream/services/internal/platform/telemetry"
)

// fillRecordsMin is from how many records on an empty store is filled: fewer are read one
// batch after the other within a second or two.
const fillRecordsMin = 20_000

// fill gives an empty store what the topic has now, many times faster than the tail could.
// What keeps it from that is logged and no error: the tail then reads the whole topic.
func (s *Service) fill(ctx context.Context) error {
	if s.store.Len() > 0 || len(s.store.Applied()) > 0 {
		return nil
	}
	began := time.Now()
	rows, err := s.fillFromTopic(ctx)
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case fate.Final(err):
		return err
	case err != nil:
		s.shared.Log.Warn("local store could not be filled at once, reading the topic record by record", telemetry.Topic(s.topic), telemetry.Err(err))
	case rows > 0:
		s.shared.Log.Info("local store filled", telemetry.Topic(s.topic), telemetry.Rows(int(rows)), telemetry.Duration(time.Since(began)))
	}
	return nil
}

func (s *Service) fillFromTopic(ctx context.Context) (rows int64, err error) {
	reader := read.NewCommitted(s.shared.Kafka, s.shared.Log, s.shared.Registry)
	defer reader.Close()
	ends, err := s.awaitEnds(ctx)
	if err != nil {
		return 0, err
	}
	starts, err := reader.Starts(ctx, s.topic)
	if err != nil {
		return 0, fmt.Errorf("read starts of %q: %w", s.topic, err)
	}
	from, records := map[int32]int64{}, int64(0)
	for at, start := range starts {
		from[at.Partition] = start
		records += ends[at.Partition] - start
	}
	if records < fillRecordsMin {
		return 0, nil
	}
	begin := make(map[kafka.TopicPartition]int64, len(from))
	for partition, start := range from {
		if start < ends[partition] {
			begin[kafka.TopicPartition{Topic: s.topic, Partition: partition}] = start
		}
	}
	if err := reader.Add(begin); err != nil {
		return 0, err
	}
	f, err := s.store.NewFill()
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	next, err := s.ledger.Load(ctx, reader, from, ends, f)
	if err != nil {
		return 0, err
	}
	return f.Len(), lifecycle.UnlessDone(ctx, f.Finish(ctx, next))
}
