package evaluator

import (
	"cmp"
	"slices"
	"time"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/alerting/internal/rule"
	"github.com/mailstream/mailstream/services/alerting/internal/slow"
	"github.com/mailstream/mailstream/services/alerting/internal/window"
)

const (
	// coverage is the share of a provider's blocked messages that domains already
	// reported must account for, in percent, for the provider not to be reported as well.
	coverage = 80
	// owedMax bounds the messages an alert may owe one receiver: an alert that
	// comes and goes while the receiver is away for hours is reported as far as that.
	owedMax = 16
)

// notify decides who is notified of what is about to be written. A spike at one
// domain is also one at its mailbox provider: it is reported once (decision 0004).
func (e *Evaluator) notify(p *part, drafts []*draft, now time.Time) {
	e.quiet(drafts, now)
	e.mute(drafts)
	groups := make(map[spike][]*draft)
	for _, d := range drafts {
		switch {
		case d.event == rule.Resolved:
			e.tellResolved(d)
		case silenced(&d.alert), d.muted: // hidden, until it is over or that is
		case e.unreported(d) && d.alert.Group == slow.Group: // each key speaks for itself
			e.tellFiring(d, nil)
		case e.unreported(d):
			s := spike{d.alert.Rule, d.alert.Group}
			groups[s] = append(groups[s], d)
		case d.alert.NoTraffic != nil:
			e.tellNoTraffic(d)
		default:
			e.tellRepeat(d, now)
		}
	}
	for s, candidates := range groups {
		e.assign(p, candidates, e.heads(s, drafts), now)
	}
}

// spike is what belongs together: one rule over one provider and its domains.
type spike struct{ rule, group string }

// unreported says whether the alert is over the threshold and no one was notified: it
// began just now, or was covered by another one, or there was no receiver then.
func (e *Evaluator) unreported(d *draft) bool {
	if d.alert.State != schemas.AlertFiring || !d.over {
		return false
	}
	if d.event == rule.Fired || d.alert.InhibitedBy != "" {
		return true
	}
	return slices.ContainsFunc(e.targets(&d.alert), func(t target) bool {
		return !has(&d.alert, t.Name(), schemas.NotifyFiring)
	})
}

// has says whether the receiver was notified, or will be, that the present incident
// began or that its mail stopped. What was given up does not count.
func has(a *schemas.Alert, receiver, kind string) bool {
	return slices.ContainsFunc(a.Notify, func(n schemas.Notification) bool {
		return n.Receiver == receiver && n.Kind == kind && !n.QueuedAt.Before(a.Since) && n.Failed == ""
	})
}

// heads returns the alerts of a spike that people know of already, as they will
// be once the drafts are written.
func (e *Evaluator) heads(s spike, drafts []*draft) []schemas.Alert {
	head := func(a *schemas.Alert) bool {
		return a.Rule == s.rule && a.Group == s.group && a.InhibitedBy == "" && (rule.Status{State: a.State}).Open()
	}
	out := e.book.All(head)
	for _, d := range drafts {
		out = slices.DeleteFunc(out, func(a schemas.Alert) bool { return a.Fingerprint == d.alert.Fingerprint })
		if head(&d.alert) && (!e.unreported(d) || silenced(&d.alert)) {
			out = append(out, d.alert)
		}
	}
	return out
}

// assign gives each candidate of one spike its message or the alert whose
// message covers it.
func (e *Evaluator) assign(p *part, candidates []*draft, heads []schemas.Alert, now time.Time) {
	var provider *draft
	var domains []*draft
	for _, d := range candidates {
		if d.alert.Labels[schemas.DimensionProvider] != "" {
			provider = d
		} else {
			domains = append(domains, d)
		}
	}
	slices.SortFunc(domains, func(a, b *draft) int { // the loudest first
		return cmp.Or(cmp.Compare(b.alert.Counts.Blocked, a.alert.Counts.Blocked), cmp.Compare(a.alert.Fingerprint, b.alert.Fingerprint))
	})
	if i := slices.IndexFunc(heads, func(a schemas.Alert) bool { return a.Labels[schemas.DimensionProvider] != "" }); i >= 0 {
		for _, d := range domains { // people look at this provider already
			e.cover(d, heads[i].Fingerprint)
		}
		return
	}
	switch {
	case provider == nil:
		for _, d := range domains {
			e.tellFiring(d, nil)
		}
	case len(domains) > 1 || !p.explained(provider, domains, heads, now):
		for _, d := range domains {
			e.cover(d, provider.alert.Fingerprint)
		}
		e.tellFiring(provider, domains)
	case len(domains) == 1:
		e.cover(provider, domains[0].alert.Fingerprint)
		e.tellFiring(domains[0], []*draft{provider})
	default:
		e.cover(provider, heads[0].Fingerprint)
	}
}

