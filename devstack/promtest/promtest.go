// Package promtest runs unit tests of Prometheus alerting rules: the files that
// `promtool test rules` runs, in the part of their format that tests alerts. It
// evaluates with Prometheus' own engine and templates. promtool itself would be a
// thousand packages to build; see docs/decisions.
//
// It is a separate module, outside the workspace, so that no other module has
// Prometheus among its requirements.
package promtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/model/timestamp"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/template"
	"go.yaml.in/yaml/v3"
)

// File is a file of tests.
type File struct {
	RuleFiles          []string       `yaml:"rule_files"`
	EvaluationInterval model.Duration `yaml:"evaluation_interval"`
	Tests              []Group        `yaml:"tests"`
}

// Group is a story: series, and what fires when.
type Group struct {
	Name     string         `yaml:"name"`
	Interval model.Duration `yaml:"interval"`
	Series   []Series       `yaml:"input_series"`
	Alerts   []Case         `yaml:"alert_rule_test"`
}

// Series is one series in promtool's notation: its name and labels, and values
// one Interval apart.
type Series struct {
	Series string `yaml:"series"`
	Values string `yaml:"values"`
}

// Case is what an alert has to be at one moment.
type Case struct {
	EvalTime model.Duration `yaml:"eval_time"`
	Alert    string         `yaml:"alertname"`
	Want     []Alert        `yaml:"exp_alerts"`
}

// Alert is one firing alert.
type Alert struct {
	Labels      map[string]string `yaml:"exp_labels"`
	Annotations map[string]string `yaml:"exp_annotations"`
}

// ParseTests reads a file of tests; unknown fields are faults.
func ParseTests(text []byte) (File, error) {
	f := File{EvaluationInterval: model.Duration(time.Minute)}
	d := yaml.NewDecoder(bytes.NewReader(text))
	d.KnownFields(true)
	if err := d.Decode(&f); err != nil {
		return f, fmt.Errorf("parse rule tests: %w", err)
	}
	return f, nil
}

// ParseRules reads a file of rules; faults in expressions and templates are found
// here.
func ParseRules(text []byte) ([]rulefmt.Rule, error) {
	groups, errs := rulefmt.Parse(text, false, model.UTF8Validation, parser.NewParser(parser.Options{}), slog.New(slog.DiscardHandler))
	if len(errs) > 0 {
		return nil, fmt.Errorf("parse rules: %w", errors.Join(errs...))
	}
	var all []rulefmt.Rule
	for _, g := range groups.Groups {
		all = append(all, g.Rules...)
	}
	return all, nil
}

// Firing returns the alerts of rule that fire at a moment, counted from the start
// of the series. The rule is evaluated every interval, from as long before as an
// alert has to be pending: what was earlier makes no difference.
func (g Group) Firing(ctx context.Context, rule rulefmt.Rule, interval, moment time.Duration) ([]Alert, error) {
	world, err := g.load()
	if err != nil {
		return nil, err
	}
	r := &runner{
		rule: rule, queryable: world, pending: map[uint64]time.Time{},
		engine: promql.NewEngine(promql.EngineOpts{
			MaxSamples: samplesMax, Timeout: queryTimeout, EnableAtModifier: true, EnableNegativeOffset: true,
			Parser: parser.NewParser(parser.Options{}),
		}),
	}
	var firing []Alert
	for at := max(0, moment-time.Duration(rule.For)-interval).Truncate(interval); at <= moment; at += interval {
		if firing, err = r.evaluate(ctx, time.Unix(0, 0).UTC().Add(at)); err != nil {
			return nil, fmt.Errorf("evaluate %s at %s: %w", rule.Alert, at, err)
		}
	}
	return firing, nil
}

const (
	// samplesMax is promtool's bound on what a query may load.
	samplesMax = 10_000_000
	// queryTimeout ends a query that cannot be meant.
	queryTimeout = 100 * time.Second
)

// runner is one rule between its evaluations.
type runner struct {
	rule      rulefmt.Rule
	queryable storage.Queryable
	engine    *promql.Engine
	pending   map[uint64]time.Time // since when, by labels
}

// evaluate returns what fires at a moment.
func (r *runner) evaluate(ctx context.Context, at time.Time) ([]Alert, error) {
	result, err := r.query(ctx, r.rule.Expr, at)
	if err != nil {
		return nil, err
	}
	pending := map[uint64]time.Time{}
	var firing []Alert
	for _, sample := range result {
		alert, err := r.alert(ctx, sample, at)
		if err != nil {
			return nil, err
		}
		key := labels.FromMap(alert.Labels).Hash()
		since, ok := r.pending[key]
		if !ok {
			since = at
		}
		if _, twice := pending[key]; twice {
			return nil, fmt.Errorf("two alerts have the labels %v", alert.Labels)
		}
		pending[key] = since
		if at.Sub(since) >= time.Duration(r.rule.For) {
			firing = append(firing, alert)
		}
	}
	r.pending = pending
	return firing, nil
}

func (r *runner) query(ctx context.Context, expr string, at time.Time) (promql.Vector, error) {
	q, err := r.engine.NewInstantQuery(ctx, r.queryable, nil, expr, at)
	if err != nil {
		return nil, err
	}
	defer q.Close()
	result := q.Exec(ctx)
	if result.Err != nil {
		return nil, result.Err
	}
	switch v := result.Value.(type) {
	case promql.Vector:
		return slices.Clone(v), nil
	case promql.Scalar:
		return promql.Vector{{T: v.T, F: v.V}}, nil
	default:
		return nil, fmt.Errorf("result is a %s, want a vector", v.Type())
	}
}

// alert makes the alert of one element of the result.
func (r *runner) alert(ctx context.Context, sample promql.Sample, at time.Time) (Alert, error) {
	own := sample.Metric.DropReserved(func(name string) bool { return name == model.MetricNameLabel })
	data := template.AlertTemplateData(own.Map(), nil, "", sample)
	expand := func(text string) (string, error) {
		const defs = "{{$labels := .Labels}}{{$externalLabels := .ExternalLabels}}{{$externalURL := .ExternalURL}}{{$value := .Value}}"
		query := func(ctx context.Context, expr string, at time.Time) (promql.Vector, error) {
			return r.query(ctx, expr, at)
		}
		return template.NewTemplateExpander(ctx, defs+text, r.rule.Alert, data, model.Time(timestamp.FromTime(at)), query, nil, nil).Expand()
	}
	a := Alert{Labels: own.Map(), Annotations: map[string]string{}}
	for name, text := range r.rule.Labels {
		value, err := expand(text)
		if err != nil {
			return a, err
		}
		a.Labels[name] = value
	}
	for name, text := range r.rule.Annotations {
		value, err := expand(text)
		if err != nil {
			return a, err
		}
		a.Annotations[name] = value
	}
	return a, nil
}
