package evaluator

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/alerting/internal/hindsight"
	"github.com/mailstream/mailstream/services/alerting/internal/rule"
	"github.com/mailstream/mailstream/services/alerting/internal/slow"
	"github.com/mailstream/mailstream/services/internal/platform/telemetry"
)

// foundLate are incidents on their way from the task that sees them in hindsight to
// the loop.
type foundLate struct {
	mu   sync.Mutex
	list []hindsight.Found // guarded by mu
}

func (f *foundLate) take() []hindsight.Found {
	f.mu.Lock()
	defer f.mu.Unlock()
	list := f.list
	f.list = nil
	return list
}

// PutLate takes incidents seen in hindsight, without those that are known. It returns
// false when some must be found once more, because their alerts are under way or those
// of before are not written yet. It does not wait.
func (e *Evaluator) PutLate(found []hindsight.Found) bool {
	e.late.mu.Lock()
	defer e.late.mu.Unlock()
	if len(e.late.list) > 0 {
		return false
	}
	all := true
	for _, f := range found {
		switch known, busy := e.knownLate(f); {
		case known:
		case busy:
			all = false
		default:
			e.late.list = append(e.late.list, f)
		}
	}
	return all && len(e.late.list) == 0 // what is handed over is looked at until it is on record
}

// knownLate says whether the incident is on record, or whether another one of the same
// alert is under way, which must end first.
func (e *Evaluator) knownLate(f hindsight.Found) (known, busy bool) {
	fingerprint := rule.Fingerprint(f.Rule.Name, f.Labels)
	same := func(a *schemas.Alert) bool {
		active := (rule.Status{State: a.State}).Active()
		// What fired in time is dated by our clock, up to a window behind the events.
		return !a.Since.After(f.End.Add(f.Rule.Window)) && (active || !a.ResolvedAt.Before(f.Start.Add(-f.Rule.Window)))
	}
	if a, ok := e.book.Get(fingerprint); ok {
		known, busy = same(&a), (rule.Status{State: a.State}).Active()
	}
	e.opt.Controls.EndedAll(func(a *schemas.Alert) {
		known = known || a.Fingerprint == fingerprint && same(a)
	})
	return known, busy
}

// judgeLate writes what was seen in hindsight: incidents that are over, with one
// message.
func (e *Evaluator) judgeLate(ctx context.Context, p *part, found []hindsight.Found, now time.Time) error {
	var drafts []*draft
	for _, f := range found {
		if known, busy := e.knownLate(f); !known && !busy {
			drafts = append(drafts, e.draftLate(f, found, now))
			e.often.Info("a spike of events that came late is put on record", telemetry.Name(f.Rule.Name), telemetry.Fingerprint(rule.Fingerprint(f.Rule.Name, f.Labels)))
		}
	}
	for _, d := range drafts {
		d.alert.SilencedBy = e.opt.Controls.Hides(&d.alert, now)
		if d.alert.InhibitedBy == "" && !silenced(&d.alert) {
			e.tellLate(d)
		}
	}
	return e.store(ctx, p, drafts)
}

// draftLate makes the record of an incident that is over: urgent no more, whatever its
// rule says.
func (e *Evaluator) draftLate(f hindsight.Found, all []hindsight.Found, now time.Time) *draft {
	fingerprint := rule.Fingerprint(f.Rule.Name, f.Labels)
	prev, _ := e.book.Get(fingerprint)
	d := &draft{write: true, event: rule.Nothing, split: f.Evidence.Split}
	d.status = rule.Status{
		State: schemas.AlertResolved, StateSince: f.End, Since: f.Start, JudgedAt: f.End, Peak: f.Peak, Ended: schemas.AlertEnd(f.Ended),
	}
	d.alert = schemas.Alert{
		Fingerprint: fingerprint, Incident: rule.Incident(fingerprint, f.Start), Version: prev.Version, Writer: e.opt.Instance, Rule: f.Rule.Name, Labels: f.Labels, Group: slow.Group,
		Late: true, ResolvedAt: f.End, Periods: prev.Periods, Notify: history(prev.Notify), InhibitedBy: coveredBy(f, all),
	}
	counts := f.Evidence.Counts
	d.fill(&f.Rule, counts, float64(counts.Blocked)/float64(max(counts.Total(), 1)), now)
	d.alert.Severity = schemas.SeverityInfo
	return d
}

// coveredBy returns the fingerprint of the incident whose message says of f, too: of
// the mailbox provider of a domain, or of the domain that explains its provider.
func coveredBy(f hindsight.Found, all []hindsight.Found) string {
	if !f.Covered {
		return ""
	}
	for _, by := range all {
		source, provider := by.Labels[schemas.LabelSource], by.Labels[schemas.DimensionProvider]
		if provider == "" {
			provider = by.Evidence.Provider
		}
		own := f.Labels[schemas.DimensionProvider]
		if own == "" {
			own = f.Evidence.Provider
		}
		if !by.Covered && by.Rule.Name == f.Rule.Name && source == f.Labels[schemas.LabelSource] && provider == own {
			return rule.Fingerprint(by.Rule.Name, by.Labels)
		}
	}
	return ""
}

// tellLate owes the message to whoever hears of what is good to know, but to those who
// page or show what is wrong now.
func (e *Evaluator) tellLate(d *draft) {
	facts := d.facts()
	for _, t := range e.targets(&d.alert) {
		if !t.Pages() {
			e.owe(d, t.Name(), schemas.NotifyResolved, facts)
		}
	}
}

// history returns what a new incident keeps of the messages of the one before: those
// owed, and the last one for its number.
func history(notify []schemas.Notification) []schemas.Notification {
	if len(notify) == 0 {
		return nil
	}
	last := notify[len(notify)-1].Seq
	return slices.DeleteFunc(slices.Clone(notify), func(n schemas.Notification) bool { return !n.Owed() && n.Seq != last })
}
