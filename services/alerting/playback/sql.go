package playback

import (
	"context"
	_ "embed"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/alerting/internal/rule"
	"github.com/mailstream/mailstream/services/alerting/internal/slow"
	"github.com/mailstream/mailstream/services/internal/platform/config"
	"github.com/mailstream/mailstream/services/internal/provider/registry"
)

//go:embed sql/span.sql
var spanSQL string

const (
	// StepMin bounds Options.Step from below: a finer step is a month of queries.
	StepMin = time.Minute
	// StepMax bounds it from above: the service reads every rule more often than that.
	StepMax = 24 * time.Hour
	// StepDefault is a compromise: a rule over an hour is read four times in it.
	StepDefault = 15 * time.Minute
	// sqlRowsMax bounds the rows that one reading may look at, as the service does by
	// default.
	sqlRowsMax = 1_000_000_000
	// weeksBefore is how far back rules look that learn what is usual.
	weeksBefore = 4 * 7 * 24 * time.Hour
)

// bySQL plays the rules by SQL: each is read at every step, and sees what is stored now
// of the time before that.
func (h *history) bySQL(ctx context.Context, rules []played, step time.Duration) (out []Incident, err error) {
	var list []rule.Rule
	byTitle := map[string]*played{}
	for i := range rules {
		r := rules[i].Rule
		r.Name = rules[i].title() // variants are rules of their own
		list, byTitle[r.Name] = append(list, r), &rules[i]
	}
	alerts, err := h.alertsBySQL(ctx, list, step)
	if err != nil {
		return nil, err
	}
	for _, a := range alerts {
		r := byTitle[a.Rule]
		in := Incident{
			Rule: r.Name, Variant: r.variant, Labels: a.Labels, Start: a.Since, End: a.ResolvedAt, Ended: string(a.Ended), Peak: a.Peak,
			Total: a.Measure.Denominator, Bad: a.Measure.Numerator,
		}
		if r.LowIsBad() {
			in.Bad = max(in.Total-in.Bad, 0)
		}
		out = append(out, in)
	}
	return out, nil
}

// alertsBySQL reads each event once, by cells of time, and falls back on the statements
// of the service, at each step, for what has no cells and where that is wanted.
func (h *history) alertsBySQL(ctx context.Context, rules []rule.Rule, step time.Duration) ([]schemas.Alert, error) {
	opt := slow.Options{Rules: rules, Pace: step, RowsMax: sqlRowsMax, Literal: registry.Literal(), Bare: true}
	counted := slow.NewHistory(opt, h.client, slow.Steps{From: h.from, To: h.to, Step: step})
	if !h.exact && counted.Fits() {
		return counted.Find(ctx, func(done float64) { h.note(h.from.Add(time.Duration(done*float64(h.to.Sub(h.from)))), h.messages) })
	}
	game := slow.NewGame(rules)
	opt.Active = game.Active
	engine := slow.New(opt, h.client, zap.NewNop(), prometheus.NewRegistry())
	for at := h.from; !at.After(h.to); at = at.Add(step) {
		rounds, err := engine.ReadAll(ctx, at)
		if err != nil {
			return nil, fmt.Errorf("at %s: %w", at.UTC().Format(time.RFC3339), err)
		}
		for _, round := range rounds {
			game.Take(round, at)
		}
		h.note(at, h.messages)
	}
	return game.Incidents(), nil
}

// short says which rules look back further than the history goes, and counts the
// events of the time where nothing else did.
func (h *history) short(ctx context.Context, rules Rules) (notes []string, err error) {
	var span []struct {
		Begins *time.Time `ch:"begins"`
		Events uint64     `ch:"events"`
	}
	if err := h.client.Select(ctx, &span, spanSQL, moment("from", h.from), moment("to", h.to)); err != nil {
		return nil, err
	}
	if len(span) == 0 || span[0].Begins == nil {
		return []string{"there is no event in ClickHouse: nothing could be found"}, nil
	}
	if h.messages == 0 {
		h.messages = int64(span[0].Events)
	}
	begins := *span[0].Begins
	if !begins.Before(h.to) {
		return []string{fmt.Sprintf("the history begins at %s, after --to: nothing could be found", begins.UTC().Format(time.RFC3339))}, nil
	}
	seen := map[string]bool{}
	for _, p := range append(rules.sql, rules.list...) {
		back, what := p.Window, "its window"
		if p.Learns() {
			back, what = back+weeksBefore, "the four weeks before"
		}
		if missing := begins.Sub(h.from.Add(-back)); missing >= time.Hour && !seen[p.Name] {
			seen[p.Name] = true
			notes = append(notes, fmt.Sprintf("%s looks back over %s, and the history begins at %s: until %s it may find too little",
				p.Name, what, begins.UTC().Format(time.RFC3339), begins.Add(back).UTC().Format(time.RFC3339)))
		}
	}
	return notes, nil
}

// checkStep returns the step, or what is wrong with it.
func checkStep(step time.Duration) (time.Duration, error) {
	if step == 0 {
		return StepDefault, nil
	}
	if step < StepMin || step > StepMax {
		return 0, fmt.Errorf("play history: a step of %s is not in [%s, %s]", step, config.FormatDuration(StepMin), config.FormatDuration(StepMax))
	}
	return step, nil
}
