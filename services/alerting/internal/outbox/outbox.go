// Package outbox delivers notices to one receiver: one message at a time, in
// order for each alert, at a pace the receiver bears, again and again until it
// takes the message or refuses it for good.
//
// It keeps nothing beyond the process: what is owed is stored with the alert
// before it is offered here, and offered again after a restart, so a message is
// delivered at least once, and twice only if the process dies between the
// receiver's yes and the record of it. It decides no alert.
package outbox

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/internal/platform/lifecycle"
	"github.com/mailstream/mailstream/services/internal/platform/telemetry"
)

const (
	// paceMin is the time between two messages: Slack allows one a second and
	// channel.
	paceMin = time.Second
	// digestMin is from how many waiting notices of one kind on they are told in
	// one message: a flood hides what it tells.
	digestMin = 8
	// digestMax bounds the notices of one message.
	digestMax = 500
	// queueMax bounds what waits here. The rest stays with its alert and is offered
	// again.
	queueMax = 10_000
	// giveUpAfter is when a message is too old to be of use to anybody.
	giveUpAfter = 24 * time.Hour
)

// retryDelay spaces attempts where the receiver does not say how long to wait.
// It stays short enough that people hear within half a minute of its return.
var retryDelay = lifecycle.Backoff{Min: time.Second, Max: 20 * time.Second}

// Notice is one notification of one alert.
type Notice struct {
	Alert     schemas.Alert // identity, labels, rule; its numbers may be newer than the notice
	Kind      string        // schemas.NotifyFiring or schemas.NotifyResolved
	Seq       int
	Facts     schemas.AlertFacts
	At        time.Time // when it happened
	Partition int32     // whose lease it is delivered under
}

// ID names a notice: an alert never uses a Seq twice while it is known.
type ID struct {
	Fingerprint string
	Seq         int
}

// ID returns the name of n.
func (n Notice) ID() ID { return ID{n.Alert.Fingerprint, n.Seq} }

// Result is how the delivery of a notice ended.
type Result struct {
	ID        ID
	Partition int32
	At        time.Time
	Attempts  int
	Failed    string // why it was given up; "" when delivered
}

// Receiver tells people.
type Receiver interface {
	// Deliver tells all notices, of one kind, in one message. Nil is delivered;
	// *Refused is never; every other error, *Again among them, is not yet.
	Deliver(ctx context.Context, notices []Notice) error
}

// Again is a passing fault of a receiver.
type Again struct {
	After time.Duration // what the receiver asked to wait, 0 for nothing
	Err   error
}

// Error returns the cause's text.
func (e *Again) Error() string { return e.Err.Error() }

// Unwrap returns the cause.
func (e *Again) Unwrap() error { return e.Err }

// Refused is a receiver's no for good.
type Refused struct {
	Reason string // one word
	Err    error
}

// Error returns the cause's text.
func (e *Refused) Error() string { return e.Err.Error() }

// Unwrap returns the cause.
func (e *Refused) Unwrap() error { return e.Err }

// Outbox is the queue of one receiver. Offer, Withdraw and Results are called by
// one owner; Run works beside it.
type Outbox struct {
	name string
	to   Receiver
	log  *zap.Logger
	met  *Metrics
	wake chan struct{} // has a value when something was offered

	mu      sync.Mutex
	queue   []Notice           // oldest first; guarded by mu
	known   map[ID]bool        // queued, under way or in results; guarded by mu
	busy    []Notice           // under way; guarded by mu
	stop    context.CancelFunc // gives up waiting to try busy again; guarded by mu
	idle    chan struct{}      // closed when busy is done with; guarded by mu
	results []Result           // guarded by mu
}

// New returns an empty outbox of the receiver called name.
func New(name string, to Receiver, log *zap.Logger, met *Metrics) *Outbox {
	return &Outbox{name: name, to: to, log: log, met: met, wake: make(chan struct{}, 1), known: make(map[ID]bool)}
}

// Name is the receiver's name in schemas.Notification.
func (b *Outbox) Name() string { return b.name }

// Offer queues a notice unless it is known already or the queue is full. Those
// of one alert must be offered in their order.
func (b *Outbox) Offer(n Notice) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.known[n.ID()] || len(b.queue) >= queueMax {
		return
	}
	b.known[n.ID()] = true
	b.queue = append(b.queue, n)
	b.met.waiting.Set(float64(len(b.queue) + len(b.busy)))
	select {
	case b.wake <- struct{}{}:
	default:
	}
}

// Withdraw forgets the notices of partitions that are somebody else's now, and
// waits until none of them is under way. One that is being delivered finishes.
func (b *Outbox) Withdraw(ctx context.Context, partitions []int32) {
	mine := func(n Notice) bool { return slices.Contains(partitions, n.Partition) }
	for {
		b.mu.Lock()
		for _, n := range b.queue {
			if mine(n) {
				delete(b.known, n.ID())
			}
		}
		b.queue = slices.DeleteFunc(b.queue, mine)
		if !slices.ContainsFunc(b.busy, mine) {
			b.mu.Unlock()
			return
		}
		idle := b.idle
		b.stop()
		b.mu.Unlock()
		select {
		case <-idle:
		case <-ctx.Done():
			return
		}
	}
}

