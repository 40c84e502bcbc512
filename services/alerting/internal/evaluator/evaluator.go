// Package evaluator is the second stage of alerting: it merges the partial
// counts of the rates topic, steps the rules over them, writes what changed to
// the alerts topic and hands to the outboxes what people must be notified of.
//
// A state is written, acknowledged and seen in the log before anyone is notified
// of it. After a start or a takeover nothing is judged before one window of
// rates and all states written so far are read. It counts no event itself.
package evaluator

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kgo"
	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/alerting/internal/book"
	"github.com/mailstream/mailstream/services/alerting/internal/controls"
	"github.com/mailstream/mailstream/services/alerting/internal/metric"
	"github.com/mailstream/mailstream/services/alerting/internal/outbox"
	"github.com/mailstream/mailstream/services/alerting/internal/route"
	"github.com/mailstream/mailstream/services/alerting/internal/rule"
	"github.com/mailstream/mailstream/services/alerting/internal/slow"
	"github.com/mailstream/mailstream/services/alerting/internal/window"
	"github.com/mailstream/mailstream/services/internal/platform/fate"
	"github.com/mailstream/mailstream/services/internal/platform/kafka"
	"github.com/mailstream/mailstream/services/internal/platform/kafka/membership"
	"github.com/mailstream/mailstream/services/internal/platform/kafka/produce"
	"github.com/mailstream/mailstream/services/internal/platform/kafka/read"
	"github.com/mailstream/mailstream/services/internal/platform/lifecycle"
	"github.com/mailstream/mailstream/services/internal/platform/telemetry"
)

const (
	// pollWait is how long the loop waits for rates before it looks at assignments and
	// at what the outboxes delivered.
	pollWait = 100 * time.Millisecond
	// pollRecordsMax bounds the rates between two judgements.
	pollRecordsMax = 5_000
	// tickInterval is how often keys are judged without a new count: panes leave
	// the window, holds end, silence grows.
	tickInterval = time.Second
	// expireInterval is how often quiet series are dropped.
	expireInterval = time.Minute
	// stuckAfter is when a partition that reads nothing, although there is
	// something, is read with a new connection.
	stuckAfter = 5 * time.Second
	// startMargin is read beyond the window at the start: more than the clocks of
	// one deployment differ by.
	startMargin = time.Minute
)

// retryDelay spaces attempts at a broker that does not answer.
var retryDelay = lifecycle.Backoff{Min: 100 * time.Millisecond, Max: 5 * time.Second}

// Publisher writes records durably: when Publish returns nil, all of them are
// acknowledged by all in-sync replicas. Kept by produce.Producer.
type Publisher interface {
	Publish(ctx context.Context, recs ...*kgo.Record) error
}

// Log is the reader of the alerts topic that fills the book. Kept by read.Tail.
type Log interface {
	// Applied returns the next offset of every partition.
	Applied() map[int32]int64
	// Wait returns nil once the record at offset is in the book.
	Wait(ctx context.Context, partition int32, offset int64) error
}

// Options say what is judged.
type Options struct {
	Kafka    kafka.Config
	Rules    []rule.Rule // judged from the stream
	RulesSQL []rule.Rule // judged by what is taken with Take
	Instance string      // names this process in the records it writes
	// SeriesMax bounds the series kept of one source.
	SeriesMax int
	Now       func() time.Time
	// Receivers tell people; without any, alerts are only in the topic and the API.
	Receivers []*outbox.Outbox
	// Routes say which of them hears of what.
	Routes []route.Route
	// Book is filled by Tail from the alerts topic.
	Book *book.Book
	// Controls hide messages and keep what is over. Default none.
	Controls  *controls.Set
	Inhibit   []controls.Inhibition
	Tail      Log
	Publisher Publisher
	// Explainer says who carries the incidents of Rules; nil where that is not known.
	Explainer Explainer
	// Settled is called when every partition has settled; it must be quick.
	Settled func()
}

