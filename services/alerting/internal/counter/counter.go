// Package counter is the first stage of alerting: it counts unique events into
// panes, per source and destination, one lane a partition number, and publishes
// what changed to the rates topic.
//
// Every report is consistent across the event topics (see lane) and cumulative,
// so a repeated one changes nothing. It keeps no durable state: when a lane is
// acquired, everything since one window ago is read again, and nothing is told
// before that is done. It never commits an offset and decides no alert.
package counter

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kgo"
	"go.uber.org/zap"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/alerting/internal/window"
	"github.com/mailstream/mailstream/services/internal/platform/fate"
	"github.com/mailstream/mailstream/services/internal/platform/kafka"
	"github.com/mailstream/mailstream/services/internal/platform/kafka/membership"
	"github.com/mailstream/mailstream/services/internal/platform/kafka/read"
	"github.com/mailstream/mailstream/services/internal/platform/lifecycle"
	"github.com/mailstream/mailstream/services/internal/platform/telemetry"
)

const (
	// roundInterval is how often a lane takes stock: a tenth of what an alert may
	// take from the event to Slack.
	roundInterval = 200 * time.Millisecond
	// pollRecordsMax bounds the records between two looks at orders and rounds.
	pollRecordsMax = 5_000
	// stuckAfter is when a round that reads nothing makes us ask whether what it
	// waits for still exists.
	stuckAfter = 5 * time.Second
	// startMargin is read beyond the window at the start. Records carry the clock
	// of the ingress, and clocks of one deployment differ by less.
	startMargin = time.Minute
)

// retryDelay spaces attempts at a broker that does not answer.
var retryDelay = lifecycle.Backoff{Min: 100 * time.Millisecond, Max: 5 * time.Second}

// Options say what is counted.
type Options struct {
	Kafka  kafka.Config
	Window time.Duration // the longest window of any rule
	// SeriesMax bounds the series of one source that change in one round.
	SeriesMax int
	Now       func() time.Time
}

// Counter is the stage. It is a membership.Worker through its Queue.
type Counter struct {
	*membership.Queue
	opt     Options
	log     *zap.Logger // throttled
	met     *metrics
	reader  *read.Reader
	topics  []string
	lanes   map[int32]*lane
	starts  []int32 // acquired, start not yet known
	told    teller
	decoder decoder
	nextAsk time.Time
	faults  int // in a row
	settled atomic.Bool
}

// New returns a counter that has no lanes yet.
func New(opt Options, pub Publisher, log *zap.Logger, reg prometheus.Registerer) *Counter {
	c := &Counter{
		Queue: membership.NewQueue(), opt: opt, log: telemetry.Throttled(log), met: newMetrics(reg),
		reader: read.NewReader(opt.Kafka, log, reg), lanes: make(map[int32]*lane),
		topics: Topics(opt.Kafka.TopicPrefix),
	}
	c.told = newTeller(schemas.RatesTopic(opt.Kafka.TopicPrefix), int(opt.Kafka.Topics.Partitions), pub)
	return c
}

// Settled says whether every lane has told its first round.
func (c *Counter) Settled() bool { return c.settled.Load() && c.Pending() == 0 }

// Run counts until ctx is done, which is no error.
func (c *Counter) Run(ctx context.Context) error {
	defer c.reader.Close()
	defer c.End()
	for ctx.Err() == nil {
		if err := c.obey(); err != nil {
			return err
		}
		c.noteSettled()
		if len(c.lanes) == 0 && len(c.starts) == 0 {
			c.met.age.Set(0) // somebody else's rounds
			select {
			case <-c.Wake():
			case <-ctx.Done():
			}
			continue
		}
		if err := c.step(ctx); err != nil {
			return err
		}
	}
	return nil
}

