package read

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kgo"
	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"github.com/mailstream/mailstream/services/internal/platform/config"
	"github.com/mailstream/mailstream/services/internal/platform/fate"
	"github.com/mailstream/mailstream/services/internal/platform/kafka"
	"github.com/mailstream/mailstream/services/internal/platform/kafka/offsets"
	"github.com/mailstream/mailstream/services/internal/platform/lifecycle"
	"github.com/mailstream/mailstream/services/internal/platform/telemetry"
)

// TailConfig is what a Tail reads. The zero value of a field takes its default.
type TailConfig struct {
	// Topic is read whole, all partitions. It is also the value of the metric label
	// `client`.
	Topic string
	// Start is the next offset to read of each partition, as Applied returned it
	// before. A partition without an entry is read from its first record.
	Start map[int32]int64
	// BatchRecordsMax bounds the records of one call of apply. Default 10_000.
	BatchRecordsMax int
	// CheckInterval is how often the ends of the partitions are requested: the
	// precision of Lag. Default 500ms.
	CheckInterval time.Duration
	// Retry spaces the attempts of one batch. Default 100ms to 30s.
	Retry lifecycle.Backoff
}

// Apply takes records, those of one partition in order. It must not keep recs.
type Apply func(ctx context.Context, recs []*kgo.Record) error

const (
	defaultCheckInterval   = 500 * time.Millisecond
	defaultBatchRecordsMax = 10_000
	defaultRetryMin        = 100 * time.Millisecond
	defaultRetryMax        = 30 * time.Second
)

// Tail reads all partitions of one topic, for ever, without a group: each process
// that has a Tail sees every record. It stores no positions. Run reads, and may be
// called once. The other methods are safe for concurrent use at any time.
type Tail struct {
	cfg     TailConfig
	log     *zap.Logger // throttled
	reader  *Reader
	met     *tailMetrics
	tracker *offsets.Tracker
	made    time.Time
	once    sync.Once
	caught  chan struct{} // closed once
}

type tailMetrics struct {
	applied prometheus.Counter
	retries prometheus.Counter
	faults  prometheus.Counter
	lag     prometheus.Gauge
}

func newTailMetrics(reg prometheus.Registerer, topic string) *tailMetrics {
	f := kafka.Metrics{Registerer: reg}
	client := prometheus.Labels{kafka.LabelClient: topic}
	m := &tailMetrics{
		applied: f.Counter("mailstream_kafka_tail_applied_records_total", "Records of a tailed topic that were applied.", kafka.LabelClient).With(client),
		retries: f.Counter("mailstream_kafka_tail_retries_total", "Batches of a tailed topic applied once more after a fault.", kafka.LabelClient).With(client),
		faults:  f.Counter("mailstream_kafka_tail_errors_total", "Faults while reading a tailed topic. Worry when it keeps growing.", kafka.LabelClient).With(client),
		lag:     f.Gauge("mailstream_kafka_tail_lag_seconds", "How old the state built from a tailed topic may be. Page by the promise of the service.", kafka.LabelClient).With(client),
	}
	return m
}

// NewTail checks the settings. It connects nowhere.
func NewTail(cfg kafka.Config, tc TailConfig, log *zap.Logger, reg prometheus.Registerer) (*Tail, error) {
	tc.BatchRecordsMax = cmp.Or(tc.BatchRecordsMax, defaultBatchRecordsMax)
	tc.CheckInterval = cmp.Or(tc.CheckInterval, defaultCheckInterval)
	tc.Retry.Min = cmp.Or(tc.Retry.Min, defaultRetryMin)
	tc.Retry.Max = cmp.Or(tc.Retry.Max, max(defaultRetryMax, tc.Retry.Min))
	var faults config.Problems
	p := faults.At("tail")
	p.Check(tc.Topic != "", "topic", "must not be empty")
	p.Check(tc.BatchRecordsMax > 0, "batch_records_max", "%d is below 1", tc.BatchRecordsMax)
	p.Check(tc.CheckInterval > 0, "check_interval", "%s is not above 0s", tc.CheckInterval)
	if err := faults.Err(); err != nil {
		return nil, err
	}
	t := &Tail{cfg: tc, log: telemetry.Throttled(log), met: newTailMetrics(reg, tc.Topic), tracker: offsets.NewTracker(), made: time.Now(), caught: make(chan struct{})}
	t.reader = newReader(cfg, t.log, reg,
		kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.FetchMaxPartitionBytes(int32(fetchPartitionBytesMax)))
	t.reader.fault = t.fault
	if _, err := kafka.ClientOptions(cfg, log, reg); err != nil { // else the reader finds it when it connects
		return nil, err
	}
	return t, nil
}

// Run reads and calls apply with records, those of one partition in order,
// until ctx is done, which is not an error. When apply fails, it gets the
// same batch once more, with growing delays. A final fault ends Run, and so does
// kafka.ErrDiverged.
func (t *Tail) Run(ctx context.Context, apply Apply) error {
	defer t.reader.Close()
	if err := t.begin(ctx); err != nil {
		return lifecycle.UnlessDone(ctx, fmt.Errorf("begin tail of %q: %w", t.cfg.Topic, err))
	}
	monitor := offsets.Monitor{
		Lister: t.reader.Lister, Tracker: t.tracker, Topics: []string{t.cfg.Topic}, Interval: t.cfg.CheckInterval,
		Observed: func(s offsets.Snapshot, _ int64) error { return t.compare(s) },
		Failed:   t.endsUnknown,
	}
	g, all := errgroup.WithContext(ctx)
	g.Go(func() error { return t.read(all, apply) })
	g.Go(func() error { return monitor.Run(all) })
	return lifecycle.UnlessDone(ctx, g.Wait())
}