// Evaluator is the stage. It is a membership.Worker through its Queue.
type Evaluator struct {
	*membership.Queue
	opt    Options
	window time.Duration // the longest of any rule
	pub    Publisher
	log    *zap.Logger
	often  *zap.Logger // throttled: for what may be repeated
	met    *metrics
	reader *read.Reader
	marks  *marks
	book   *book.Book
	tail   Log
	topics struct{ rates, alerts, controls string }
	place  func(group string) int32 // partition of the rates topic

	limit   *window.Limit
	parts   map[int32]*part
	starts  []int32 // acquired, start not yet known
	live    map[string]live
	unsaved []outbox.Result // delivered, not yet written

	explaining explaining
	asked      map[string]asks      // by fingerprint
	held       map[string]time.Time // messages wait until then, by fingerprint

	readings readings
	late     foundLate
	ownsSQL  atomic.Bool

	tickAt, expireAt, startAt time.Time
	blindSince                time.Time // zero while no counts are too old
	blindSeen                 time.Time // the same moment by the machine's clock
	sweepAt                   time.Time
	faults                    int // in a row
	settled                   atomic.Bool
	blind                     atomic.Bool // counts of a set of partitions are stale
}

// part is one assigned partition of the rates topic.
type part struct {
	number  int32
	table   *window.Table
	next    int64           // offset to read next
	goal    int64           // end when it was acquired
	moved   time.Time       // when it last read something or had nothing to read, by the machine's clock
	alerts  map[int32]int64 // ends of the alerts topic then
	sets    []setState      // by input partition
	marked  int             // number of the next mark to follow
	doubts  map[doubt][]uint64
	settled bool
	changed map[window.Key]bool // touched since the last judgement; true: has blocks
	active  map[window.Key]bool // has an alert under way
}

// live is the status of an alert since its record was written: peaks and
// times that are not worth a record of their own.
type live struct {
	version int64
	status  rule.Status
}

// New returns an evaluator without partitions.
func New(opt Options, log *zap.Logger, reg prometheus.Registerer) *Evaluator {
	e := &Evaluator{
		Queue: membership.NewQueue(), opt: opt, pub: opt.Publisher, log: log, often: telemetry.Throttled(log), met: newMetrics(reg),
		reader: read.NewReader(opt.Kafka, log, reg), book: opt.Book, tail: opt.Tail,
		limit: window.NewLimit(opt.SeriesMax), parts: make(map[int32]*part), live: make(map[string]live),
		explaining: explaining{wake: make(chan struct{}, 1)}, asked: make(map[string]asks), held: make(map[string]time.Time),
	}
	e.window = metric.StreamWindowMin
	if opt.Controls == nil {
		e.opt.Controls = controls.NewSet(nil)
	}
	for _, r := range opt.Rules {
		e.window = max(e.window, r.Window)
	}
	e.topics.rates = schemas.RatesTopic(opt.Kafka.TopicPrefix)
	e.topics.alerts = schemas.AlertsTopic(opt.Kafka.TopicPrefix)
	e.topics.controls = schemas.AlertControlsTopic(opt.Kafka.TopicPrefix)
	e.place = produce.Placement(int(opt.Kafka.Topics.Partitions))
	e.marks = &marks{
		at:  kafka.TopicPartition{Topic: e.topics.rates, Partition: e.place(window.MarkKey)},
		now: opt.Now, log: e.often, reader: read.NewReader(opt.Kafka, log, reg),
	}
	return e
}

// Settled says whether every assigned partition is read up to where it was when
// it was acquired.
func (e *Evaluator) Settled() bool { return e.settled.Load() && e.Pending() == 0 }

// Blind says whether nothing can be judged in some partition, because counts
// are too old.
func (e *Evaluator) Blind() bool { return e.blind.Load() }

// Run judges until ctx is done, which is not an error.
func (e *Evaluator) Run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return e.marks.run(ctx) })
	g.Go(func() error { return e.runExplainer(ctx) })
	g.Go(func() error { return e.loop(ctx) })
	return g.Wait()
}

func (e *Evaluator) loop(ctx context.Context) error {
	defer e.reader.Close()
	defer e.End()
	for ctx.Err() == nil {
		if err := e.apply(ctx); err != nil {
			return err
		}
		e.noteSettled()
		if len(e.parts) == 0 && len(e.starts) == 0 {
			e.showStale(0) // another instance's sets
			select {
			case <-e.Wake():
			case <-ctx.Done():
			}
			continue
		}
		if err := e.step(ctx); err != nil {
			return err
		}
	}
	return nil
}

