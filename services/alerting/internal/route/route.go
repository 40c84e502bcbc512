// Package route decides which receivers hear of an incident, and how often while it
// lasts. It is a pure function of the configuration and the alert.
package route

import (
	"fmt"
	"slices"
	"time"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/alerting/internal/metric"
	"github.com/mailstream/mailstream/services/internal/platform/config"
)

// Route is one entry of `alerting.routes`: all that it states must fit an incident.
type Route struct {
	// Receivers are names of `alerting.receivers`; slack is that of
	// `alerting.slack.webhook_url`. Default none: no one is notified.
	Receivers []string `yaml:"receivers"`
	// Rule are names of rules; receiver_failing is the built-in one of a receiver that
	// takes no messages, not_judged that of rules without readings. Default none: any.
	Rule []string `yaml:"rule"`
	// Severity are info, warning or critical. Default none: any.
	Severity []schemas.AlertSeverity `yaml:"severity"`
	// Metric are metrics of rules. Default none: any.
	Metric []string `yaml:"metric"`
	// Labels are values that a label may have, such as recipient_domain: [gmail.com].
	// Default none: any.
	Labels map[string][]string `yaml:"labels"`
	// Repeat is after how long the receivers are notified once more that an incident lasts.
	// Default 0s: 1h for critical ones, else 4h. Range [5m, 7d] or 0s.
	Repeat time.Duration `yaml:"repeat"`
	// Continue goes on to the routes behind this one after it fitted. Default false.
	Continue bool `yaml:"continue"`
}

const (
	repeatMin, repeatMax = 5 * time.Minute, 7 * 24 * time.Hour
	// repeatCritical and repeatOther are how often one hears that an incident lasts.
	repeatCritical, repeatOther = time.Hour, 4 * time.Hour
	// wordsMax bounds each list of a route.
	wordsMax = 100
)

// Validate reports every fault to p; receivers and rules are the names there are.
func (r Route) Validate(receivers []string, rules map[string]bool, p *config.Problems) {
	for i, name := range r.Receivers {
		p.Check(slices.Contains(receivers, name), fmt.Sprintf("receivers[%d]", i), "%q is not one of %q", name, receivers)
	}
	for i, s := range r.Severity {
		p.Check(slices.Contains(schemas.AlertSeverities(), s), fmt.Sprintf("severity[%d]", i), "%q is not one of %v", s, schemas.AlertSeverities())
	}
	for i, name := range r.Metric {
		_, known := metric.Find(name)
		p.Check(known, fmt.Sprintf("metric[%d]", i), "%q is not one of %s", name, metric.Names())
	}
	for name, values := range r.Labels {
		p.Check(slices.Contains(labels(), name), "labels."+name, "%q is not one of %q", name, labels())
		p.Check(len(values) > 0 && len(values) <= wordsMax, "labels."+name, "has %d values, want 1 to %d", len(values), wordsMax)
	}
	p.Check(len(r.Rule) <= wordsMax, "rule", "%d of them, want at most %d", len(r.Rule), wordsMax)
	for i, name := range r.Rule {
		p.Check(rules[name], fmt.Sprintf("rule[%d]", i), "%q is not the name of a rule", name)
	}
	p.Check(r.Repeat == 0 || r.Repeat >= repeatMin && r.Repeat <= repeatMax, "repeat", "%s is not in [%s, %s]",
		config.FormatDuration(r.Repeat), config.FormatDuration(repeatMin), config.FormatDuration(repeatMax))
}

// labels are those an alert can have.
func labels() []string {
	return []string{
		schemas.LabelSource, schemas.DimensionDomain, schemas.DimensionProvider, metric.Campaign, metric.SendingIP, metric.SendingDomain, metric.IPPool, metric.Tag, metric.All, schemas.LabelReceiver,
	}
}

func (r Route) fits(a *schemas.Alert) bool {
	for name, values := range r.Labels {
		if !slices.Contains(values, a.Labels[name]) {
			return false
		}
	}
	return (len(r.Rule) == 0 || slices.Contains(r.Rule, a.Rule)) &&
		(len(r.Severity) == 0 || slices.Contains(r.Severity, severity(a))) &&
		(len(r.Metric) == 0 || slices.Contains(r.Metric, measured(a)))
}

// severity and measured return what records of older writers leave out.
func severity(a *schemas.Alert) schemas.AlertSeverity {
	if a.Severity == "" {
		return schemas.SeverityCritical
	}
	return a.Severity
}

func measured(a *schemas.Alert) string {
	if a.Metric == "" && a.Rule != schemas.RuleReceiver {
		return metric.BlockRate
	}
	return a.Metric
}

// Target is a receiver that hears of an incident.
type Target struct {
	Receiver string
	Repeat   time.Duration
}

// Targets returns who hears of a: the receivers of the first route that fits, and of
// those behind it while routes continue. An incident that no route fits is one for
// all receivers: a message too many is better than one too few. A receiver
// never hears of its own failure.
func Targets(routes []Route, receivers []string, a *schemas.Alert) []Target {
	repeat := repeatOther
	if severity(a) == schemas.SeverityCritical {
		repeat = repeatCritical
	}
	var targets []Target
	add := func(names []string, repeat time.Duration) {
		for _, name := range names {
			known := slices.ContainsFunc(targets, func(t Target) bool { return t.Receiver == name })
			if !known && (a.Rule != schemas.RuleReceiver || a.Labels[schemas.LabelReceiver] != name) {
				targets = append(targets, Target{name, repeat})
			}
		}
	}
	fitted := false
	for i := range routes {
		r := &routes[i]
		if !r.fits(a) {
			continue
		}
		fitted = true
		if every := r.Repeat; every > 0 {
			add(r.Receivers, every)
		} else {
			add(r.Receivers, repeat)
		}
		if !r.Continue {
			break
		}
	}
	if !fitted {
		add(receivers, repeat)
	}
	return targets
}
