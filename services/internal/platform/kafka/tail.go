package kafka

import (
	"context"
	"errors"
	"fmt"
	"maps"
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

// ErrDiverged says that a position given in TailConfig.Start is beyond the end
// of its partition: the topic is not the one it was read from. What was built
// from it must be thrown away. Fate: halt.
var ErrDiverged = errors.New("position is beyond the end of the partition")

// Tail reads all partitions of one topic, for ever, without a group: every
// process that tails sees every record. It keeps no positions itself. Run
// reads; there is one Run in the life of a Tail. The other methods may be called
// at any time by anybody.
type Tail struct {
	cfg    TailConfig
	log    *zap.Logger
	admin  []kgo.Opt
	opts   []kgo.Opt
	met    *tailMetrics
	caught chan struct{} // closed once, by observe

	mu      sync.Mutex
	applied map[int32]int64 // next offset to apply; guarded by mu
	goal    map[int32]int64 // ends to reach next; guarded by mu
	goalAt  time.Time       // when goal was asked for; guarded by mu
	freshAt time.Time       // everything written before it is applied; guarded by mu
	ready   bool            // caught is closed; guarded by mu
	changed chan struct{}   // closed and replaced when applied changes; guarded by mu
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
		applied: f.counter("tail_applied_records_total", "Records of a tailed topic that were applied.", labelClient).With(client),
		retries: f.counter("tail_retries_total", "Batches of a tailed topic applied once more after a fault.", labelClient).With(client),
		faults:  f.counter("tail_errors_total", "Faults while reading a tailed topic. Worry when it keeps growing.", labelClient).With(client),
		lag:     f.gauge("tail_lag_seconds", "How old the state built from a tailed topic may be. Page by the promise of the service.", labelClient).With(client),
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
	t := &Tail{cfg: tc, log: log, caught: make(chan struct{}), changed: make(chan struct{}), freshAt: time.Now(), applied: map[int32]int64{}}
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
		kgo.FetchMinBytes(1),
		kgo.FetchMaxWait(fetchWaitMax),
		kgo.FetchMaxBytes(fetchBytesMax),
		kgo.FetchMaxPartitionBytes(fetchPartBytesMax),
	})
	return t, err
}

// Run reads and calls apply with records, those of one partition in order,
// until ctx is done, which is no error. A batch that apply refuses is applied
// again with growing delays; a refusal with the fate halt or dead letter ends
// Run, and so does ErrDiverged. apply must not keep the slice.
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
	cl, err := kgo.NewClient(append(append([]kgo.Opt{}, t.opts...), kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{t.cfg.Topic: from}))...)
	if err != nil {
		return fmt.Errorf("configure kafka tail: %w", err)
	}
	defer cl.Close()
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return t.read(ctx, cl, apply) })
	g.Go(func() error { return t.watch(ctx, adm) })
	return endOf(ctx, g.Wait())
}

// endOf turns the end that was asked for into no error.
func endOf(ctx context.Context, err error) error {
	if err != nil && errors.Is(err, context.Canceled) && ctx.Err() != nil {
		return nil
	}
	return err
}

// begin finds where to read from, waiting for the brokers for as long as it
// takes.
func (t *Tail) begin(ctx context.Context, adm *kadm.Client) (map[int32]kgo.Offset, error) {
	for attempt := 1; ; attempt++ {
		from, err := t.positions(ctx, adm)
		if err == nil || halts(err) {
			return from, err
		}
		delay := checkBackoff.Next(attempt)
		t.met.faults.Inc()
		t.log.Warn("tail could not begin", telemetry.Topic(t.cfg.Topic), telemetry.Attempt(attempt), telemetry.Delay(delay), telemetry.Err(err))
		if err := lifecycle.Sleep(ctx, delay); err != nil {
			return nil, err
		}
	}
}

func (t *Tail) positions(ctx context.Context, adm *kadm.Client) (map[int32]kgo.Offset, error) {
	asked := time.Now()
	starts, err := listOffsets(ctx, adm.ListStartOffsets, t.cfg.Topic)
	if err != nil {
		return nil, err
	}
	ends, err := listOffsets(ctx, adm.ListEndOffsets, t.cfg.Topic)
	if err != nil {
		return nil, err
	}
	from := make(map[int32]kgo.Offset, len(starts))
	applied := make(map[int32]int64, len(starts))
	for p, start := range starts {
		applied[p] = max(start, t.cfg.Start[p])
		from[p] = kgo.NewOffset().At(applied[p])
		if applied[p] > ends[p] {
			return nil, fate.Wrap(fate.Halt, fmt.Errorf("%w: partition %d ends at %d, position is %d", ErrDiverged, p, ends[p], applied[p]))
		}
	}
	t.mu.Lock()
	t.applied = applied
	t.mu.Unlock()
	t.observe(asked, ends)
	return from, nil
}

type lister func(ctx context.Context, topics ...string) (kadm.ListedOffsets, error)