// Results returns what ended since the last call. Until Settled is called for
// it, a notice is not taken again.
func (b *Outbox) Results() []Result {
	b.mu.Lock()
	defer b.mu.Unlock()
	out := b.results
	b.results = nil
	return out
}

// Settled says that the result of a notice is stored.
func (b *Outbox) Settled(id ID) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.known, id)
}

// Run delivers until ctx is done, which is no error.
func (b *Outbox) Run(ctx context.Context) error {
	for ctx.Err() == nil {
		batch, work := b.take(ctx)
		if len(batch) == 0 {
			select {
			case <-b.wake:
			case <-ctx.Done():
			}
			continue
		}
		b.deliver(ctx, work, batch)
		if err := lifecycle.Sleep(ctx, paceMin); err != nil {
			break
		}
	}
	return nil
}

// take moves the next notice, or the next digest, from the queue to busy. work
// ends when it is withdrawn.
func (b *Outbox) take(ctx context.Context) (batch []Notice, work context.Context) {
	b.mu.Lock()
	defer b.mu.Unlock()
	batch, rest := next(b.queue)
	if len(batch) == 0 {
		return nil, nil
	}
	b.queue, b.busy, b.idle = rest, batch, make(chan struct{})
	work, b.stop = context.WithCancel(ctx)
	return batch, work
}

// next picks the oldest notice, and with it all others of its kind that are the
// first of their alert when there are enough for a digest.
func next(queue []Notice) (batch, rest []Notice) {
	if len(queue) == 0 {
		return nil, queue
	}
	seen := make(map[string]bool)
	var heads []int
	for i, n := range queue {
		if !seen[n.Alert.Fingerprint] && n.Kind == queue[0].Kind && len(heads) < digestMax {
			heads = append(heads, i)
		}
		seen[n.Alert.Fingerprint] = true
	}
	if len(heads) < digestMin {
		return slices.Clone(queue[:1]), slices.Clone(queue[1:])
	}
	for i, n := range queue {
		if len(heads) > 0 && heads[0] == i {
			batch, heads = append(batch, n), heads[1:]
		} else {
			rest = append(rest, n)
		}
	}
	return batch, rest
}

// deliver tries until the batch is delivered, refused, too old or withdrawn. An
// attempt under way is always finished: half a try is a message nobody knows of.
func (b *Outbox) deliver(ctx, work context.Context, batch []Notice) {
	for attempt := 1; ; attempt++ {
		err := b.to.Deliver(context.WithoutCancel(ctx), batch)
		failed, delay := b.judge(err, attempt, batch[0].At)
		if delay == 0 {
			b.finish(batch, attempt, failed)
			return
		}
		b.met.attempts.WithLabelValues(b.name, attemptFailed).Inc()
		b.log.Warn("notification was not delivered yet", telemetry.Receiver(b.name), telemetry.Attempt(attempt), telemetry.Delay(delay), telemetry.Err(err))
		if lifecycle.Sleep(work, delay) != nil {
			b.giveBack(ctx, batch)
			return
		}
	}
}

// judge says how long to wait before the next attempt, 0 for none.
func (b *Outbox) judge(err error, attempt int, since time.Time) (failed string, delay time.Duration) {
	if err == nil {
		return "", 0
	}
	if r, ok := errors.AsType[*Refused](err); ok {
		b.log.Error("notification was refused for good", telemetry.Receiver(b.name), telemetry.Reason(r.Reason), telemetry.Err(err))
		return r.Reason, 0
	}
	if time.Since(since) > giveUpAfter {
		b.log.Error("notification was given up", telemetry.Receiver(b.name), telemetry.Attempt(attempt), telemetry.Err(err))
		return fmt.Sprintf("not delivered in %s", giveUpAfter), 0
	}
	delay = retryDelay.Next(attempt)
	if a, ok := errors.AsType[*Again](err); ok {
		delay = max(delay, a.After)
	}
	return "", delay
}

func (b *Outbox) finish(batch []Notice, attempts int, failed string) {
	outcome := attemptDelivered
	if failed != "" {
		outcome = attemptRefused
	}
	b.met.attempts.WithLabelValues(b.name, outcome).Inc()
	now := time.Now()
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, n := range batch {
		b.met.notices.WithLabelValues(b.name, outcome).Inc()
		b.results = append(b.results, Result{ID: n.ID(), Partition: n.Partition, At: now, Attempts: attempts, Failed: failed})
	}
	b.rest()
}

// giveBack ends the work on a withdrawn batch. What of it is still ours goes to
// the front of the queue again; Withdraw takes out the rest.
func (b *Outbox) giveBack(ctx context.Context, batch []Notice) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if ctx.Err() == nil {
		b.queue = append(batch, b.queue...)
	}
	b.rest()
}

// rest says that nothing is under way. The caller holds mu.
func (b *Outbox) rest() {
	b.stop()
	b.busy = nil
	close(b.idle)
	b.met.waiting.Set(float64(len(b.queue)))
}
