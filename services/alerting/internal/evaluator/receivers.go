package evaluator

import (
	"context"
	"slices"
	"time"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/alerting/internal/outbox"
	"github.com/mailstream/mailstream/services/alerting/internal/route"
	"github.com/mailstream/mailstream/services/alerting/internal/rule"
)

const (
	// receiverGroup places all alerts about receivers in one partition: one evaluator
	// has them.
	receiverGroup = "receivers"
	// failingAfter is how long a receiver may fail by itself before the others hear of
	// it: restarts and short outages are over by then. A refusal is reported at once, for
	// time does not mend it.
	failingAfter = 5 * time.Minute
	// heldAfterEnd is how long a Holder goes on to hear of what ended.
	heldAfterEnd = 15 * time.Minute
)

// target is a receiver that hears of an alert.
type target struct {
	*outbox.Outbox
	repeat time.Duration // how often, while it lasts
}

// targets returns who hears of a.
func (e *Evaluator) targets(a *schemas.Alert) []target {
	names := make([]string, 0, len(e.opt.Receivers))
	for _, b := range e.opt.Receivers {
		names = append(names, b.Name())
	}
	var out []target
	for _, t := range route.Targets(e.opt.Routes, names, a) {
		if b := e.receiver(t.Receiver); b != nil {
			out = append(out, target{b, t.Repeat})
		}
	}
	return out
}

// receiver returns the outbox called name, nil when there is none.
func (e *Evaluator) receiver(name string) *outbox.Outbox {
	i := slices.IndexFunc(e.opt.Receivers, func(b *outbox.Outbox) bool { return b.Name() == name })
	if i < 0 {
		return nil
	}
	return e.opt.Receivers[i]
}

// tellRepeat owes the message that the incident lasts to whoever heard of it so long
// ago. Nothing is said once more of an incident that a person takes care of, or that
// cannot be judged.
func (e *Evaluator) tellRepeat(d *draft, now time.Time) {
	a := &d.alert
	if a.State != schemas.AlertFiring || a.Acknowledged != nil || a.Late || a.NoTraffic != nil || a.InhibitedBy != "" {
		return
	}
	for _, t := range e.targets(a) {
		if at, ok := lastTold(a, t.Name()); !ok || now.Sub(at) < t.repeat {
			continue
		}
		e.owe(d, t.Name(), schemas.NotifyRepeat, d.facts())
		// Of those before, the record needs the beginning only.
		a.Notify = slices.DeleteFunc(a.Notify, func(n schemas.Notification) bool {
			return n.Receiver == t.Name() && n.Kind == schemas.NotifyRepeat && !n.Owed()
		})
		d.write = true
	}
}