// explained says whether a provider's blocks are those of domains that are reported.
func (p *part) explained(provider *draft, domains []*draft, heads []schemas.Alert, now time.Time) bool {
	var reported int64
	for _, d := range domains {
		reported += d.alert.Counts.Blocked
	}
	for _, a := range heads {
		length, err := time.ParseDuration(a.Window)
		if err == nil { // what is written of a head may be half a minute old
			reported += int64(p.table.Sum(keyOf(a.Labels), window.First(now, length)).Blocked)
		}
	}
	return reported*100 >= provider.alert.Counts.Blocked*coverage
}

// cover notes that the message of another alert reports this one too.
func (e *Evaluator) cover(d *draft, by string) {
	if d.alert.InhibitedBy == by {
		return
	}
	if d.alert.InhibitedBy != "" && d.event != rule.Fired {
		if a, ok := e.book.Get(d.alert.InhibitedBy); ok && a.InhibitedBy == "" && (rule.Status{State: a.State}).Open() {
			return // the one that covers it is still there
		}
	}
	d.alert.InhibitedBy, d.write = by, true
}

// tellFiring owes every receiver that should hear of it the message that the incident began. also are
// the alerts it covers.
func (e *Evaluator) tellFiring(d *draft, also []*draft) {
	d.alert.InhibitedBy = ""
	facts := d.facts()
	for _, o := range also {
		k := keyOf(o.alert.Labels)
		facts.Also = append(facts.Also, k.Dimension+" "+k.Value)
	}
	if d.event == rule.Fired {
		d.alert.Notify = history(d.alert.Notify)
	}
	for _, t := range e.targets(&d.alert) {
		if d.event == rule.Fired || !has(&d.alert, t.Name(), schemas.NotifyFiring) {
			e.owe(d, t.Name(), schemas.NotifyFiring, facts)
		}
	}
	d.write = true
}

// tellNoTraffic owes the message that there is no mail to judge by, once an
// incident, to whoever was notified that it began.
func (e *Evaluator) tellNoTraffic(d *draft) {
	for _, r := range e.opt.Receivers {
		if has(&d.alert, r.Name(), schemas.NotifyFiring) && !has(&d.alert, r.Name(), schemas.NotifyNoTraffic) {
			e.owe(d, r.Name(), schemas.NotifyNoTraffic, d.facts())
			d.write = true
		}
	}
}

// tellResolved owes the message that it ended to whoever was notified that it began.
func (e *Evaluator) tellResolved(d *draft) {
	e.unsay(d)
	facts := d.facts()
	if facts.Ended == schemas.EndNoTraffic {
		facts.NoTraffic = &schemas.AlertNoTraffic{Since: d.alert.JudgedAt, EndsAt: d.alert.UpdatedAt}
	}
	for _, r := range e.opt.Receivers {
		if has(&d.alert, r.Name(), schemas.NotifyFiring) {
			e.owe(d, r.Name(), schemas.NotifyResolved, facts)
		}
	}
}

func (d *draft) facts() schemas.AlertFacts {
	a := &d.alert
	return schemas.AlertFacts{
		Incident: a.Incident, Since: a.Since, Ended: a.Ended, Value: a.Value, Peak: a.Peak,
		Counts: a.Counts, Causes: a.Causes, Reasons: a.Reasons, NoTraffic: a.NoTraffic, Answer: a.Answer,
		Measure: a.Measure, Carriers: a.Carriers, Late: a.Late, Flapping: a.Flapping,
	}
}

// owe adds a message. The end of what was reported is never too much: without it the
// beginning would stay for ever.
func (e *Evaluator) owe(d *draft, receiver, kind string, facts schemas.AlertFacts) {
	notify := slices.Clone(d.alert.Notify)
	seq, owed := 0, 0
	for _, n := range notify {
		seq = max(seq, n.Seq)
		if n.Receiver == receiver && n.Owed() {
			owed++
		}
	}
	if owed >= owedMax && kind != schemas.NotifyResolved {
		e.met.dropped.Inc()
		return
	}
	d.alert.Notify = append(notify, schemas.Notification{
		Seq: seq + 1, Kind: kind, Receiver: receiver, QueuedAt: d.alert.UpdatedAt, Facts: &facts,
	})
}