// step is one turn: ask for offsets when it is time, read, and tell what is
// complete.
func (c *Counter) step(ctx context.Context) error {
	if now := c.now(); !now.Before(c.nextAsk) {
		c.nextAsk = now.Add(roundInterval)
		if err := c.ask(ctx); err != nil {
			switch {
			case ctx.Err() != nil:
				return nil
			case fate.Final(err):
				return err
			}
			c.stumbled(err)
		}
	}
	until := time.Now().Add(max(c.nextAsk.Sub(c.now()), time.Millisecond))
	if len(c.lanes) == 0 { // nothing to read yet
		_ = lifecycle.Sleep(ctx, time.Until(until)) // the loop sees that ctx is done
		return nil
	}
	recs, err := c.reader.PollUntil(ctx, until, pollRecordsMax)
	if err != nil {
		return err
	}
	polled := time.Now()
	for _, rec := range recs {
		if l := c.lanes[rec.Partition]; l != nil {
			l.moved = polled
			c.read(l, rec)
		}
	}
	if err := c.finish(); err != nil {
		return err
	}
	return c.tell(ctx)
}

func (c *Counter) now() time.Time { return c.opt.Now() }

func (c *Counter) oldest() window.Pane { return window.First(c.now(), c.opt.Window) }

// stumbled notes a fault that passes and lets the next attempt wait.
func (c *Counter) stumbled(err error) {
	c.faults++
	c.met.faults.Inc()
	delay := retryDelay.Next(c.faults)
	c.nextAsk = c.now().Add(delay)
	c.log.Warn("counter will try again", telemetry.Attempt(c.faults), telemetry.Delay(delay), telemetry.Err(err))
}

// obey carries out the assignments of the group.
func (c *Counter) obey() error {
	for _, o := range c.Drain() {
		for _, p := range o.Partitions {
			c.drop(p)
			if !o.Revoked {
				c.starts = append(c.starts, p)
				c.settled.Store(false)
				c.nextAsk = c.now()
			}
		}
		o.Done()
	}
	c.met.lanes.Set(float64(len(c.lanes) + len(c.starts)))
	return nil
}

func (c *Counter) drop(p int32) {
	c.starts = remove(c.starts, p)
	l := c.lanes[p]
	if l == nil {
		return
	}
	spots := make([]kafka.TopicPartition, 0, len(l.inputs))
	for _, in := range l.inputs {
		spots = append(spots, in.spot)
	}
	c.reader.Remove(spots...)
	delete(c.lanes, p)
	c.told.forget(p)
}

func remove(list []int32, p int32) []int32 {
	out := list[:0]
	for _, q := range list {
		if q != p {
			out = append(out, q)
		}
	}
	return out
}

// ask starts acquired lanes and opens the rounds that are due.
func (c *Counter) ask(ctx context.Context) error {
	if len(c.starts) > 0 {
		if err := c.start(ctx); err != nil {
			return err
		}
	}
	ends, err := c.reader.Ends(ctx, c.topics...)
	if err != nil {
		return err
	}
	c.faults = 0
	now, oldest := c.now(), c.oldest()
	if err := c.unstick(ctx); err != nil {
		return err
	}
	if c.told.pending() { // a broker that does not take counts gets no more of them
		return nil
	}
	for _, l := range c.lanes {
		if l.open {
			continue
		}
		l.ring.Expire(oldest)
		c.reader.Resume(l.begin(now, ends, func(o window.Observation) { c.count(l, o) })...)
	}
	return nil
}

// unstick helps when a round stands still: it goes beyond records that are
// deleted by now, where nothing would ever be read, and reads with a new
// connection.
func (c *Counter) unstick(ctx context.Context) error {
	stuck := false
	for _, l := range c.lanes {
		stuck = stuck || l.stuck()
	}
	if !stuck {
		return nil
	}
	starts, err := c.reader.Starts(ctx, c.topics...)
	if err != nil {
		return err
	}
	from := make(map[kafka.TopicPartition]int64)
	for _, l := range c.lanes {
		l.moved = time.Now()
		for _, in := range l.inputs {
			in.next = max(in.next, starts[in.spot])
			in.paused, from[in.spot] = false, in.next
		}
	}
	c.met.faults.Inc()
	c.log.Warn("reading stood still: reading again with a new connection", telemetry.Rows(len(from)))
	return c.reader.Reset(from)
}

