// Package read reads partitions without a group, and commits nothing: a Tail is
// all of one topic from given offsets on, for ever.
package read

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
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
	// Topic is read whole, all partitions; also the value of the metric label
	// `client`.
	Topic string
	// Start is the next offset to read of each partition, as Applied returned it
	// before. A partition that is absent is read from its first record.
	Start map[int32]int64
	// BatchRecordsMax bounds the records of one call of apply. Default 10_000.
	BatchRecordsMax int
	// CheckInterval is how often the ends of the partitions are asked for, which
	// is how exactly Lag knows. Default 500ms.
	CheckInterval time.Duration
	// Retry spaces the attempts of one batch. Default 100ms to 30s.
	Retry lifecycle.Backoff
}

// Apply takes records, those of one partition in order. It must not keep recs.
type Apply func(ctx context.Context, recs []*kgo.Record) error

const (
	checkInterval     = 500 * time.Millisecond
	batchRecordsMax   = 10_000
	retryMin          = 100 * time.Millisecond
	retryMax          = 30 * time.Second
	fetchBytesMax     = 16 << 20
	fetchPartBytesMax = 4 << 20
	fetchWaitMax      = 500 * time.Millisecond
)

// Tail reads all partitions of one topic, for ever, without a group: every
// process that tails sees every record. It keeps no positions itself. Run
// reads; there is one Run in the life of a Tail. The other methods may be called
// at any time by anybody.
type Tail struct {
	cfg    TailConfig
	log    *zap.Logger // throttled
	admin  []kgo.Opt
	opts   []kgo.Opt
	met    *tailMetrics
	front  *offsets.Tracker
	born   time.Time
	once   sync.Once
	caught chan struct{} // closed once
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
	tc.BatchRecordsMax = cmp.Or(tc.BatchRecordsMax, batchRecordsMax)
	tc.CheckInterval = cmp.Or(tc.CheckInterval, checkInterval)
	tc.Retry.Min = cmp.Or(tc.Retry.Min, retryMin)
	tc.Retry.Max = cmp.Or(tc.Retry.Max, max(retryMax, tc.Retry.Min))
	var faults config.Problems
	p := faults.At("tail")
	p.Check(tc.Topic != "", "topic", "must not be empty")
	p.Check(tc.BatchRecordsMax > 0, "batch_records_max", "%d is below 1", tc.BatchRecordsMax)
	p.Check(tc.CheckInterval > 0, "check_interval", "%s is not above 0s", tc.CheckInterval)
	if err := faults.Err(); err != nil {
		return nil, err
	}
	t := &Tail{cfg: tc, log: telemetry.Throttled(log), met: newTailMetrics(reg, tc.Topic), front: offsets.NewTracker(), born: time.Now(), caught: make(chan struct{})}
	var err error
	if t.admin, err = kafka.ClientOptions(cfg, log, reg); err != nil {
		return nil, err
	}
	t.opts, err = kafka.ClientOptions(cfg, log, reg,
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kafka.PacedFetches(),
		kgo.FetchMinBytes(1),
		kgo.FetchMaxWait(fetchWaitMax),
		kgo.FetchMaxBytes(fetchBytesMax),
		kgo.FetchMaxPartitionBytes(fetchPartBytesMax),
	)
	return t, err
}

// Run reads and calls apply with records, those of one partition in order,
// until ctx is done, which is no error. A batch that apply refuses is applied
// again with growing delays; a refusal with another fate than retry ends Run, and so does kafka.ErrDiverged. apply must not keep the slice.
func (t *Tail) Run(ctx context.Context, apply func(ctx context.Context, recs []*kgo.Record) error) error {
	admin, err := kgo.NewClient(t.admin...)
	if err != nil {
		return fmt.Errorf("configure kafka client: %w", err)
	}
	defer admin.Close()
	lister := offsets.NewLister(admin)
	from, err := t.begin(ctx, lister)
	if err != nil {
		return lifecycle.UnlessDone(ctx, fmt.Errorf("begin tail of %q: %w", t.cfg.Topic, err))
	}
	cl, err := kgo.NewClient(append(slices.Clone(t.opts), kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{t.cfg.Topic: from}))...)
	if err != nil {
		return fmt.Errorf("configure kafka tail: %w", err)
	}
	defer cl.Close()
	watch := offsets.Monitor{
		Lister: lister, Tracker: t.front, Topics: []string{t.cfg.Topic}, Interval: t.cfg.CheckInterval,
		Observed: func(l offsets.Snapshot, _ int64) error { return t.compare(cl, l) },
		Failed:   t.stumble,
	}
	g, all := errgroup.WithContext(ctx)
	g.Go(func() error { return t.read(all, cl, apply) })
	g.Go(func() error { return watch.Run(all) })
	return lifecycle.UnlessDone(ctx, g.Wait())
}

// begin finds where to read from, waiting for the brokers for as long as it
// takes.
func (t *Tail) begin(ctx context.Context, lister offsets.Lister) (map[int32]kgo.Offset, error) {
	var from map[int32]kgo.Offset
	err := kafka.ConnectBackoff.Retry(ctx, func(ctx context.Context) (err error) {
		from, err = t.positions(ctx, lister)
		return err
	}, func(attempt int, delay time.Duration, err error) {
		t.met.faults.Inc()
		t.log.Warn("tail could not begin", telemetry.Topic(t.cfg.Topic), telemetry.Attempt(attempt), telemetry.Delay(delay), telemetry.Err(err))
	})
	return from, err
}

