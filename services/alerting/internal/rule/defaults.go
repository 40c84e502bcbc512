package rule

import (
	"cmp"
	"time"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/alerting/internal/metric"
)

// Default returns the headline rule: more than 60 % of the mail to one recipient
// domain or mailbox provider blocked within 15 minutes, of 20 messages or more.
func Default() Rule {
	return Rule{
		Name: "block_spike", Enabled: new(true), Severity: schemas.SeverityCritical,
		Metric: metric.BlockRate,
		By:     []string{schemas.DimensionDomain, schemas.DimensionProvider},
		Window: 15 * time.Minute, Threshold: 0.60, MinVolume: 20,
		ResolveBelow: 0.40, ResolveFor: 5 * time.Minute, ResolveVolume: 10,
		StaleAfter: 2 * time.Hour,
	}
}

// BuiltIn returns the rules that are judged by SQL without being written down,
// where there is ClickHouse. Each has a page in docs/rules.
func BuiltIn() []Rule {
	rules := []Rule{
		{Name: "silence", Metric: metric.Silence},
		{Name: "complaint_warning", Severity: schemas.SeverityWarning, Metric: metric.ComplaintRate, Threshold: 0.001},
		{Name: "complaint_critical", Metric: metric.ComplaintRate, Threshold: 0.003},
		{Name: "hard_bounce_warning", Severity: schemas.SeverityWarning, Metric: metric.HardBounceRate, Threshold: 0.05},
		{Name: "hard_bounce_critical", Metric: metric.HardBounceRate, Threshold: 0.10, Confidence: 0.95},
	}
	for i := range rules {
		rules[i] = rules[i].WithDefaults()
	}
	return rules
}

// defaultsOf returns what a rule on the metric takes where it says nothing. Why
// these numbers: docs/rules.
func defaultsOf(name string) Rule {
	const day = 24 * time.Hour
	r := Default()
	r.By = []string{metric.Source}
	r.MinVolume, r.ResolveFor, r.StaleAfter = 200, 30*time.Minute, day
	switch name {
	case metric.HardBounceRate:
		r.By, r.Window, r.Threshold, r.MinCount = []string{metric.Campaign}, time.Hour, 0.05, 20
	case metric.BounceRate:
		r.Window, r.Threshold, r.MinCount = time.Hour, 0.10, 20
	case metric.ComplaintRate:
		r.Window, r.Threshold, r.MinCount, r.MinVolume, r.Confidence = day, 0.001, 3, 1000, 0.95
		r.ResolveFor = 2 * time.Hour
	case metric.DeferralRate:
		r.By, r.Window, r.Threshold, r.MinCount = []string{schemas.DimensionProvider}, 30*time.Minute, 0.20, 30
	case metric.UnsubscribeRate:
		r.By, r.Window, r.Threshold, r.MinCount, r.MinVolume, r.Confidence = []string{metric.Campaign}, day, 0.005, 10, 1000, 0.95
	case metric.DeliveryRate:
		r.Window, r.Threshold = day, 0.90
	case metric.UnknownShare:
		r.Window, r.Threshold, r.MinVolume = time.Hour, 0.05, 100
	case metric.SuppressedShare:
		r.Window, r.Threshold = time.Hour, 0.02
	case metric.VolumeDrop:
		r.Window, r.Threshold, r.MinVolume = time.Hour, 0.50, 100
	case metric.Silence:
		r.Window, r.Threshold, r.MinVolume, r.ResolveFor, r.StaleAfter = day, 0.5, 10, time.Minute, 7*day
	case metric.Lateness:
		r.Window, r.Threshold, r.MinVolume = time.Hour, 0.20, 100
	case metric.Lag: // total is the window in seconds, so that no volume is too small
		r.Window, r.Threshold, r.MinVolume, r.ResolveFor = time.Hour, 0.5, 1, time.Minute
	default:
		return Default()
	}
	return r
}

// WithDefaults returns r with the defaults of its metric where it says nothing.
// For, Confidence, MinCount and Baseline are exceptions where 0 is a value; those
// of a metric of rare events come with it when the rule states no threshold of its
// own.
func (r Rule) WithDefaults() Rule {
	r.Metric = cmp.Or(r.Metric, metric.BlockRate)
	d := defaultsOf(r.Metric)
	r.Enabled, r.Severity = cmp.Or(r.Enabled, d.Enabled), cmp.Or(r.Severity, d.Severity)
	if len(r.By) == 0 {
		r.By = d.By
	}
	r.Window = cmp.Or(r.Window, d.Window)
	r.Confidence, r.MinCount = cmp.Or(r.Confidence, d.Confidence), cmp.Or(r.MinCount, d.MinCount)
	r.Threshold = cmp.Or(r.Threshold, d.Threshold)
	r.MinVolume = cmp.Or(r.MinVolume, r.Expect.Min, d.MinVolume)
	if r.LowIsBad() {
		r.ResolveAbove = cmp.Or(r.ResolveAbove, (1+r.Threshold)/2)
	}
	r.ResolveBelow = cmp.Or(r.ResolveBelow, min(d.ResolveBelow, resolveShare(r)))
	r.ResolveFor = cmp.Or(r.ResolveFor, d.ResolveFor)
	r.ResolveVolume = cmp.Or(r.ResolveVolume, max(r.MinVolume/2, 1))
	r.StaleAfter = cmp.Or(r.StaleAfter, max(d.StaleAfter, r.Window))
	return r
}

// resolveShare is below what a rule ends when it does not say: of the headline
// metric the threshold at most, of the others a good part under it.
func resolveShare(r Rule) float64 {
	if r.Metric == metric.BlockRate {
		return r.Threshold
	}
	return r.Threshold * 0.8
}

// NotJudgedAfter is how long a rule by SQL may go unread before people hear of it.
const NotJudgedAfter = 15 * time.Minute

// NotJudged is the rule that the rules by SQL are judged at all: it fires when some
// have not been for NotJudgedAfter. No incident of theirs ends meanwhile.
func NotJudged() Rule {
	return Rule{
		Name: "not_judged", Severity: schemas.SeverityCritical, Metric: metric.NotJudged, By: []string{metric.All},
		Window: NotJudgedAfter, Threshold: 0.0001, MinVolume: 1, ResolveBelow: 0.0001, ResolveVolume: 1, StaleAfter: staleMax,
	}
}
