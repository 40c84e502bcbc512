package evaluator

import (
	"maps"
	"slices"
	"time"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/alerting/internal/controls"
	"github.com/mailstream/mailstream/services/alerting/internal/metric"
	"github.com/mailstream/mailstream/services/alerting/internal/outbox"
	"github.com/mailstream/mailstream/services/alerting/internal/rule"
)

// quiet notes in the drafts what people say of their incidents: silences and
// acknowledgements. It changes no state: only messages are hidden.
func (e *Evaluator) quiet(drafts []*draft, now time.Time) {
	for _, d := range drafts {
		if !d.status.Open() {
			continue
		}
		if hidden := e.opt.Controls.Hides(&d.alert, now); !slices.Equal(hidden, d.alert.SilencedBy) {
			d.alert.SilencedBy, d.write = hidden, true
		}
		if ack := e.opt.Controls.Ack(d.alert.Incident); ack != nil && (d.alert.Acknowledged == nil || *ack != *d.alert.Acknowledged) {
			d.alert.Acknowledged, d.write = ack, true
		}
	}
}

// hidden says whether a silence or a maintenance window hides what a still owes,
// whatever its record says of that.
func (e *Evaluator) hidden(a *schemas.Alert) bool {
	return slices.ContainsFunc(a.Notify, schemas.Notification.Owed) && len(e.opt.Controls.Hides(a, e.now())) > 0
}

// unsay takes back what is owed of an incident that ended under a silence, unless a
// receiver has it already: who did not hear that it began need not hear that it ended.
func (e *Evaluator) unsay(d *draft) {
	if !e.hidden(&d.alert) {
		return
	}
	d.alert.Notify = slices.Clone(d.alert.Notify)
	for i := range d.alert.Notify {
		n := &d.alert.Notify[i]
		b := e.receiver(n.Receiver)
		if b != nil && n.Owed() && !n.QueuedAt.Before(d.alert.Since) && b.Retract(outbox.ID{Fingerprint: d.alert.Fingerprint, Seq: n.Seq}) {
			n.Failed, n.Facts, n.NextTryAt = failedSilenced, nil, time.Time{}
		}
	}
}

// failedSilenced is why a message about an incident that ended under a silence was
// given up.
const failedSilenced = "silenced"

// silenced says whether messages of the alert are hidden.
func silenced(a *schemas.Alert) bool { return len(a.SilencedBy) > 0 }

// mute notes in the drafts that people have not heard of which incident of another
// rule hides them, and returns whether d.muted was set for any.
func (e *Evaluator) mute(drafts []*draft) {
	muters := e.muters(drafts)
	for _, d := range drafts {
		i := slices.IndexFunc(muters, func(m schemas.Alert) bool { return e.mutes(&m, &d.alert) })
		if d.muted = i >= 0; d.muted && e.unreported(d) && d.alert.InhibitedBy != muters[i].Fingerprint {
			d.alert.InhibitedBy, d.write = muters[i].Fingerprint, true
		}
	}
}

// muters returns the incidents that may hide others, as they will be once the
// drafts are written.
func (e *Evaluator) muters(drafts []*draft) []schemas.Alert {
	mutes := func(a *schemas.Alert) bool {
		byRule := func(i controls.Inhibition) bool { return i.By == a.Rule }
		return (rule.Status{State: a.State}).Open() && (a.Metric == metric.Silence || slices.ContainsFunc(e.opt.Inhibit, byRule))
	}
	out := e.book.All(mutes)
	for _, d := range drafts {
		out = slices.DeleteFunc(out, func(a schemas.Alert) bool { return a.Fingerprint == d.alert.Fingerprint })
		if mutes(&d.alert) {
			out = append(out, d.alert)
		}
	}
	return out
}

// mutes says whether the incident by hides the messages of a. The rates of a source
// that is silent follow from the silence, of which people know.
func (e *Evaluator) mutes(by, a *schemas.Alert) bool {
	if by.Metric == metric.Silence {
		source := by.Labels[schemas.LabelSource]
		same := source != "" && a.Labels[schemas.LabelSource] == source || by.Labels[metric.All] != ""
		return same && a.Metric != metric.Silence && a.Metric != metric.NotJudged
	}
	return slices.Contains(e.opt.Inhibit, controls.Inhibition{By: by.Rule, Mutes: a.Rule}) && maps.Equal(by.Labels, a.Labels)
}