// begin finds where to read from and begins, waiting for the brokers for as long
// as it takes.
func (t *Tail) begin(ctx context.Context) error {
	var from map[kafka.TopicPartition]int64
	err := kafka.ConnectBackoff.Retry(ctx, func(ctx context.Context) (err error) {
		from, err = t.positions(ctx)
		return err
	}, func(attempt int, delay time.Duration, err error) {
		t.met.faults.Inc()
		t.log.Warn("tail could not begin", telemetry.Topic(t.cfg.Topic), telemetry.Attempt(attempt), telemetry.Delay(delay), telemetry.Err(err))
	})
	if err != nil {
		return err
	}
	return t.reader.Add(from)
}

func (t *Tail) positions(ctx context.Context) (map[kafka.TopicPartition]int64, error) {
	asked := time.Now()
	starts, err := t.reader.Starts(ctx, t.cfg.Topic)
	if err != nil {
		return nil, err
	}
	ends, err := t.reader.CommittedEnds(ctx, t.cfg.Topic)
	if err != nil {
		return nil, err
	}
	from := make(map[kafka.TopicPartition]int64, len(starts))
	for at, start := range starts {
		next := max(start, t.cfg.Start[at.Partition])
		if next > ends[at] {
			return nil, offsets.Diverged(at, next, ends[at])
		}
		from[at] = next
		t.tracker.Begin(at, next)
	}
	t.tracker.Observe(offsets.Snapshot{Asked: asked, Ends: ends})
	t.update()
	return from, nil
}

// compare begins to read partitions that were added, and notices when the topic
// was deleted and created.
func (t *Tail) compare(s offsets.Snapshot) error {
	for at, end := range s.Ends {
		next, known := s.Before[at]
		switch {
		case known && next > end:
			return offsets.Diverged(at, next, end)
		case !known:
			t.tracker.Begin(at, 0)
			if err := t.reader.Add(map[kafka.TopicPartition]int64{at: offsets.First}); err != nil {
				return err
			}
		}
	}
	t.update()
	return nil
}

// update shows what the tracker knows.
func (t *Tail) update() {
	if _, ok := t.tracker.Fresh(); ok {
		t.once.Do(func() { close(t.caught) })
	}
	t.met.lag.Set(t.Lag().Seconds())
}

func (t *Tail) endsUnknown(err error) {
	t.met.faults.Inc()
	t.met.lag.Set(t.Lag().Seconds())
	t.log.Warn("end offsets could not be listed", telemetry.Topic(t.cfg.Topic), telemetry.Err(err))
}

// fault counts a fault of a poll, and makes it final when brokers lost records
// that were read before.
func (t *Tail) fault(err error) error {
	t.met.faults.Inc()
	if _, lost := errors.AsType[*kgo.ErrDataLoss](err); lost {
		return fate.Wrap(fate.StartAgain, fmt.Errorf("%w: %w", kafka.ErrDiverged, err))
	}
	return err
}

// read polls and applies.
func (t *Tail) read(ctx context.Context, apply Apply) error {
	for ctx.Err() == nil {
		recs, err := t.reader.Poll(ctx, t.cfg.BatchRecordsMax)
		if err != nil {
			return err
		}
		if len(recs) == 0 {
			continue
		}
		if err := t.insist(ctx, recs, apply); err != nil {
			return fmt.Errorf("apply tail of %q: %w", t.cfg.Topic, err)
		}
		t.met.applied.Add(float64(len(recs)))
		t.tracker.Advance(recs)
		t.update()
	}
	return ctx.Err()
}

func (t *Tail) insist(ctx context.Context, recs []*kgo.Record, apply Apply) error {
	return t.cfg.Retry.Retry(ctx, func(ctx context.Context) error { return apply(ctx, recs) }, func(attempt int, delay time.Duration, err error) {
		t.met.retries.Inc()
		t.log.Warn("batch was not applied", telemetry.Topic(t.cfg.Topic), telemetry.Rows(len(recs)), telemetry.Attempt(attempt), telemetry.Delay(delay), telemetry.Err(err))
	})
}

// CaughtUp is closed once all records are applied that were in the topic when Run
// began.
func (t *Tail) CaughtUp() <-chan struct{} { return t.caught }

// Wait returns nil once the record at offset of partition is applied, the cause
// of ctx when that ends first.
func (t *Tail) Wait(ctx context.Context, partition int32, offset int64) error {
	return t.tracker.Wait(ctx, kafka.TopicPartition{Topic: t.cfg.Topic, Partition: partition}, offset)
}

// Applied returns the next offset of every partition: all records before it are
// applied. TailConfig.Start takes it. It is empty until Run knows the partitions.
// The caller owns the map.
func (t *Tail) Applied() map[int32]int64 {
	next := t.tracker.Next()
	out := make(map[int32]int64, len(next))
	for at, offset := range next {
		out[at.Partition] = offset
	}
	return out
}

// Lag returns how stale the applied state may be: every record acknowledged longer
// ago is in it. A reader that has caught up lags by CheckInterval and a round trip
// at most; the lag grows while no broker answers. Before CaughtUp it is the age of
// the Tail.
func (t *Tail) Lag() time.Duration {
	at, ok := t.tracker.Fresh()
	if !ok {
		at = t.made
	}
	return time.Since(at)
}
