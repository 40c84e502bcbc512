package evaluator

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/alerting/internal/book"
	"github.com/mailstream/mailstream/services/alerting/internal/outbox"
	"github.com/mailstream/mailstream/services/alerting/internal/rule"
	"github.com/mailstream/mailstream/services/alerting/internal/slow"
	"github.com/mailstream/mailstream/services/internal/platform/fate"
	"github.com/mailstream/mailstream/services/internal/platform/telemetry"
)

const (
	// seenTimeout bounds the wait for our own record to come back. Beyond it the
	// next turn finds out what became of it.
	seenTimeout = 5 * time.Second
	// keepResolved is how long an ended alert is remembered and shown.
	keepResolved = 24 * time.Hour
	// writeMax bounds the records of one request to the producer.
	writeMax = 500
)

// store writes the drafts and hands out what they owe. What could not be written
// is judged again at the next turn, from the state that is written.
func (e *Evaluator) store(ctx context.Context, p *part, drafts []*draft) error {
	drafts = slices.DeleteFunc(drafts, func(d *draft) bool { return !d.write })
	for batch := range slices.Chunk(drafts, writeMax) {
		var written []*draft
		alerts := make([]schemas.Alert, 0, len(batch))
		for _, d := range batch {
			alerts = append(alerts, d.alert)
		}
		if !e.keepEnded(ctx, e.replaced(alerts)) {
			return nil // the next turn judges once more
		}
		won, err := e.write(ctx, alerts)
		if err != nil {
			return err
		}
		for i, d := range batch {
			if !won[i] {
				continue
			}
			written = append(written, d)
			d.alert = alerts[i] // with its timeline
			e.live[d.alert.Fingerprint] = live{version: d.alert.Version, status: d.status}
			if d.alert.Group != slow.Group {
				p.active[keyOf(d.alert.Labels)] = d.status.Active()
			}
			e.announce(d)
		}
		e.explain(written)
		for _, d := range written {
			e.offer(&d.alert)
		}
	}
	return nil
}

// write appends alerts to the log and says which of them the log took. Only
// these are true; the others lost to another writer or are not known to be
// written yet.
func (e *Evaluator) write(ctx context.Context, alerts []schemas.Alert) (won []bool, err error) {
	won = make([]bool, len(alerts))
	recs := make([]*kgo.Record, 0, len(alerts))
	for i := range alerts {
		prev, _ := e.book.Get(alerts[i].Fingerprint)
		extend(&prev, &alerts[i])
		rec, err := book.Record(e.topics.alerts, &alerts[i])
		if err != nil {
			return won, fate.Wrap(fate.Halt, err)
		}
		recs = append(recs, rec)
	}
	if err := e.pub.Publish(ctx, recs...); err != nil {
		if fate.Of(err) != fate.Retry {
			return won, fate.Wrap(fate.Halt, fmt.Errorf("write alerts: %w", err))
		}
		if ctx.Err() == nil {
			e.stumbled(fmt.Errorf("write alerts: %w", err))
		}
		return won, nil
	}
	wait, cancel := context.WithTimeout(ctx, seenTimeout)
	defer cancel()
	for i, rec := range recs {
		if err := e.tail.Wait(wait, rec.Partition, rec.Offset); err != nil {
			if ctx.Err() == nil {
				e.stumbled(fmt.Errorf("wait for own alert record: %w", err))
			}
			return won, nil
		}
		have, _ := e.book.Get(alerts[i].Fingerprint)
		won[i] = have.Version == alerts[i].Version && have.Writer == alerts[i].Writer
		if !won[i] {
			e.met.conflicts.Inc()
		}
	}
	e.faults = 0
	return won, nil
}

// announce logs and counts a change people care about.
func (e *Evaluator) announce(d *draft) {
	var msg string
	switch d.event {
	case rule.Fired:
		msg = "alert fired"
		e.met.transitions.WithLabelValues(string(schemas.AlertFiring)).Inc()
	case rule.Resolved:
		msg = "alert resolved"
		e.met.transitions.WithLabelValues(string(schemas.AlertResolved)).Inc()
	default:
		return
	}
	e.often.Info(msg, telemetry.Name(d.alert.Rule), telemetry.Source(d.alert.Labels[schemas.LabelSource]),
		telemetry.Fingerprint(d.alert.Fingerprint), telemetry.Incident(d.alert.Incident))
}

// offer hands what the alert owes to the outboxes, in order. What they have
// already they do not take twice. What a silence hides waits until it is over, and a
// message for a moment until it can say who carries the spike.
func (e *Evaluator) offer(a *schemas.Alert) {
	if until, held := e.held[a.Fingerprint]; held && time.Now().Before(until) {
		return
	}
	partition, hidden := e.place(a.Group), e.hidden(a)
	for _, n := range a.Notify {
		b := e.receiver(n.Receiver)
		if b == nil || !n.Owed() || n.Facts == nil {
			continue
		}
		if hidden && (n.Kind != schemas.NotifyResolved || n.Facts.Late) {
			b.Retract(outbox.ID{Fingerprint: a.Fingerprint, Seq: n.Seq})
			continue
		}
		b.Offer(outbox.Notice{
			Alert: *a, Kind: n.Kind, Seq: n.Seq, Facts: *n.Facts, At: n.QueuedAt, Attempts: n.Attempts, Partition: partition,
			Ref: refOf(a, n),
		})
	}
}

