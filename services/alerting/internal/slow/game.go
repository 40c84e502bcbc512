package slow

import (
	"slices"
	"time"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/alerting/internal/rule"
)

// played is one alert in memory.
type played struct {
	alert   schemas.Alert
	status  rule.Status
	periods []time.Time // when it began to fire within the last hour
	flaps   bool
}

// Game steps rules over rounds without Kafka: it keeps their alerts in memory and notifies
// no one. Make it with NewGame; it is for one goroutine.
type Game struct {
	rules  []rule.Rule
	alerts map[string]*played
	over   []schemas.Alert
}

// NewGame returns a game without any alert.
func NewGame(rules []rule.Rule) *Game { return &Game{rules: rules, alerts: map[string]*played{}} }

// Active returns the alerts that are under way.
func (g *Game) Active() (out []schemas.Alert) {
	for _, p := range g.alerts {
		if p.status.Active() {
			out = append(out, p.alert)
		}
	}
	return out
}

// Take steps what was found, and the incidents of the same rules that were not.
func (g *Game) Take(round Round, now time.Time) {
	found := map[string]bool{}
	for _, f := range round.Found {
		found[g.step(f, now)] = true
	}
	for _, a := range g.Active() {
		i := slices.IndexFunc(g.rules, func(r rule.Rule) bool { return r.Name == a.Rule })
		if i >= 0 && !found[a.Fingerprint] && slices.Contains(round.Read, ScopeOf(a.Rule, a.Labels)) {
			g.step(Found{Rule: g.rules[i], Labels: a.Labels}, now)
		}
	}
}

func (g *Game) step(f Found, now time.Time) string {
	fingerprint := rule.Fingerprint(f.Rule.Name, f.Labels)
	p := g.alerts[fingerprint]
	if p == nil {
		p = &played{}
		g.alerts[fingerprint] = p
	}
	f.Reading.Now = now
	judged := f.Rule
	if p.flaps {
		judged = judged.Damped()
	}
	status, event := judged.Step(p.status, f.Reading)
	p.status = status
	if event == rule.Fired {
		p.periods, p.flaps = rule.Periods(p.periods, now)
		p.alert = schemas.Alert{
			Fingerprint: fingerprint, Rule: f.Rule.Name, Metric: f.Rule.Metric, Severity: f.Rule.Severity, Labels: f.Labels,
			Incident: rule.Incident(fingerprint, status.Since), Since: status.Since, Value: f.Reading.Rate(), Counts: f.Counts, Causes: f.Causes,
			Measure:  &schemas.AlertMeasure{Numerator: f.Reading.Part, Denominator: f.Reading.Total, Usual: f.Reading.Usual},
			Carriers: f.Carriers, Reasons: f.Reasons, Threshold: f.Rule.Threshold, MinVolume: f.Rule.MinVolume, Window: f.Rule.Window.String(),
		}
	}
	p.alert.State, p.alert.Peak, p.alert.Ended, p.alert.UpdatedAt = status.State, status.Peak, status.Ended, now
	p.alert.Since, p.alert.Fingerprint, p.alert.Rule, p.alert.Labels = status.Since, fingerprint, f.Rule.Name, f.Labels
	if event == rule.Resolved {
		p.alert.ResolvedAt, p.flaps = now, false
		g.over = append(g.over, p.alert)
	}
	return fingerprint
}

// Incidents returns all that people would have been notified of.
func (g *Game) Incidents() []schemas.Alert {
	out := g.over
	for _, p := range g.alerts {
		if p.status.Open() {
			out = append(out, p.alert)
		}
	}
	slices.SortFunc(out, func(a, b schemas.Alert) int { return a.Since.Compare(b.Since) })
	return out
}
