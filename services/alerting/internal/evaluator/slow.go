package evaluator

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/alerting/internal/metric"
	"github.com/mailstream/mailstream/services/alerting/internal/rule"
	"github.com/mailstream/mailstream/services/alerting/internal/slow"
	"github.com/mailstream/mailstream/services/alerting/internal/window"
)

// readings are rounds on their way from the task that reads them by SQL to the loop.
type readings struct {
	mu     sync.Mutex
	rounds []slow.Round // guarded by mu
}

// roundsMax bounds the rounds that wait; the oldest is the first to be read again.
const roundsMax = 100

// Take takes a round of readings by SQL. It does not wait.
func (e *Evaluator) Take(r slow.Round) {
	e.readings.mu.Lock()
	defer e.readings.mu.Unlock()
	if len(e.readings.rounds) >= roundsMax {
		e.readings.rounds = slices.Delete(e.readings.rounds, 0, 1)
	}
	e.readings.rounds = append(e.readings.rounds, r)
}

func (r *readings) take() []slow.Round {
	r.mu.Lock()
	defer r.mu.Unlock()
	rounds := r.rounds
	r.rounds = nil
	return rounds
}

// OwnsSQL says whether this instance judges the rules by SQL: it has the partition of
// their group, and knows their alerts.
func (e *Evaluator) OwnsSQL() bool { return e.ownsSQL.Load() }

// ActiveSQL returns the alerts of rules by SQL that are under way.
func (e *Evaluator) ActiveSQL() []schemas.Alert {
	return e.book.All(func(a *schemas.Alert) bool {
		return a.Group == slow.Group && rule.Status{State: a.State}.Active()
	})
}

// judgeSQL steps the rules over the readings that came. These do not wait for the
// counts of the stream, which they do not use.
func (e *Evaluator) judgeSQL(ctx context.Context, now time.Time, applied map[int32]int64) error {
	p := e.parts[e.place(slow.Group)]
	owns := p != nil && (p.settled || p.knowsAlerts(applied))
	e.ownsSQL.Store(owns)
	rounds, late := e.readings.take(), e.late.take()
	if !owns {
		return nil
	}
	if len(late) > 0 {
		if err := e.judgeLate(ctx, p, late, now); err != nil {
			return err
		}
	}
	for _, round := range rounds {
		drafts := e.draftsSQL(round, now)
		if len(drafts) == 0 {
			continue
		}
		e.notify(p, drafts, now)
		if err := e.store(ctx, p, drafts); err != nil {
			return err
		}
	}
	return nil
}

// draftsSQL steps what was found, and the incidents of the same rules whose keys were
// not: these have no mail.
func (e *Evaluator) draftsSQL(round slow.Round, now time.Time) (drafts []*draft) {
	found := make(map[string]bool)
	for _, f := range round.Found {
		fingerprint := rule.Fingerprint(f.Rule.Name, f.Labels)
		found[fingerprint] = true
		f.Reading.Now = now
		if d := e.draftSQL(fingerprint, f); d != nil {
			drafts = append(drafts, d)
		}
	}
	for _, a := range e.ActiveSQL() {
		read := slices.Contains(round.Read, slow.ScopeOf(a.Rule, a.Labels))
		r, known := e.ruleSQL(a.Rule)
		if found[a.Fingerprint] || !read || !known {
			continue
		}
		if d := e.draftSQL(a.Fingerprint, slow.Found{Rule: r, Labels: a.Labels, Reading: rule.Reading{Now: now}}); d != nil {
			drafts = append(drafts, d)
		}
	}
	return drafts
}

// draftSQL steps one rule over one reading. It returns nil when there is nothing to
// write and no one to notify.
func (e *Evaluator) draftSQL(fingerprint string, f slow.Found) *draft {
	r, in := &f.Rule, f.Reading
	prev, known := e.book.Get(fingerprint)
	status := e.status(&prev)
	over := r.Over(in)
	if !over && !status.Active() {
		return nil
	}
	if prev.Flapping && status.Open() {
		damped := r.Damped()
		r = &damped
	}
	next, event := r.Step(status, in)
	e.met.evaluations.Inc()
	d := &draft{status: next, event: event, over: over, split: window.Split{Causes: f.Causes, Reasons: f.Reasons}, alert: prev}
	if event != rule.Fired && len(f.Reasons) == 0 { // read once, when it fires
		d.split.Reasons = prev.Reasons
	}
	if !known {
		d.alert = schemas.Alert{Fingerprint: fingerprint, Rule: r.Name, Labels: f.Labels}
	}
	measure := schemas.AlertMeasure{Numerator: in.Part, Denominator: in.Total, Usual: in.Usual}
	changed := prev.Measure == nil || *prev.Measure != measure || next != status
	d.write = event != rule.Nothing || next.Active() && changed && in.Now.Sub(prev.UpdatedAt) >= refreshInterval
	if !d.write && known {
		e.live[fingerprint] = live{version: prev.Version, status: next}
	}
	if !d.write && !next.Open() {
		return nil
	}
	d.fill(r, f.Counts, in.Rate(), in.Now)
	d.alert.Measure, d.alert.Group, d.alert.Writer = &measure, slow.Group, e.opt.Instance
	if event == rule.Fired || len(f.Carriers) > 0 {
		d.alert.Carriers = f.Carriers
	}
	d.alert.NoTraffic = nil
	if since, ends, ok := r.NoTraffic(next, in); ok {
		d.alert.NoTraffic = &schemas.AlertNoTraffic{Since: since, EndsAt: ends}
	}
	return d
}

// ruleSQL returns the rule by SQL called name.
func (e *Evaluator) ruleSQL(name string) (rule.Rule, bool) {
	for _, r := range e.opt.RulesSQL {
		if r.Name == name {
			return r, true
		}
	}
	return rule.NotJudged(), name == rule.NotJudged().Name
}

// ruledSQL says whether the configuration still has the rule of a.
func (e *Evaluator) ruledSQL(a *schemas.Alert) bool {
	r, ok := e.ruleSQL(a.Rule)
	by := slow.ScopeOf(a.Rule, a.Labels).By
	_, perSource := a.Labels[schemas.LabelSource]
	alone := by == metric.All || by == metric.Source
	return ok && (slices.Contains(r.By, by) || by == metric.All && r.Metric == metric.Silence) && (alone || perSource != r.Together)
}
