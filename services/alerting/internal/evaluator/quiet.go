package evaluator

import (
	"maps"
	"slices"
	"time"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/alerting/internal/controls"
	"github.com/mailstream/mailstream/services/alerting/internal/metric"
	"github.com/mailstream/mailstream/services/alerting/internal/rule"
)

// quiet notes in the drafts what people say of their incidents: silences and
// acknowledgements. It changes no state: only messages are hidden.
func (e *Evaluator) quiet(drafts []*draft, now time.Time) {
	for _, d := range drafts {
		if !d.status.Told() {
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

// silenced says whether messages of the alert are hidden.
func silenced(a *schemas.Alert) bool { return len(a.SilencedBy) > 0 }

// mute notes in the drafts that people have not heard of which incident of another
// rule hides them, and returns whether d.muted was set for any.
func (e *Evaluator) mute(drafts []*draft) {
	muters := e.muters(drafts)
	for _, d := range drafts {
		i := slices.IndexFunc(muters, func(m schemas.Alert) bool { return e.mutes(&m, &d.alert) })
		if d.muted = i >= 0; d.muted && e.untold(d) && d.alert.InhibitedBy != muters[i].Fingerprint {
			d.alert.InhibitedBy, d.write = muters[i].Fingerprint, true
		}
	}
}

// muters returns the incidents that may hide others, as they will be once the
// drafts are written.
func (e *Evaluator) muters(drafts []*draft) []schemas.Alert {
	mutes := func(a *schemas.Alert) bool {
		byRule := func(i controls.Inhibition) bool { return i.By == a.Rule }
		return (rule.Status{State: a.State}).Told() && (a.Metric == metric.Silence || slices.ContainsFunc(e.opt.Inhibit, byRule))
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
