// Package counter is the first stage of alerting: it counts unique events into
// panes, per source and destination, one partitionSet a partition number, and
// publishes what changed to the rates topic. rounds counts; Counter reads and writes.
//
// Every report is consistent across the event topics (see partitionSet) and
// cumulative, so a repeated one changes nothing. It keeps no durable state: when
// partitions are assigned, everything since one window ago is read again, and nothing
// is published before that is done. It never commits an offset and decides no alert.
package counter

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/internal/platform/fate"
	"github.com/mailstream/mailstream/services/internal/platform/kafka"
	"github.com/mailstream/mailstream/services/internal/platform/kafka/membership"
	"github.com/mailstream/mailstream/services/internal/platform/kafka/read"
	"github.com/mailstream/mailstream/services/internal/platform/lifecycle"
	"github.com/mailstream/mailstream/services/internal/platform/telemetry"
)

const (
	// roundInterval is how often a round begins: a tenth of what an alert may
	// take from the event to Slack.
	roundInterval = 200 * time.Millisecond
	// pollRecordsMax bounds the records between two looks at assignments and rounds.
	pollRecordsMax = 5_000
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
	// Literal has the providers whose bounces are never blocks (registry.Literal).
	Literal map[string]bool
	Now     func() time.Time
	// Settled is called when every partition has published its first round; it must be
	// quick.
	Settled func()
}

// Counter is the stage. It is a membership.Worker through its Queue.
type Counter struct {
	*membership.Queue
	opt     Options
	log     *zap.Logger // throttled
	met     *metrics
	reader  *read.Reader
	topics  []string
	rounds  rounds
	starts  []int32 // assigned, start not yet known
	rates   ratePublisher
	nextAsk time.Time
	faults  int // in a row
	settled atomic.Bool
}

// New returns a counter that has no partitions yet.
func New(opt Options, pub Publisher, log *zap.Logger, reg prometheus.Registerer) *Counter {
	c := &Counter{
		Queue: membership.NewQueue(), opt: opt, log: telemetry.Throttled(log), met: newMetrics(reg),
		reader: read.NewReader(opt.Kafka, log, reg), topics: Topics(opt.Kafka.TopicPrefix),
	}
	c.rounds = rounds{
		prefix: opt.Kafka.TopicPrefix, window: opt.Window, seriesMax: opt.SeriesMax, log: c.log, met: c.met,
		sets: make(map[int32]*partitionSet), decoder: decoder{literal: opt.Literal},
	}
	c.rates = newRatePublisher(schemas.RatesTopic(opt.Kafka.TopicPrefix), int(opt.Kafka.Topics.Partitions), pub)
	return c
}

// Newest returns when the latest live event that was read was written to Kafka, zero
// when none was.
func (c *Counter) Newest() time.Time {
	if at := c.rounds.newest.Load(); at > 0 {
		return time.UnixMilli(at)
	}
	return time.Time{}
}

// Settled says whether the first round of every partition is published.
func (c *Counter) Settled() bool { return c.settled.Load() && c.Pending() == 0 }

