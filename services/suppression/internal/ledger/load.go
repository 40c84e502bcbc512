package ledger

import (
	"context"
	"fmt"
	"runtime"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"golang.org/x/sync/errgroup"

	"github.com/mailstream/mailstream/services/internal/platform/kafka"
	"github.com/mailstream/mailstream/services/internal/platform/telemetry"
	"github.com/mailstream/mailstream/services/suppression/internal/store"
)

const (
	// loadBatchMax is how many records are decoded at once, on all processors.
	loadBatchMax = 40_000
	// loadWait is how long Load waits for the next record before it leaves the rest to
	// Follow: compaction may have taken the last ones.
	loadWait = 10 * time.Second
	// loadSaysEvery is how often progress is logged.
	loadSaysEvery = 10 * time.Second
)

// Source reads partitions from where it was made to: read.Reader.
type Source interface {
	PollUntil(ctx context.Context, until time.Time, most int) ([]*kgo.Record, error)
}

// Filling takes updates, those of one key in their order: store.Fill.
type Filling interface {
	Add(updates []store.Update) error
}

// Load hands the records before ends to into, as Follow would apply them, and returns the
// offsets to read next. It stops early when no record comes, which is not an error: Follow
// reads on. from are the offsets that source reads from.
func (l *Ledger) Load(ctx context.Context, source Source, from, ends map[int32]int64, into Filling) (map[int32]int64, error) {
	next, left, total := map[int32]int64{}, map[int32]bool{}, 0
	for p, offset := range from {
		next[p] = offset
		if offset < ends[p] {
			left[p] = true
		}
	}
	began := time.Now()
	for said := began; len(left) > 0; {
		recs, err := source.PollUntil(ctx, time.Now().Add(loadWait), loadBatchMax)
		switch {
		case err != nil:
			return nil, err
		case ctx.Err() != nil:
			return nil, context.Cause(ctx)
		case len(recs) == 0:
			l.opt.Log.Warn("topic has fewer records than its ends say", telemetry.Topic(l.opt.Topic), telemetry.Rows(total))
			return next, nil
		}
		if err := l.hand(recs, into); err != nil {
			return nil, err
		}
		for _, r := range recs {
			if next[r.Partition] = r.Offset + 1; next[r.Partition] >= ends[r.Partition] {
				delete(left, r.Partition)
			}
		}
		if total += len(recs); time.Since(said) >= loadSaysEvery {
			said = time.Now()
			l.opt.Log.Info("list is being read", telemetry.Topic(l.opt.Topic), telemetry.Rows(total), telemetry.Duration(time.Since(began)))
		}
	}
	return next, nil
}

// hand decodes records on all processors, a partition on one of them.
func (l *Ledger) hand(recs []*kgo.Record, into Filling) error {
	workers := runtime.GOMAXPROCS(0)
	decoded := make([][]store.Update, workers)
	var g errgroup.Group
	for w := range workers {
		g.Go(func() error {
			updates := make([]store.Update, 0, len(recs)/workers)
			for _, r := range recs {
				if int(r.Partition)%workers != w || r.Attrs.IsControl() {
					continue
				}
				u, err := decode(r)
				if err != nil {
					l.passOver(r, err)
					continue
				}
				updates = append(updates, u)
			}
			decoded[w] = updates
			return into.Add(updates)
		})
	}
	if err := g.Wait(); err != nil {
		return fmt.Errorf("load %d records: %w", len(recs), err)
	}
	for _, updates := range decoded {
		if err := l.checkPepper(updates); err != nil {
			return err
		}
	}
	l.opt.Metrics.followed.Add(float64(len(recs)))
	return nil
}

// passOver counts a record that this code cannot have written.
func (l *Ledger) passOver(r *kgo.Record, err error) {
	l.opt.Metrics.unreadable.Inc()
	at := kafka.TopicPartition{Topic: r.Topic, Partition: r.Partition}
	l.opt.Log.Error("record of the topic was passed over", telemetry.Topic(at.Topic), telemetry.Partition(at.Partition), telemetry.Offset(r.Offset), telemetry.Err(err))
}
