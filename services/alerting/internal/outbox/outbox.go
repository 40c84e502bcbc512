// Package outbox delivers notices to one receiver: one message at a time, in
// order for each alert, at a pace the receiver bears, again and again until it
// takes the message. No answer ends that: a webhook that is gone today is
// replaced tomorrow. Only what ended a day ago is given up.
//
// It keeps nothing beyond the process: what is owed is stored with the alert
// before it is offered here, and offered again after a restart, so a message is
// delivered at least once. It comes again when the process dies between the
// receiver's yes and the record of it, and when the receiver takes a message and its
// yes does not arrive in time. It decides no alert.
package outbox

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/internal/platform/fate"
	"github.com/mailstream/mailstream/services/internal/platform/lifecycle"
	"github.com/mailstream/mailstream/services/internal/platform/telemetry"
)

const (
	// paceMin is the time between two messages of a receiver without terms of its
	// own: Slack allows one a second and channel.
	paceMin = time.Second
	// digestMin is from how many waiting notices of one kind on they are sent in
	// one message: the reader of a flood misses what matters.
	digestMin = 8
	// digestMax bounds the notices of one message.
	digestMax = 500
	// queueMax bounds what waits here. The rest stays with its alert and is offered
	// again.
	queueMax = 10_000
	// giveUpAfter is how long after its end an incident is of no use any more. One
	// that lasts is never given up.
	giveUpAfter = 24 * time.Hour
	// noteInterval is how often one notice reports that it was not delivered: each
	// report is a record of the alert.
	noteInterval = time.Minute
	// refusedDelayMin and refusedDelayMax bound the wait before a notice that was
	// refused is tried again: a person has to mend something first. It doubles.
	refusedDelayMin = time.Minute
	refusedDelayMax = 15 * time.Minute
	// doublingsMax bounds the shift: 2^4 minutes are beyond refusedDelayMax.
	doublingsMax = 4
)

// retryDelay spaces attempts where the receiver does not say how long to wait.
// It stays short enough that people hear within half a minute of its return.
var retryDelay = lifecycle.Backoff{Min: time.Second, Max: 20 * time.Second}

// refusedDelay returns the wait after a notice was refused so many times.
func refusedDelay(refusals int) time.Duration {
	return min(refusedDelayMax, refusedDelayMin<<min(refusals-1, doublingsMax))
}

// Notice is one notification of one alert.
type Notice struct {
	Alert     schemas.Alert // identity, labels, rule; its numbers may be newer than the notice
	Kind      string        // schemas.NotifyFiring, NotifyNoTraffic or NotifyResolved
	Seq       int
	Facts     schemas.AlertFacts
	At        time.Time // when it happened
	Attempts  int       // made so far
	Partition int32     // whose assignment it is delivered under
	// Ref is where the receiver has the message about the same incident, as its
	// Referrer returned it; "" when there is none.
	Ref string
	// Began are the facts of the beginning when no one was notified of that before: the
	// message about the end reports it, too. Set by the outbox.
	Began *schemas.AlertFacts
}

// ID names a notice: an alert never uses a Seq twice while it is known.
type ID struct {
	Fingerprint string
	Seq         int
}

// ID returns the name of n.
func (n Notice) ID() ID { return ID{n.Alert.Fingerprint, n.Seq} }

// Result is what became of an attempt to deliver a notice.
type Result struct {
	ID        ID
	Partition int32
	At        time.Time // when it was delivered or tried
	Attempts  int
	Answer    string    // one word for why it was not delivered; "" when it was
	Refused   bool      // Answer is a refusal: time alone does not help
	Ref       string    // where the message is, from a Referrer
	NextTry   time.Time // zero: none
	Failed    string    // why it was given up; "" when delivered or to be tried again
}

// Ended says that the notice is not tried again.
func (r Result) Ended() bool { return r.NextTry.IsZero() }

// Receiver notifies people.
type Receiver interface {
	// Deliver sends all notices, of one kind, in one message. Nil is delivered. A
	// *Fault says more than another error, and its fate counts.
	Deliver(ctx context.Context, notices []Notice) error
}

// Referrer is a receiver that can change a message that it has.
type Referrer interface {
	// DeliverRef is Deliver, and returns where the message is: later notices of the
	// incident carry it as Ref.
	DeliverRef(ctx context.Context, notices []Notice) (ref string, err error)
}

// Terms are how messages must come to a receiver.
type Terms struct {
	Pace      time.Duration // between two messages
	DigestMin int           // from so many notices on they are one message; 1: always, 0: never
	DigestMax int           // notices of one message
}

// TermSetter is a receiver with terms of its own.
type TermSetter interface{ Terms() Terms }

// Pager is a receiver that calls people, or shows what is wrong now: it hears of no
// incident that was seen only in hindsight.
type Pager interface{ Pages() bool }

// Holder is a receiver that must hear of an incident as long as it lasts.
type Holder interface {
	// Hold says which alerts people were notified of through this receiver, those that
	// ended lately included. It replaces what was said before and returns at once.
	Hold(alerts []schemas.Alert)
}

