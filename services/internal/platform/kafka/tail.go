package kafka

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"github.com/mailstream/mailstream/services/internal/platform/config"
	"github.com/mailstream/mailstream/services/internal/platform/fate"
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

const checkInterval = 500 * time.Millisecond

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
	front  *frontier
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

func newTailMetrics(reg prometheus.Registerer, topic string) (*tailMetrics, error) {
	f := family{reg: reg}
	client := prometheus.Labels{labelClient: topic}
	m := &tailMetrics{
		applied: f.counter("mailstream_kafka_tail_applied_records_total", "Records of a tailed topic that were applied.", labelClient).With(client),
		retries: f.counter("mailstream_kafka_tail_retries_total", "Batches of a tailed topic applied once more after a fault.", labelClient).With(client),
		faults:  f.counter("mailstream_kafka_tail_errors_total", "Faults while reading a tailed topic. Worry when it keeps growing.", labelClient).With(client),
		lag:     f.gauge("mailstream_kafka_tail_lag_seconds", "How old the state built from a tailed topic may be. Page by the promise of the service.", labelClient).With(client),
	}
	return m, f.err
}

// NewTail checks the settings. It connects nowhere.
func NewTail(cfg Config, tc TailConfig, log *zap.Logger, reg prometheus.Registerer) (*Tail, error) {
	orDefault(&tc.BatchRecordsMax, batchRecordsMax)
	orDefault(&tc.CheckInterval, checkInterval)
	orDefault(&tc.Retry.Min, retryMin)
	orDefault(&tc.Retry.Max, max(retryMax, tc.Retry.Min))
	var faults config.Problems
	p := faults.At("tail")
	p.Check(tc.Topic != "", "topic", "must not be empty")
	p.Check(tc.BatchRecordsMax > 0, "batch_records_max", "%d is below 1", tc.BatchRecordsMax)
	p.Check(tc.CheckInterval > 0, "check_interval", "%s is not above 0s", tc.CheckInterval)
	if err := faults.Err(); err != nil {
		return nil, err
	}
	t := &Tail{cfg: tc, log: telemetry.Throttled(log), front: newFrontier(), born: time.Now(), caught: make(chan struct{})}
	var err error
	if t.met, err = newTailMetrics(reg, tc.Topic); err != nil {
		return nil, err
	}
	if t.admin, err = clientOptions(cfg, log, reg, nil); err != nil {
		return nil, err
	}
	t.opts, err = clientOptions(cfg, log, reg, []kgo.Opt{
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		PacedFetches(),
		kgo.FetchMinBytes(1),
		kgo.FetchMaxWait(fetchWaitMax),
		kgo.FetchMaxBytes(fetchBytesMax),
		kgo.FetchMaxPartitionBytes(fetchPartBytesMax),
	})
	return t, err
}

// Run reads and calls apply with records, those of one partition in order,
// until ctx is done, which is no error. A batch that apply refuses is applied
// again with growing delays; a refusal with another fate than retry ends Run, and so does ErrDiverged. apply must not keep the slice.
func (t *Tail) Run(ctx context.Context, apply func(ctx context.Context, recs []*kgo.Record) error) error {
	admin, err := kgo.NewClient(t.admin...)
	if err != nil {
		return fmt.Errorf("configure kafka client: %w", err)
	}
	defer admin.Close()
	adm := kadm.NewClient(admin)
	from, err := t.begin(ctx, adm)
	if err != nil {
		return endOf(ctx, fmt.Errorf("begin tail of %q: %w", t.cfg.Topic, err))
	}
	cl, err := kgo.NewClient(append(slices.Clone(t.opts), kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{t.cfg.Topic: from}))...)
	if err != nil {
		return fmt.Errorf("configure kafka tail: %w", err)
	}
	defer cl.Close()
	watch := lookout{
		adm: adm, front: t.front, topics: []string{t.cfg.Topic}, every: t.cfg.CheckInterval,
		seen:   func(l look, _ int64) error { return t.compare(cl, l) },
		missed: t.stumble,
	}
	g, all := errgroup.WithContext(ctx)
	g.Go(func() error { return t.read(all, cl, apply) })
	g.Go(func() error { return watch.run(all) })
	return endOf(ctx, g.Wait())
}

// endOf turns the end that ctx asked for into no error.
func endOf(ctx context.Context, err error) error {
	if ctx.Err() != nil && (errors.Is(err, ctx.Err()) || errors.Is(err, context.Cause(ctx))) {
		return nil
	}
	return err
}