// lastTold is when the receiver last heard of the present incident; ok is false while
// it did not, or is owed a message.
func lastTold(a *schemas.Alert, receiver string) (at time.Time, ok bool) {
	for _, n := range a.Notify {
		switch {
		case n.Receiver != receiver || n.QueuedAt.Before(a.Since):
		case n.Owed():
			return at, false
		case n.SentAt.IsZero():
		default:
			at, ok = later(at, later(n.QueuedAt, n.SentAt)), true
		}
	}
	return at, ok
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// hold says to receivers that must hear of incidents as long as they last which ones
// those are, of the partitions of this instance.
func (e *Evaluator) hold(alerts []schemas.Alert, now time.Time) {
	for _, b := range e.opt.Receivers {
		b.Hold(func(receiver string) []schemas.Alert {
			return slices.DeleteFunc(slices.Clone(alerts), func(a schemas.Alert) bool {
				return !heard(&a, receiver) || !(rule.Status{State: a.State}).Open() && now.Sub(a.ResolvedAt) > heldAfterEnd
			})
		})
	}
}

// heard says whether the receiver took the message that the present incident began,
// or that it ended.
func heard(a *schemas.Alert, receiver string) bool {
	return slices.ContainsFunc(a.Notify, func(n schemas.Notification) bool {
		return n.Receiver == receiver && !n.SentAt.IsZero() && !n.QueuedAt.Before(a.Since)
	})
}

// tendReceivers begins and ends the alerts about receivers that take no messages. It
// judges by the records of all alerts, which every instance has whole.
func (e *Evaluator) tendReceivers(ctx context.Context, now time.Time) error {
	p := e.parts[e.place(receiverGroup)]
	if p == nil || !p.settled {
		return nil
	}
	all := e.book.All(func(*schemas.Alert) bool { return true })
	var drafts []*draft
	for _, b := range e.opt.Receivers {
		if d := e.judgeReceiver(all, b.Name(), now); d != nil {
			drafts = append(drafts, d)
		}
	}
	for i := range all { // of receivers that were taken out of the configuration
		a := &all[i]
		if a.Rule == schemas.RuleReceiver && (rule.Status{State: a.State}).Active() && e.receiver(a.Labels[schemas.LabelReceiver]) == nil {
			drafts = append(drafts, e.endReceiver(*a, schemas.EndRuleGone, now))
		}
	}
	return e.store(ctx, p, drafts)
}

// judgeReceiver returns the change to the alert about one receiver, nil for none.
func (e *Evaluator) judgeReceiver(all []schemas.Alert, name string, now time.Time) *draft {
	labels := map[string]string{schemas.LabelReceiver: name}
	fingerprint := rule.Fingerprint(schemas.RuleReceiver, labels)
	a, known := e.book.Get(fingerprint)
	active := known && (rule.Status{State: a.State}).Active()
	answer, failing := failure(all, name, now)
	switch {
	case failing && active:
		a.Answer = answer
		d := &draft{alert: a, status: e.status(&a), over: true}
		d.alert.UpdatedAt = now
		e.quiet([]*draft{d}, now)
		switch {
		case silenced(&d.alert):
		case e.unreported(d): // it was silenced when it began
			e.tellFiring(d, nil)
		default:
			e.tellRepeat(d, now)
		}
		if !d.write {
			return nil
		}
		d.alert.Version++
		d.alert.Writer = e.opt.Instance
		return d
	case active:
		ended := schemas.EndRecovered
		if !tookSince(all, name, a.Since) {
			ended = schemas.EndNoTraffic
		}
		return e.endReceiver(a, ended, now)
	case !failing || len(e.opt.Receivers) < 2: // without another one there is no one to notify
		return nil
	}
	if !known {
		a = schemas.Alert{Fingerprint: fingerprint, Rule: schemas.RuleReceiver, Labels: labels, Group: receiverGroup}
	}
	d := &draft{alert: a, event: rule.Fired, over: true}
	d.status = rule.Status{State: schemas.AlertFiring, StateSince: now, Since: now, JudgedAt: now}
	d.setReceiver(answer, e.opt.Instance, now)
	d.alert.Incident = rule.Incident(fingerprint, now)
	d.alert.ResolvedAt, d.alert.Acknowledged, d.alert.SilencedBy = time.Time{}, nil, nil
	d.write = true
	if e.quiet([]*draft{d}, now); !silenced(&d.alert) {
		e.tellFiring(d, nil)
	}
	return d
}

// endReceiver ends an alert about a receiver.
func (e *Evaluator) endReceiver(a schemas.Alert, why schemas.AlertEnd, now time.Time) *draft {
	d := &draft{alert: a, event: rule.Resolved, write: true}
	d.status = rule.Status{State: schemas.AlertResolved, StateSince: now, Since: a.Since, JudgedAt: now, Ended: why}
	d.setReceiver(a.Answer, e.opt.Instance, now)
	d.alert.ResolvedAt = now
	e.tellResolved(d)
	return d
}

// setReceiver puts the status into the record.
func (d *draft) setReceiver(answer, instance string, now time.Time) {
	a, s := &d.alert, d.status
	a.Version++
	a.Writer, a.Answer, a.UpdatedAt, a.Severity = instance, answer, now, schemas.SeverityCritical
	a.State, a.StateSince, a.Since, a.JudgedAt, a.Ended = s.State, s.StateSince, s.Since, s.JudgedAt, s.Ended
}

// failure says whether the receiver takes no messages, and what it answered: it
// refused one that is still owed, or has failed for long.
func failure(all []schemas.Alert, receiver string, now time.Time) (answer string, failing bool) {
	for i := range all {
		for _, n := range all[i].Notify {
			if n.Receiver != receiver || !n.Owed() || n.LastAnswer == "" {
				continue
			}
			if n.Refused || now.Sub(n.QueuedAt) > failingAfter {
				return n.LastAnswer, true
			}
		}
	}
	return "", false
}

// tookSince says whether the receiver took a message since then.
func tookSince(all []schemas.Alert, receiver string, since time.Time) bool {
	for i := range all {
		if slices.ContainsFunc(all[i].Notify, func(n schemas.Notification) bool {
			return n.Receiver == receiver && n.SentAt.After(since)
		}) {
			return true
		}
	}
	return false
}