// Runner is a receiver with work beside its messages.
type Runner interface {
	// Run works until ctx is done, which is not an error.
	Run(ctx context.Context) error
}

// Fault is why a receiver did not take a message. The fate it is wrapped in says
// what helps: retry, time alone; dead letter, another message, for only this one is
// at fault; halt, a person who mends something.
type Fault struct {
	Reason     string        // one word
	RetryAfter time.Duration // what the receiver asked to wait, 0 for nothing
	Err        error
}

// Error returns the cause's text.
func (f *Fault) Error() string { return f.Err.Error() }

// Unwrap returns the cause.
func (f *Fault) Unwrap() error { return f.Err }

// Outbox is the queue of one receiver. Offer, Withdraw and Results are called by
// one owner; Run works beside it.
type Outbox struct {
	name  string
	to    Receiver
	terms Terms
	log   *zap.Logger // throttled
	met   *Metrics
	wake  chan struct{} // has a value when something may be due

	mu      sync.Mutex
	queue   []*entry      // oldest first; guarded by mu
	known   map[ID]bool   // queued, or in results; guarded by mu
	idle    chan struct{} // closed when nothing is under way; guarded by mu
	results []Result      // guarded by mu

	faults int // in a row, that may pass by themselves; Run's own
}

// New returns an empty outbox of the receiver called name.
func New(name string, to Receiver, log *zap.Logger, met *Metrics) *Outbox {
	b := &Outbox{
		name: name, to: to, terms: Terms{Pace: paceMin, DigestMin: digestMin, DigestMax: digestMax},
		log: telemetry.Throttled(log, telemetry.ByReceiver), met: met, wake: make(chan struct{}, 1), known: make(map[ID]bool),
	}
	if t, ok := to.(TermSetter); ok {
		b.terms = t.Terms()
	}
	return b
}

// Name is the receiver's name in schemas.Notification.
func (b *Outbox) Name() string { return b.name }

// Pages says whether the receiver is a Pager.
func (b *Outbox) Pages() bool {
	p, ok := b.to.(Pager)
	return ok && p.Pages()
}

// Hold passes on which alerts the receiver was notified of, to one that wants to know.
func (b *Outbox) Hold(alerts func(receiver string) []schemas.Alert) {
	if h, ok := b.to.(Holder); ok {
		h.Hold(alerts(b.name))
	}
}

// Offer queues a notice unless it is known already or the queue is full. Those
// of one alert must be offered in their order.
func (b *Outbox) Offer(n Notice) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.known[n.ID()] || len(b.queue) >= queueMax {
		return
	}
	b.known[n.ID()] = true
	b.queue = append(b.queue, &entry{Notice: n})
	b.gauge()
	b.signal()
}

// signal wakes Run.
func (b *Outbox) signal() {
	select {
	case b.wake <- struct{}{}:
	default:
	}
}

// Withdraw forgets the notices of partitions that are another instance's now, and
// waits until none of them is under way. One that is being delivered finishes.
func (b *Outbox) Withdraw(ctx context.Context, partitions []int32) {
	for {
		b.mu.Lock()
		busy := false
		b.queue = slices.DeleteFunc(b.queue, func(e *entry) bool {
			mine := slices.Contains(partitions, e.Partition)
			busy = busy || mine && e.busy
			if mine && !e.busy {
				delete(b.known, e.ID())
			}
			return mine && !e.busy
		})
		b.gauge()
		idle := b.idle
		b.mu.Unlock()
		if !busy {
			return
		}
		select {
		case <-idle:
		case <-ctx.Done():
			return
		}
	}
}

// Reconfigured says that the receiver's configuration is another one: what was refused
// is tried at once.
func (b *Outbox) Reconfigured() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, e := range b.queue {
		if e.refused {
			e.due, e.refusals = time.Now(), 0
		}
	}
	b.signal()
}

// Retract forgets a notice that must not be sent now, so that it can be offered later.
// It returns false when it is too late: the attempt is under way, or over and not yet
// noted.
func (b *Outbox) Retract(id ID) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	i := slices.IndexFunc(b.queue, func(e *entry) bool { return e.ID() == id })
	if i < 0 || b.queue[i].busy {
		return !b.known[id]
	}
	b.queue = slices.Delete(b.queue, i, i+1)
	delete(b.known, id)
	b.gauge()
	return true
}

// Results returns what happened since the last call. Until Settled is called for
// one that ended, its notice is not taken again.
func (b *Outbox) Results() []Result {
	b.mu.Lock()
	defer b.mu.Unlock()
	out := b.results
	b.results = nil
	return out
}

// Settled says that the result of a notice that ended is stored.
func (b *Outbox) Settled(id ID) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.known, id)
}

// Run delivers until ctx is done, which is not an error.
func (b *Outbox) Run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	if r, ok := b.to.(Runner); ok {
		g.Go(func() error { return r.Run(ctx) })
	}
	g.Go(func() error { return b.loop(ctx) })
	return g.Wait()
}