// listOffsets asks for one offset of each partition; all of them answer or it
// is an error.
func listOffsets(ctx context.Context, list lister, topic string) (map[int32]int64, error) {
	ctx, cancel := context.WithTimeout(ctx, listTimeout)
	defer cancel()
	listed, err := list(ctx, topic)
	if err == nil {
		err = listed.Error()
	}
	if err != nil {
		return nil, fmt.Errorf("list offsets of %q: %w", topic, classify(err))
	}
	out := make(map[int32]int64, len(listed[topic]))
	for p, o := range listed[topic] {
		out[p] = o.Offset
	}
	return out, nil
}

// listTimeout bounds one question for offsets.
const listTimeout = 5 * time.Second

// read polls and applies.
func (t *Tail) read(ctx context.Context, cl *kgo.Client, apply Handler) error {
	for ctx.Err() == nil {
		fetches := cl.PollRecords(ctx, t.cfg.BatchRecordsMax)
		if err := t.fetchFault(ctx, fetches); err != nil {
			return fmt.Errorf("read tail of %q: %w", t.cfg.Topic, err)
		}
		recs := fetches.Records()
		if len(recs) == 0 {
			continue
		}
		if err := t.insist(ctx, recs, apply); err != nil {
			return fmt.Errorf("apply tail of %q: %w", t.cfg.Topic, err)
		}
		t.advance(recs)
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
		if err = classify(err); halts(err) {
			fatal = err
			return
		}
		t.log.Warn("reading stumbled", telemetry.Topic(t.cfg.Topic), telemetry.Partition(partition), telemetry.Err(err))
	})
	return fatal
}

func (t *Tail) insist(ctx context.Context, recs []*kgo.Record, apply Handler) error {
	for attempt := 1; ; attempt++ {
		err := apply(ctx, recs)
		if err == nil || halts(err) {
			return err
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		delay := t.cfg.Retry.Next(attempt)
		t.met.retries.Inc()
		t.log.Warn("batch was not applied", telemetry.Topic(t.cfg.Topic), telemetry.Rows(len(recs)), telemetry.Attempt(attempt), telemetry.Delay(delay), telemetry.Err(err))
		if err := lifecycle.Sleep(ctx, delay); err != nil {
			return err
		}
	}
}

// watch asks for the ends now and then.
func (t *Tail) watch(ctx context.Context, adm *kadm.Client) error {
	for {
		if err := lifecycle.Sleep(ctx, t.cfg.CheckInterval); err != nil {
			return err
		}
		asked := time.Now()
		ends, err := listOffsets(ctx, adm.ListEndOffsets, t.cfg.Topic)
		switch {
		case err == nil:
			t.observe(asked, ends)
		case halts(err):
			return err
		case ctx.Err() == nil:
			t.met.faults.Inc()
			t.log.Warn("ends were not told", telemetry.Topic(t.cfg.Topic), telemetry.Err(err))
		}
		t.met.lag.Set(t.Lag().Seconds())
	}
}

// advance notes recs as applied and wakes who waits for them.
func (t *Tail) advance(recs []*kgo.Record) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, r := range recs {
		t.applied[r.Partition] = r.Offset + 1
	}
	t.met.applied.Add(float64(len(recs)))
	t.settleGoal()
	close(t.changed)
	t.changed = make(chan struct{})
}

// observe takes the ends as they were at the given time as the next goal. A
// goal not yet reached stays: under steady writes a newer one would never be.
func (t *Tail) observe(asked time.Time, ends map[int32]int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.goal == nil {
		t.goal, t.goalAt = ends, asked
	}
	t.settleGoal()
}

// settleGoal notes a reached goal. The caller holds mu.
func (t *Tail) settleGoal() {
	if t.goal == nil {
		return
	}
	for p, end := range t.goal {
		if t.applied[p] < end {
			return
		}
	}
	t.freshAt, t.goal = t.goalAt, nil
	if !t.ready {
		t.ready = true
		close(t.caught)
	}
}

// CaughtUp is closed once everything is applied that was in the topic when Run
// began.
func (t *Tail) CaughtUp() <-chan struct{} { return t.caught }

// Wait returns nil once the record at offset of partition is applied, the cause
// of ctx when that ends first.
func (t *Tail) Wait(ctx context.Context, partition int32, offset int64) error {
	for {
		t.mu.Lock()
		done, changed := t.applied[partition] > offset, t.changed
		t.mu.Unlock()
		if done {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// Applied returns the next offset of every partition: all before it are
// applied. It is what TailConfig.Start takes. The caller owns the map.
func (t *Tail) Applied() map[int32]int64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return maps.Clone(t.applied)
}

// Lag returns how stale the applied state may be: everything acknowledged
// longer ago is in it. In a quiet moment it is at most CheckInterval and a round
// trip; it grows while brokers are away, and before CaughtUp.
func (t *Tail) Lag() time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	return time.Since(t.freshAt)
}