// start begins to read the acquired lanes where one window ago is. An event is
// never placed after its record, so all events of the window lie from there on.
func (c *Counter) start(ctx context.Context) error {
	from := time.Unix(c.oldest().Start(), 0).Add(-startMargin)
	offsets, err := c.reader.After(ctx, from, c.topics...)
	if err != nil {
		return err
	}
	add := make(map[kafka.TopicPartition]int64)
	for _, p := range c.starts {
		l := newLane(p, c.opt.Kafka.TopicPrefix, c.opt.SeriesMax)
		for _, in := range l.inputs {
			offset, ok := offsets[in.spot]
			if !ok {
				return fmt.Errorf("list offsets: no partition %d in %q", p, in.spot.Topic)
			}
			in.next, add[in.spot] = offset, offset
		}
		c.lanes[p] = l
	}
	c.starts = nil
	return c.reader.Add(add)
}

// read takes one record.
func (c *Counter) read(l *lane, rec *kgo.Record) {
	for _, in := range l.inputs {
		if in.spot.Topic != rec.Topic {
			continue
		}
		fresh, within := in.take(rec, l.open)
		if !fresh {
			return
		}
		o, ok := c.observe(rec, in.kind)
		switch {
		case !ok:
		case within:
			c.count(l, o)
		case in.hold(rec.Offset, o):
			c.reader.Pause(in.spot)
		}
	}
}

// observe decodes what is to be counted and finishes what is not.
func (c *Counter) observe(rec *kgo.Record, kind window.Kind) (window.Observation, bool) {
	switch {
	case rec.Attrs.IsControl():
		c.finished(marker)
		return window.Observation{}, false
	case isReplay(rec):
		c.finished(replayed)
		return window.Observation{}, false
	}
	o, skewed, err := c.decoder.decode(rec, kind)
	if err != nil {
		// Analytics parks it as a dead letter; here it only cannot be counted.
		c.finished(unreadable)
		c.log.Debug("event record not readable", telemetry.Topic(rec.Topic), telemetry.Partition(rec.Partition), telemetry.Offset(rec.Offset))
		return o, false
	}
	if skewed {
		c.met.skewed.Inc()
	}
	return o, true
}

func (c *Counter) count(l *lane, o window.Observation) {
	switch l.ring.Add(o, c.oldest()) {
	case window.Counted:
		c.finished(counted)
	case window.Duplicate:
		c.finished(duplicate)
	case window.Late:
		c.finished(late)
	case window.Keyless:
		c.finished(keyless)
	}
}

func (c *Counter) finished(o outcome) { c.met.finished[o].Inc() }

// finish ends the rounds that are complete: what they changed is to be told.
func (c *Counter) finish() error {
	age := time.Duration(0)
	for _, l := range c.lanes {
		if !l.opened.IsZero() {
			age = max(age, c.now().Sub(l.opened)) // also while no further round can begin
		}
		if !l.complete() {
			continue
		}
		l.open = false
		c.met.rounds.Observe(c.now().Sub(l.opened).Seconds())
		if err := c.told.add(l); err != nil {
			return err
		}
	}
	c.met.age.Set(age.Seconds())
	return nil
}

// tell publishes the finished rounds. What fails is told at a later turn; until
// then no further round is opened.
func (c *Counter) tell(ctx context.Context) error {
	n, err := c.told.publish(ctx)
	c.met.published.Add(float64(n))
	switch {
	case err == nil, ctx.Err() != nil:
		return nil
	case fate.Final(err): // a record too large would be our bug
		return fate.Wrap(fate.Halt, fmt.Errorf("publish rates: %w", err))
	default:
		c.stumbled(fmt.Errorf("publish rates: %w", err))
		return nil
	}
}

func (c *Counter) noteSettled() {
	settled := len(c.starts) == 0
	for _, l := range c.lanes {
		settled = settled && l.settled
	}
	c.settled.Store(settled)
}