func (t *Tail) positions(ctx context.Context, lister offsets.Lister) (map[int32]kgo.Offset, error) {
	asked := time.Now()
	starts, err := lister.Starts(ctx, t.cfg.Topic)
	if err != nil {
		return nil, err
	}
	ends, err := lister.CommittedEnds(ctx, t.cfg.Topic)
	if err != nil {
		return nil, err
	}
	from := make(map[int32]kgo.Offset, len(starts))
	for at, start := range starts {
		next := max(start, t.cfg.Start[at.Partition])
		if next > ends[at] {
			return nil, offsets.Diverged(at, next, ends[at])
		}
		from[at.Partition] = kgo.NewOffset().At(next)
		t.front.Begin(at, next)
	}
	t.front.Observe(offsets.Snapshot{Asked: asked, Ends: ends})
	t.update()
	return from, nil
}

// compare takes up partitions that were added and finds out when the topic was
// made anew.
func (t *Tail) compare(cl *kgo.Client, l offsets.Snapshot) error {
	for at, end := range l.Ends {
		next, known := l.Before[at]
		switch {
		case known && next > end:
			return offsets.Diverged(at, next, end)
		case !known:
			t.front.Begin(at, 0)
			cl.AddConsumePartitions(map[string]map[int32]kgo.Offset{at.Topic: {at.Partition: kgo.NewOffset().AtStart()}})
		}
	}
	t.update()
	return nil
}

// update publishes what the offsets.Tracker knows.
func (t *Tail) update() {
	if _, ok := t.front.Fresh(); ok {
		t.once.Do(func() { close(t.caught) })
	}
	t.met.lag.Set(t.Lag().Seconds())
}

func (t *Tail) stumble(err error) {
	t.met.faults.Inc()
	t.met.lag.Set(t.Lag().Seconds())
	t.log.Warn("ends were not told", telemetry.Topic(t.cfg.Topic), telemetry.Err(err))
}

// read polls and applies.
func (t *Tail) read(ctx context.Context, cl *kgo.Client, apply Apply) error {
	for stumbles := 0; ctx.Err() == nil; {
		fetches := cl.PollRecords(ctx, t.cfg.BatchRecordsMax)
		if err := t.fetchFault(ctx, fetches); err != nil {
			return fmt.Errorf("read tail of %q: %w", t.cfg.Topic, err)
		}
		recs := fetches.Records()
		if len(recs) == 0 {
			stumbles++
			if err := lifecycle.Sleep(ctx, kafka.PollBackoff.Next(stumbles)); err != nil {
				return err
			}
			continue
		}
		stumbles = 0
		if err := t.insist(ctx, recs, apply); err != nil {
			return fmt.Errorf("apply tail of %q: %w", t.cfg.Topic, err)
		}
		t.met.applied.Add(float64(len(recs)))
		t.front.Advance(recs)
		t.update()
	}
	return ctx.Err()
}

func (t *Tail) fetchFault(ctx context.Context, fetches kgo.Fetches) error {
	var fatal error
	fetches.EachError(func(_ string, partition int32, err error) {
		if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
			return
		}
		t.met.faults.Inc()
		if _, lost := errors.AsType[*kgo.ErrDataLoss](err); lost {
			err = fate.Wrap(fate.StartAgain, fmt.Errorf("%w: %w", kafka.ErrDiverged, err))
		}
		if err = kafka.Classify(err); fate.Final(err) {
			fatal = err
			return
		}
		t.log.Warn("reading stumbled", telemetry.Topic(t.cfg.Topic), telemetry.Partition(partition), telemetry.Err(err))
	})
	return fatal
}

func (t *Tail) insist(ctx context.Context, recs []*kgo.Record, apply Apply) error {
	return t.cfg.Retry.Retry(ctx, func(ctx context.Context) error { return apply(ctx, recs) }, func(attempt int, delay time.Duration, err error) {
		t.met.retries.Inc()
		t.log.Warn("batch was not applied", telemetry.Topic(t.cfg.Topic), telemetry.Rows(len(recs)), telemetry.Attempt(attempt), telemetry.Delay(delay), telemetry.Err(err))
	})
}

// CaughtUp is closed once everything is applied that was in the topic when Run
// began.
func (t *Tail) CaughtUp() <-chan struct{} { return t.caught }

// Wait returns nil once the record at offset of partition is applied, the cause
// of ctx when that ends first.
func (t *Tail) Wait(ctx context.Context, partition int32, offset int64) error {
	return t.front.Wait(ctx, kafka.TopicPartition{Topic: t.cfg.Topic, Partition: partition}, offset)
}

// Applied returns the next offset of every partition: all before it are
// applied. It is what TailConfig.Start takes. Empty until Run knows the
// partitions. The caller owns the map.
func (t *Tail) Applied() map[int32]int64 {
	next := t.front.Next()
	out := make(map[int32]int64, len(next))
	for at, offset := range next {
		out[at.Partition] = offset
	}
	return out
}

// Lag returns how stale the applied state may be: everything acknowledged
// longer ago is in it. In a quiet moment it is at most CheckInterval and a round
// trip; it grows while brokers are away. Before CaughtUp it is the age of the
// Tail.
func (t *Tail) Lag() time.Duration {
	at, ok := t.front.Fresh()
	if !ok {
		at = t.born
	}
	return time.Since(at)
}