func (b *Outbox) loop(ctx context.Context) error {
	for ctx.Err() == nil {
		batch, wait := b.take()
		if len(batch) == 0 {
			b.rest(ctx, wait)
			continue
		}
		_ = lifecycle.Sleep(ctx, b.deliver(ctx, batch)) // the loop sees that ctx is done
	}
	return nil
}

// rest waits until something is offered or due.
func (b *Outbox) rest(ctx context.Context, wait time.Duration) {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-b.wake:
	case <-timer.C:
	case <-ctx.Done():
	}
}

// take picks what to send next; when nothing is due, it says when to look again.
func (b *Outbox) take() (batch []parcel, wait time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	batch, wait = next(b.queue, b.terms, time.Now())
	b.idle = make(chan struct{})
	for _, p := range batch {
		for _, e := range p.entries {
			e.busy = true
		}
	}
	return batch, wait
}

// deliver makes one attempt and returns how long to wait before the next message.
// An attempt under way is always finished: half a try is a message no one knows
// of.
func (b *Outbox) deliver(ctx context.Context, batch []parcel) (pause time.Duration) {
	notices := make([]Notice, 0, len(batch))
	for _, p := range batch {
		notices = append(notices, p.notice)
	}
	ref, err := b.send(context.WithoutCancel(ctx), notices)
	v := b.judge(err)
	b.met.attempts.WithLabelValues(b.name, v.outcome).Inc()
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	for _, p := range batch {
		stale := p.stale(now)
		for _, e := range p.entries {
			r := e.settle(v, stale, now)
			r.Ref = ref
			b.report(e, r, now)
		}
	}
	if ref != "" {
		b.refer(notices[0], ref)
	}
	b.queue = slices.DeleteFunc(b.queue, func(e *entry) bool { return e.ended })
	if v.outcome == attemptDelivered { // what was refused before may be taken now
		for _, e := range b.queue {
			if e.refused && !e.message {
				e.due = now
			}
		}
	}
	b.gauge()
	close(b.idle)
	return v.pause
}

// send makes the attempt. A message about several incidents is of no use to later
// notices of one of them.
func (b *Outbox) send(ctx context.Context, notices []Notice) (ref string, err error) {
	to, ok := b.to.(Referrer)
	if !ok {
		return "", b.to.Deliver(ctx, notices)
	}
	ref, err = to.DeliverRef(ctx, notices)
	if len(notices) > 1 {
		ref = ""
	}
	return ref, err
}

// refer notes in waiting notices of the same incident where its message is. The caller
// holds mu.
func (b *Outbox) refer(sent Notice, ref string) {
	for _, e := range b.queue {
		if e.Alert.Fingerprint == sent.Alert.Fingerprint && e.Facts.Incident == sent.Facts.Incident {
			e.Ref = ref
		}
	}
}

// judge reads the answer to an attempt.
func (b *Outbox) judge(err error) verdict {
	if err == nil {
		b.faults = 0
		return verdict{outcome: attemptDelivered, pause: b.terms.Pace}
	}
	answer, retryAfter := "error", time.Duration(0)
	if f, ok := errors.AsType[*Fault](err); ok {
		answer, retryAfter = f.Reason, f.RetryAfter
	}
	if fate.Final(err) {
		b.faults = 0
		b.log.Error("notification was refused and will be tried again", telemetry.Receiver(b.name), telemetry.Reason(answer), telemetry.Err(err))
		return verdict{outcome: attemptRefused, answer: answer, message: fate.Of(err) == fate.DeadLetter, pause: b.terms.Pace}
	}
	b.faults++
	v := verdict{outcome: attemptFailed, answer: answer, pause: max(retryDelay.Next(b.faults), b.terms.Pace, retryAfter)}
	b.log.Warn("notification was not delivered yet", telemetry.Receiver(b.name), telemetry.Attempt(b.faults), telemetry.Delay(v.pause), telemetry.Err(err))
	return v
}

// report hands out a result, unless it repeats one of a moment ago. The caller
// holds mu.
func (b *Outbox) report(e *entry, r Result, now time.Time) {
	switch {
	case r.Failed != "":
		b.met.notices.WithLabelValues(b.name, noticeGivenUp).Inc()
	case r.Ended():
		b.met.notices.WithLabelValues(b.name, noticeDelivered).Inc()
	case e.noted.answer == r.Answer && now.Sub(e.noted.at) < noteInterval:
		return
	}
	e.noted.answer, e.noted.at = r.Answer, now
	// A result that is not fetched yet is overtaken by this one.
	b.results = slices.DeleteFunc(b.results, func(old Result) bool { return old.ID == r.ID })
	b.results = append(b.results, r)
}

// gauge shows what waits. The caller holds mu.
func (b *Outbox) gauge() {
	refused := 0
	for _, e := range b.queue {
		if e.refused {
			refused++
		}
	}
	b.met.waiting.WithLabelValues(b.name).Set(float64(len(b.queue)))
	b.met.refused.WithLabelValues(b.name).Set(float64(refused))
}