// begin finds where to read from, waiting for the brokers for as long as it
// takes.
func (t *Tail) begin(ctx context.Context, adm *kadm.Client) (map[int32]kgo.Offset, error) {
	var from map[int32]kgo.Offset
	err := checkBackoff.Retry(ctx, func(ctx context.Context) (err error) {
		from, err = t.positions(ctx, adm)
		return err
	}, func(attempt int, delay time.Duration, err error) {
		t.met.faults.Inc()
		t.log.Warn("tail could not begin", telemetry.Topic(t.cfg.Topic), telemetry.Attempt(attempt), telemetry.Delay(delay), telemetry.Err(err))
	})
	return from, err
}

func (t *Tail) positions(ctx context.Context, adm *kadm.Client) (map[int32]kgo.Offset, error) {
	asked, topics := time.Now(), []string{t.cfg.Topic}
	starts, err := askStarts(ctx, adm, topics)
	if err != nil {
		return nil, err
	}
	ends, err := askEnds(ctx, adm, topics)
	if err != nil {
		return nil, err
	}
	from := make(map[int32]kgo.Offset, len(starts))
	for at, start := range starts {
		next := max(start, t.cfg.Start[at.partition])
		if next > ends[at] {
			return nil, diverged(at, next, ends[at])
		}
		from[at.partition] = kgo.NewOffset().At(next)
		t.front.begin(at, next)
	}
	t.front.observe(look{asked: asked, ends: ends})
	t.update()
	return from, nil
}

// compare takes up partitions that were added and finds out when the topic was
// made anew.
func (t *Tail) compare(cl *kgo.Client, l look) error {
	for at, end := range l.ends {
		next, known := l.before[at]
		switch {
		case known && next > end:
			return diverged(at, next, end)
		case !known:
			t.front.begin(at, 0)
			cl.AddConsumePartitions(map[string]map[int32]kgo.Offset{at.topic: {at.partition: kgo.NewOffset().AtStart()}})
		}
	}
	t.update()
	return nil
}

// update publishes what the frontier knows.
func (t *Tail) update() {
	if _, ok := t.front.fresh(); ok {
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
func (t *Tail) read(ctx context.Context, cl *kgo.Client, apply Handler) error {
	for stumbles := 0; ctx.Err() == nil; {
		fetches := cl.PollRecords(ctx, t.cfg.BatchRecordsMax)
		if err := t.fetchFault(ctx, fetches); err != nil {
			return fmt.Errorf("read tail of %q: %w", t.cfg.Topic, err)
		}
		recs := fetches.Records()
		if len(recs) == 0 {
			stumbles++
			if err := lifecycle.Sleep(ctx, stumbleBackoff.Next(stumbles)); err != nil {
				return err
			}
			continue
		}
		stumbles = 0
		if err := t.insist(ctx, recs, apply); err != nil {
			return fmt.Errorf("apply tail of %q: %w", t.cfg.Topic, err)
		}
		t.met.applied.Add(float64(len(recs)))
		t.front.advance(recs)
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
			err = fate.Wrap(fate.StartAgain, fmt.Errorf("%w: %w", ErrDiverged, err))
		}
		if err = classify(err); halts(err) {
			fatal = err
			return
		}
		t.log.Warn("reading stumbled", telemetry.Topic(t.cfg.Topic), telemetry.Partition(partition), telemetry.Err(err))
	})
	return fatal
}

func (t *Tail) insist(ctx context.Context, recs []*kgo.Record, apply Handler) error {
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
	return t.front.wait(ctx, spot{t.cfg.Topic, partition}, offset)
}

// Applied returns the next offset of every partition: all before it are
// applied. It is what TailConfig.Start takes. Empty until Run knows the
// partitions. The caller owns the map.
func (t *Tail) Applied() map[int32]int64 {
	next := t.front.next()
	out := make(map[int32]int64, len(next))
	for at, offset := range next {
		out[at.partition] = offset
	}
	return out
}

// Lag returns how stale the applied state may be: everything acknowledged
// longer ago is in it. In a quiet moment it is at most CheckInterval and a round
// trip; it grows while brokers are away. Before CaughtUp it is the age of the
// Tail.
func (t *Tail) Lag() time.Duration {
	at, ok := t.front.fresh()
	if !ok {
		at = t.born
	}
	return time.Since(at)
}
