package alerting

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/alerting/internal/rule"
	"github.com/mailstream/mailstream/services/alerting/internal/slow"
	"github.com/mailstream/mailstream/services/internal/platform/clickhouse"
	"github.com/mailstream/mailstream/services/internal/provider/registry"
)

// Play is a stretch of history to be judged by the rules by SQL.
type Play struct {
	From, To time.Time
	// Step is the time between two readings of every rule.
	Step time.Duration
	// Read, when not nil, is called after every round with the time it took.
	Read func(at time.Time, took time.Duration)
}

// PlaySQL returns the incidents that the rules by SQL of cfg would have had in p, in
// order of their beginning; what is stored of that time is what they see. It writes
// nothing and notifies no one.
func PlaySQL(ctx context.Context, cfg Config, store clickhouse.Config, p Play, log *zap.Logger) ([]schemas.Alert, error) {
	client, err := clickhouse.Open(store, log, prometheus.NewRegistry())
	if err != nil {
		return nil, err
	}
	defer client.Close()
	rules, _ := cfg.sqlRules()
	g := &game{rules: rules, alerts: map[string]*played{}}
	engine := slow.New(slow.Options{
		Rules: rules, Pace: cfg.SQL.Interval, RowsMax: cfg.SQL.RowsMax, Literal: registry.Literal(), Active: g.active,
	}, client, log, prometheus.NewRegistry())
	for at := p.From; !at.After(p.To); at = at.Add(p.Step) {
		began := time.Now()
		rounds, err := engine.ReadAll(ctx, at)
		if err != nil {
			return nil, fmt.Errorf("read rules at %s: %w", at.UTC().Format(time.RFC3339), err)
		}
		for _, round := range rounds {
			g.take(round, at)
		}
		if p.Read != nil {
			p.Read(at, time.Since(began))
		}
	}
	return g.incidents(), nil
}

// played is one alert in memory.
type played struct {
	alert  schemas.Alert
	status rule.Status
}

// game steps rules without Kafka.
type game struct {
	rules  []rule.Rule
	alerts map[string]*played
	over   []schemas.Alert
}

func (g *game) active() (out []schemas.Alert) {
	for _, p := range g.alerts {
		if p.status.Active() {
			out = append(out, p.alert)
		}
	}
	return out
}

// take steps what was found, and the incidents of the same rules that were not.
func (g *game) take(round slow.Round, now time.Time) {
	found := map[string]bool{}
	for _, f := range round.Found {
		found[g.step(f, now)] = true
	}
	for _, a := range g.active() {
		i := slices.IndexFunc(g.rules, func(r rule.Rule) bool { return r.Name == a.Rule })
		if i >= 0 && !found[a.Fingerprint] && slices.Contains(round.Read, slow.ScopeOf(a.Rule, a.Labels)) {
			g.step(slow.Found{Rule: g.rules[i], Labels: a.Labels}, now)
		}
	}
}

func (g *game) step(f slow.Found, now time.Time) string {
	fingerprint := rule.Fingerprint(f.Rule.Name, f.Labels)
	p := g.alerts[fingerprint]
	if p == nil {
		p = &played{}
		g.alerts[fingerprint] = p
	}
	f.Reading.Now = now
	status, event := f.Rule.Step(p.status, f.Reading)
	p.status = status
	if event == rule.Fired {
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
		p.alert.ResolvedAt = now
		g.over = append(g.over, p.alert)
	}
	return fingerprint
}

// incidents returns all that people would have been notified of.
func (g *game) incidents() []schemas.Alert {
	out := g.over
	for _, p := range g.alerts {
		if p.status.Open() {
			out = append(out, p.alert)
		}
	}
	slices.SortFunc(out, func(a, b schemas.Alert) int { return a.Since.Compare(b.Since) })
	return out
}
