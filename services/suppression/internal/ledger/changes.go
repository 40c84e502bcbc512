package ledger

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/mailstream/mailstream/services/internal/platform/kafka"
	"github.com/mailstream/mailstream/services/internal/platform/kafka/read"
	"github.com/mailstream/mailstream/services/suppression/internal/store"
)

const (
	// changesWait bounds the wait for the next records: more than a new leader takes.
	changesWait = 20 * time.Second
	// changesBatchMax bounds the keys that are handed over at once.
	changesBatchMax = 1000
)

// errSilent says that Kafka has sent nothing for changesWait.
var errSilent = errors.New("no record came in time")

// Changes reads from the topic which keys have changed. It stores nothing: it
// costs nothing until it is called.
type Changes struct {
	Kafka    kafka.Config
	Topic    string
	Registry prometheus.Registerer
	Log      *zap.Logger
}

// Between calls yield with the keys of the records in [from, to), by partition; one that
// from does not name is read from its first record. A key may come several times.
func (c Changes) Between(ctx context.Context, from, to map[int32]int64, yield func([]store.Key) error) error {
	r := read.NewReader(c.Kafka, c.Log, c.Registry)
	defer r.Close()
	starts, err := r.Starts(ctx, c.Topic)
	if err != nil {
		return fmt.Errorf("read starts of %q: %w", c.Topic, err)
	}
	begin := map[kafka.TopicPartition]int64{}
	for partition, end := range to {
		at := kafka.TopicPartition{Topic: c.Topic, Partition: partition}
		if next := max(from[partition], starts[at]); next < end {
			begin[at] = next
		}
	}
	if err := r.Add(begin); err != nil {
		return err
	}
	for len(begin) > 0 {
		recs, err := r.PollUntil(ctx, time.Now().Add(changesWait), changesBatchMax)
		switch {
		case err != nil:
			return err
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case len(recs) == 0:
			return fmt.Errorf("read %q: %w", c.Topic, errSilent)
		}
		keys := make([]store.Key, 0, len(recs))
		for _, rec := range recs {
			at := kafka.TopicPartition{Topic: rec.Topic, Partition: rec.Partition}
			if rec.Offset >= to[rec.Partition]-1 {
				delete(begin, at)
			}
			if rec.Offset >= to[rec.Partition] || rec.Attrs.IsControl() {
				continue
			}
			if key, err := store.ParseKey(string(rec.Key)); err == nil { // the tail counts what is not a key
				keys = append(keys, key)
			}
		}
		slices.SortFunc(keys, store.Key.Compare)
		if err := yield(slices.Compact(keys)); err != nil {
			return err
		}
	}
	return nil
}