// step is one turn: read, merge, judge, tell.
func (e *Evaluator) step(ctx context.Context) error {
	if len(e.starts) > 0 && !e.now().Before(e.startAt) {
		if err := e.start(ctx); err != nil && ctx.Err() == nil {
			if fate.Final(err) {
				return err
			}
			e.stumbled(err)
		}
	}
	if len(e.parts) == 0 { // nothing to read yet
		_ = lifecycle.Sleep(ctx, pollWait) // the loop sees that ctx is done
		return nil
	}
	wait := pollWait
	if len(e.held) > 0 {
		wait = heldWait
	}
	recs, err := e.reader.PollUntil(ctx, time.Now().Add(wait), pollRecordsMax)
	if err != nil {
		return err
	}
	for _, rec := range recs {
		e.merge(rec)
	}
	now := e.now()
	tick := !now.Before(e.tickAt)
	if tick {
		e.tickAt = now.Add(tickInterval)
	}
	if !now.Before(e.expireAt) {
		e.expireAt = now.Add(expireInterval)
		e.expire(now)
	}
	if err := e.unstick(); err != nil {
		return err
	}
	applied := e.tail.Applied()
	if err := e.judgeSQL(ctx, now, applied); err != nil {
		return err
	}
	stale := 0
	defer func() { e.showStale(stale) }()
	for _, p := range e.parts {
		if !p.settled && !p.caughtUp(applied) {
			continue
		}
		if n := e.follow(p, now); n > 0 {
			stale = max(stale, n)
			continue
		}
		first := !p.settled
		p.settled = true
		if err := e.judge(ctx, p, now, tick || first); err != nil {
			return err
		}
	}
	if err := e.takeAnswers(ctx); err != nil {
		return err
	}
	if err := e.collect(ctx); err != nil {
		return err
	}
	if !tick {
		return nil
	}
	e.sayBlind(stale, now)
	if err := e.tend(ctx, now); err != nil {
		return err
	}
	return e.tendReceivers(ctx, now)
}

// showStale says in how many sets of partitions counts are too old, in the partition that is
// worst off.
func (e *Evaluator) showStale(sets int) {
	e.met.stale.Set(float64(sets))
	e.blind.Store(sets > 0)
}

func (e *Evaluator) now() time.Time { return e.opt.Now() }

// stumbled notes a fault that passes; the next turn tries again.
func (e *Evaluator) stumbled(err error) {
	e.faults++
	e.met.faults.Inc()
	delay := retryDelay.Next(e.faults)
	e.startAt = e.now().Add(delay)
	e.often.Warn("judging failed and will be tried again", telemetry.Attempt(e.faults), telemetry.Delay(delay), telemetry.Err(err))
}

// apply carries out the assignments of the group. A partition is given up only after
// the message under way for it is delivered and noted.
func (e *Evaluator) apply(ctx context.Context) error {
	for _, a := range e.Drain() {
		if a.Revoked {
			e.hold(nil, e.now()) // the next turn says what is left
			for _, r := range e.opt.Receivers {
				r.Withdraw(ctx, a.Partitions)
			}
			if err := e.collect(ctx); err != nil {
				return err
			}
		}
		for _, p := range a.Partitions {
			e.drop(p)
			if !a.Revoked {
				e.starts = append(e.starts, p)
				e.settled.Store(false)
			}
		}
		a.Done()
	}
	return nil
}

func (e *Evaluator) drop(p int32) {
	if p == e.place(slow.Group) {
		e.ownsSQL.Store(false)
	}
	e.starts = slices.DeleteFunc(e.starts, func(q int32) bool { return q == p })
	if old := e.parts[p]; old != nil {
		old.table.Drop()
		e.reader.Remove(kafka.TopicPartition{Topic: e.topics.rates, Partition: p})
		delete(e.parts, p)
	}
	e.unsaved = slices.DeleteFunc(e.unsaved, func(r outbox.Result) bool { return r.Partition == p })
}