// Run counts until ctx is done, which is not an error.
func (c *Counter) Run(ctx context.Context) error {
	defer c.reader.Close()
	defer c.End()
	for ctx.Err() == nil {
		c.apply()
		c.noteSettled()
		if len(c.rounds.sets) == 0 && len(c.starts) == 0 {
			c.met.age.Set(0) // other instances have the rounds
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

// step is one turn: ask for offsets when it is time, read, and publish what is
// complete.
func (c *Counter) step(ctx context.Context) error {
	if now := c.opt.Now(); !now.Before(c.nextAsk) {
		c.nextAsk = now.Add(roundInterval)
		if err := c.ask(ctx); err != nil {
			switch {
			case ctx.Err() != nil:
				return nil
			case fate.Final(err):
				return err
			}
			c.putOff(err)
		}
	}
	until := time.Now().Add(max(c.nextAsk.Sub(c.opt.Now()), time.Millisecond))
	if len(c.rounds.sets) == 0 { // nothing to read yet
		_ = lifecycle.Sleep(ctx, time.Until(until)) // the loop sees that ctx is done
		return nil
	}
	recs, err := c.reader.PollUntil(ctx, until, pollRecordsMax)
	if err != nil {
		return err
	}
	now, polled := c.opt.Now(), time.Now()
	for _, rec := range recs {
		if c.rounds.read(rec, now, polled) {
			c.reader.Pause(kafka.TopicPartition{Topic: rec.Topic, Partition: rec.Partition})
		}
	}
	return c.publish(ctx)
}

// putOff logs a fault that passes and lets the next attempt wait.
func (c *Counter) putOff(err error) {
	c.faults++
	c.met.faults.Inc()
	delay := retryDelay.Next(c.faults)
	c.nextAsk = c.opt.Now().Add(delay)
	c.log.Warn("counting failed and will be tried again", telemetry.Attempt(c.faults), telemetry.Delay(delay), telemetry.Err(err))
}

// apply carries out the assignments of the group.
func (c *Counter) apply() {
	for _, a := range c.Drain() {
		for _, p := range a.Partitions {
			c.drop(p)
			if !a.Revoked {
				c.starts = append(c.starts, p)
				c.settled.Store(false)
				c.nextAsk = c.opt.Now()
			}
		}
		a.Done()
	}
	c.met.sets.Set(float64(len(c.rounds.sets) + len(c.starts)))
}

func (c *Counter) drop(p int32) {
	c.starts = slices.DeleteFunc(c.starts, func(q int32) bool { return q == p })
	if partitions := c.rounds.remove(p); len(partitions) > 0 {
		c.reader.Remove(partitions...)
		c.rates.forget(p)
	}
}

// ask starts assigned partitions and opens the rounds that are due.
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
	now := c.opt.Now()
	if err := c.unstick(ctx); err != nil {
		return err
	}
	if !c.rates.pending() { // a broker that does not take counts gets no more of them
		c.reader.Resume(c.rounds.begin(now, ends)...)
	}
	return nil
}

// unstick helps when a round makes no progress: it goes beyond records that are
// deleted by now, where nothing would ever be read, and reads with a new
// connection.
func (c *Counter) unstick(ctx context.Context) error {
	if !c.rounds.stuck() {
		return nil
	}
	starts, err := c.reader.Starts(ctx, c.topics...)
	if err != nil {
		return err
	}
	from := c.rounds.skip(starts)
	c.met.faults.Inc()
	c.log.Warn("reading has stalled: reading again with a new connection", telemetry.Rows(len(from)))
	return c.reader.Reset(from)
}

// start begins to read the assigned partitions where one window ago is. An event is
// never placed after its record, so all events of the window lie from there on.
func (c *Counter) start(ctx context.Context) error {
	since := time.Unix(c.rounds.oldest(c.opt.Now()).Start(), 0).Add(-startMargin)
	offsets, err := c.reader.After(ctx, since, c.topics...)
	if err != nil {
		return err
	}
	from, err := c.rounds.add(c.starts, offsets)
	if err != nil {
		return err
	}
	c.starts = nil
	return c.reader.Add(from)
}

// publish ends complete rounds and publishes them. What fails is published at a later
// turn; until then no further round is opened.
func (c *Counter) publish(ctx context.Context) error {
	for _, s := range c.rounds.finish(c.opt.Now()) {
		if err := c.rates.add(s); err != nil {
			return err
		}
	}
	n, err := c.rates.publish(ctx)
	c.met.published.Add(float64(n))
	switch {
	case err == nil, ctx.Err() != nil:
		return nil
	case fate.Final(err): // a record too large would be our bug
		return fate.Wrap(fate.Halt, fmt.Errorf("publish rates: %w", err))
	default:
		c.putOff(fmt.Errorf("publish rates: %w", err))
		return nil
	}
}

func (c *Counter) noteSettled() {
	settled := len(c.starts) == 0 && c.rounds.settled()
	if c.settled.Store(settled); settled {
		c.opt.Settled()
	}
}