// refOf returns where the receiver of n has the message about the same incident.
func refOf(a *schemas.Alert, n schemas.Notification) (ref string) {
	for _, m := range a.Notify {
		if m.Receiver == n.Receiver && m.Ref != "" && n.Facts.Incident == a.Incident && !m.QueuedAt.Before(a.Since) {
			ref = m.Ref
		}
	}
	return ref
}

// collect writes down what the outboxes delivered, gave up or will try again.
func (e *Evaluator) collect(ctx context.Context) error {
	for _, r := range e.opt.Receivers {
		e.unsaved = append(e.unsaved, r.Results()...)
	}
	for len(e.unsaved) > 0 {
		results := e.unsaved[:min(len(e.unsaved), writeMax)]
		alerts := e.noted(results)
		won, err := e.write(ctx, alerts)
		if err != nil || slices.Contains(won, false) {
			return err // at the next turn again
		}
		for _, a := range alerts {
			if l, ok := e.live[a.Fingerprint]; ok && l.version == a.Version-1 {
				e.live[a.Fingerprint] = live{version: a.Version, status: l.status}
			}
		}
		for _, r := range results {
			for _, b := range e.opt.Receivers {
				if r.Ended() {
					b.Settled(r.ID)
				}
			}
		}
		e.unsaved = e.unsaved[len(results):]
	}
	return nil
}

// noted returns the alerts that the results change, changed.
func (e *Evaluator) noted(results []outbox.Result) []schemas.Alert {
	byFingerprint := make(map[string]*schemas.Alert)
	for _, r := range results {
		a := byFingerprint[r.ID.Fingerprint]
		if a == nil {
			have, known := e.book.Get(r.ID.Fingerprint)
			if !known {
				continue
			}
			a = &have
		}
		if mark(a, r) {
			byFingerprint[r.ID.Fingerprint] = a
		}
	}
	alerts := make([]schemas.Alert, 0, len(byFingerprint))
	for _, a := range byFingerprint {
		a.Version++
		a.Writer = e.opt.Instance
		alerts = append(alerts, *a)
	}
	return alerts
}

// mark notes in a copy of the alert's notifications what became of one. It
// returns false when there is nothing to note.
func mark(a *schemas.Alert, r outbox.Result) bool {
	i := slices.IndexFunc(a.Notify, func(n schemas.Notification) bool { return n.Seq == r.ID.Seq && n.Owed() })
	if i < 0 {
		return false
	}
	a.Notify = slices.Clone(a.Notify)
	n := &a.Notify[i]
	n.Attempts, n.Failed, n.NextTryAt = r.Attempts, r.Failed, r.NextTry
	if r.Answer == "" {
		n.SentAt = r.At
	} else {
		n.LastAnswer, n.TriedAt = r.Answer, r.At
	}
	n.Refused, n.Ref = r.Refused, r.Ref
	if r.Ended() {
		n.Facts = nil
	}
	return true
}

// tend looks after the alerts of the assigned partitions: what they still owe,
// rules that are gone, ended ones to forget, records to repair.
func (e *Evaluator) tend(ctx context.Context, now time.Time) error {
	mine := func(a *schemas.Alert) bool {
		p := e.parts[e.place(a.Group)]
		return p != nil && p.settled
	}
	var rewrite []schemas.Alert
	var forget []schemas.Alert
	firing, hidden := 0, 0
	alerts := e.book.All(mine)
	e.hold(alerts, now)
	for _, a := range alerts {
		e.offer(&a)
		status := rule.Status{State: a.State}
		switch {
		case status.Open():
			firing++
			if silenced(&a) {
				hidden++
			}
		case !status.Active() && !e.owes(&a) && now.Sub(a.UpdatedAt) > keepResolved:
			forget = append(forget, a)
			continue
		}
		switch {
		case status.Active() && a.Rule != schemas.RuleReceiver && !e.ruled(&a):
			rewrite = append(rewrite, e.orphan(a, now))
		case e.book.Contested(a.Fingerprint):
			a.Version++
			a.Writer = e.opt.Instance
			rewrite = append(rewrite, a)
		}
	}
	e.met.firing.Set(float64(firing))
	e.met.silenced.Set(float64(hidden))
	for batch := range slices.Chunk(rewrite, writeMax) {
		if _, err := e.write(ctx, batch); err != nil {
			return err
		}
	}
	e.forget(ctx, forget)
	e.sweep(ctx, now)
	return nil
}

// owes says whether a receiver that is configured still waits for a message.
func (e *Evaluator) owes(a *schemas.Alert) bool {
	return slices.ContainsFunc(a.Notify, func(n schemas.Notification) bool {
		return n.Owed() && slices.ContainsFunc(e.opt.Receivers, func(r *outbox.Outbox) bool { return r.Name() == n.Receiver })
	})
}

// ruled says whether the configuration still has the rule of a.
func (e *Evaluator) ruled(a *schemas.Alert) bool {
	if a.Group == slow.Group {
		return e.ruledSQL(a)
	}
	k := keyOf(a.Labels)
	return slices.ContainsFunc(e.opt.Rules, func(r rule.Rule) bool {
		return r.Name == a.Rule && slices.Contains(r.By, k.Dimension)
	})
}

// orphan ends an alert that nothing would ever step again.
func (e *Evaluator) orphan(a schemas.Alert, now time.Time) schemas.Alert {
	d := &draft{alert: a, event: rule.Resolved}
	d.alert.Version++
	d.alert.Writer = e.opt.Instance
	d.alert.State, d.alert.StateSince, d.alert.ResolvedAt, d.alert.UpdatedAt = schemas.AlertResolved, now, now, now
	d.alert.Ended = schemas.EndRuleGone
	e.tellResolved(d)
	return d.alert
}