// start begins to read acquired partitions where one window ago is.
func (e *Evaluator) start(ctx context.Context) error {
	from := time.Unix(window.First(e.now(), e.window).Start(), 0).Add(-startMargin)
	offsets, err := e.reader.After(ctx, from, e.topics.rates)
	if err != nil {
		return err
	}
	ends, err := e.reader.Ends(ctx, e.topics.rates, e.topics.alerts)
	if err != nil {
		return err
	}
	e.faults = 0
	alerts := make(map[int32]int64)
	for at, end := range ends {
		if at.Topic == e.topics.alerts {
			alerts[at.Partition] = end
		}
	}
	add := make(map[kafka.TopicPartition]int64)
	for _, p := range e.starts {
		at := kafka.TopicPartition{Topic: e.topics.rates, Partition: p}
		offset, ok := offsets[at]
		if !ok {
			return fmt.Errorf("list offsets: no partition %d in %q", p, at.Topic)
		}
		add[at] = offset
		e.parts[p] = &part{
			number: p, table: window.NewTable(e.limit), next: offset, goal: ends[at], moved: time.Now(), alerts: alerts,
			sets: make([]setState, e.opt.Kafka.Topics.Partitions), doubts: make(map[doubt][]uint64),
			changed: make(map[window.Key]bool), active: make(map[window.Key]bool),
		}
	}
	e.starts = nil
	return e.reader.Add(add)
}

// caughtUp says whether the partition and the book are where they have to be
// before anything is judged.
func (p *part) caughtUp(applied map[int32]int64) bool {
	return p.knowsAlerts(applied) && p.next >= p.goal
}

// knowsAlerts says whether the book has all alerts of before p was acquired.
func (p *part) knowsAlerts(applied map[int32]int64) bool {
	for q, end := range p.alerts {
		if applied[q] < end {
			return false
		}
	}
	return true
}

// unstick reads with a new connection when a partition makes no progress although a
// mark says that there is more.
func (e *Evaluator) unstick() error {
	stuck := false
	from := make(map[kafka.TopicPartition]int64)
	for _, p := range e.parts {
		if !e.behind(p) {
			p.moved = time.Now()
		}
		stuck = stuck || time.Since(p.moved) > stuckAfter
		from[kafka.TopicPartition{Topic: e.topics.rates, Partition: p.number}] = p.next
	}
	if !stuck {
		return nil
	}
	for _, p := range e.parts {
		p.moved = time.Now()
	}
	e.met.faults.Inc()
	e.often.Warn("reading has stalled: reading again with a new connection", telemetry.Rows(len(from)))
	return e.reader.Reset(from)
}

// merge takes one record of rates.
func (e *Evaluator) merge(rec *kgo.Record) {
	p := e.parts[rec.Partition]
	if p == nil || rec.Offset < p.next {
		return
	}
	p.next, p.moved = rec.Offset+1, time.Now()
	if rec.Attrs.IsControl() {
		return
	}
	rate, err := decode(rec.Value)
	if err != nil {
		e.met.unreadable.Inc()
		e.often.Debug("rate record not readable", telemetry.Partition(rec.Partition), telemetry.Offset(rec.Offset), telemetry.Err(err))
		return
	}
	if rate.Mark != nil {
		return // read by itself, see marks
	}
	p.table.Merge(&rate, window.First(e.now(), e.window), func(k window.Key, hot bool) {
		if hot || p.active[k] {
			p.changed[k] = true
		}
	})
}

func (e *Evaluator) expire(now time.Time) {
	oldest := window.First(now, e.window)
	for _, p := range e.parts {
		p.table.Expire(oldest)
	}
	e.forgetAsked()
	e.met.series.Set(float64(e.limit.Used()))
	e.met.overflowed.Set(float64(e.limit.Overflowed()))
	maps.DeleteFunc(e.live, func(fingerprint string, l live) bool {
		a, known := e.book.Get(fingerprint)
		return !known || a.Version != l.version
	})
}

func (e *Evaluator) noteSettled() {
	settled := len(e.starts) == 0
	for _, p := range e.parts {
		settled = settled && p.settled
	}
	if e.settled.Store(settled); settled {
		e.opt.Settled()
	}
	e.met.partitions.Set(float64(len(e.parts)))
}
