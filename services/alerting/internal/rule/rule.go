// Package rule decides when an alert begins and ends: what the configuration
// may say about it, and one pure step function from a state and a reading to
// the next state. It has no clock, keeps nothing, and tells nobody.
package rule

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/internal/platform/config"
)

// MetricBlockRate is blocked / (delivered + bounced + blocked), unique events in
// event time. It is the only metric so far.
const MetricBlockRate = "block_rate"

// Rule is one entry of `alerting.rules`.
type Rule struct {
	// Name identifies the rule for good: alerts of a renamed one are new alerts. At
	// most 64 bytes. Required.
	Name string `yaml:"name"`
	// Metric is what is measured. Default block_rate: there is no other.
	Metric string `yaml:"metric"`
	// By are the dimensions; each value of each is a key of its own, per source.
	// Default [recipient_domain, mailbox_provider].
	By []string `yaml:"by"`
	// Window is how far back mail counts. Default 15m. Range [1m, 1h].
	Window time.Duration `yaml:"window"`
	// Threshold is the rate that must be exceeded: exactly it does not fire. Default
	// 0.6. Range (0, 1).
	Threshold float64 `yaml:"threshold"`
	// MinVolume is how many messages the window must hold. Default 20. Range [1,
	// 1_000_000].
	MinVolume int64 `yaml:"min_volume"`
	// For is how long the threshold must stay exceeded before anybody is told.
	// Default 0s. Range [0s, 1d].
	For time.Duration `yaml:"for"`
	// ResolveBelow is the rate that must be undercut for ResolveFor, at most the
	// threshold. Default 0.4. Range (0, threshold].
	ResolveBelow float64 `yaml:"resolve_below"`
	// ResolveFor is how long the rate must stay below before the end is told. Default
	// 5m. Range (0s, 1d].
	ResolveFor time.Duration `yaml:"resolve_for"`
	// ResolveVolume is how many messages since the start of the incident it takes
	// to believe in a recovery. Default 10 (half of MinVolume).
	// Range [1, 1_000_000].
	ResolveVolume int64 `yaml:"resolve_volume"`
	// StaleAfter ends an incident that has had too little mail to judge by for so
	// long; the message then says so. Default 2h. Range [window, 30d].
	StaleAfter time.Duration `yaml:"stale_after"`
}

const (
	windowMin = time.Minute
	// windowMax bounds the panes kept a key; longer windows want coarser panes.
	windowMax = time.Hour
	volumeMax = 1_000_000
	waitMax   = 24 * time.Hour
	staleMax  = 30 * 24 * time.Hour
	nameMax   = 64 // bytes; it is in every alert and message
	// perMillion is the resolution of a rate in the configuration. Comparing whole
	// numbers makes "exactly 60 %" exact.
	perMillion = 1_000_000
)

// Default returns the headline rule: more than 60 % of the mail to one recipient
// domain or mailbox provider blocked within 15 minutes, of 20 messages or more.
func Default() Rule {
	return Rule{
		Name:   "block_spike",
		Metric: MetricBlockRate,
		By:     []string{schemas.DimensionDomain, schemas.DimensionProvider},
		Window: 15 * time.Minute, Threshold: 0.60, MinVolume: 20,
		ResolveBelow: 0.40, ResolveFor: 5 * time.Minute, ResolveVolume: 10,
		StaleAfter: 2 * time.Hour,
	}
}

// WithDefaults returns r with the values of Default where it has none. For is
// the exception: 0 is a value.
func (r Rule) WithDefaults() Rule {
	d := Default()
	if r.Metric == "" {
		r.Metric = d.Metric
	}
	if len(r.By) == 0 {
		r.By = d.By
	}
	r.Window = either(r.Window, d.Window)
	r.Threshold = either(r.Threshold, d.Threshold)
	r.MinVolume = either(r.MinVolume, d.MinVolume)
	r.ResolveBelow = either(r.ResolveBelow, min(d.ResolveBelow, r.Threshold))
	r.ResolveFor = either(r.ResolveFor, d.ResolveFor)
	r.ResolveVolume = either(r.ResolveVolume, max(r.MinVolume/2, 1))
	r.StaleAfter = either(r.StaleAfter, d.StaleAfter)
	return r
}

func either[T comparable](v, fallback T) T {
	var zero T
	if v == zero {
		return fallback
	}
	return v
}

// Validate reports every fault to p.
func (r Rule) Validate(p *config.Problems) {
	p.Check(r.Name != "" && len(r.Name) <= nameMax, "name", "%q must have 1 to %d bytes", r.Name, nameMax)
	p.Check(r.Metric == MetricBlockRate, "metric", "%q is not %s", r.Metric, MetricBlockRate)
	for i, by := range r.By {
		known := by == schemas.DimensionDomain || by == schemas.DimensionProvider
		p.Check(known && !slices.Contains(r.By[:i], by), fmt.Sprintf("by[%d]", i),
			"%q must be %s or %s, once", by, schemas.DimensionDomain, schemas.DimensionProvider)
	}
	p.Check(r.Window >= windowMin && r.Window <= windowMax, "window", "%s is not in [%s, %s]", r.Window, windowMin, windowMax)
	p.Check(r.Threshold > 0 && r.Threshold < 1, "threshold", "%v is not in (0, 1)", r.Threshold)
	p.Check(r.MinVolume >= 1 && r.MinVolume <= volumeMax, "min_volume", "%d is not in [1, %d]", r.MinVolume, volumeMax)
	p.Check(r.For >= 0 && r.For <= waitMax, "for", "%s is not in [0s, %s]", r.For, waitMax)
	p.Check(r.ResolveBelow > 0 && r.ResolveBelow <= r.Threshold, "resolve_below", "%v is not in (0, threshold %v]", r.ResolveBelow, r.Threshold)
	p.Check(r.ResolveFor > 0 && r.ResolveFor <= waitMax, "resolve_for", "%s is not in (0s, %s]", r.ResolveFor, waitMax)
	p.Check(r.ResolveVolume >= 1 && r.ResolveVolume <= volumeMax, "resolve_volume", "%d is not in [1, %d]", r.ResolveVolume, volumeMax)
	p.Check(r.StaleAfter >= r.Window && r.StaleAfter <= staleMax, "stale_after", "%s is not in [window %s, %s]", r.StaleAfter, r.Window, staleMax)
}

// ValidateWritten reports to p zeros that somebody wrote, r being as it was read:
// WithDefaults would take them for values that were left out.
func (r Rule) ValidateWritten(p *config.Problems) {
	for _, f := range []struct {
		name string
		zero bool
	}{
		{"window", r.Window == 0}, {"threshold", r.Threshold == 0}, {"min_volume", r.MinVolume == 0}, {"resolve_below", r.ResolveBelow == 0},
		{"resolve_for", r.ResolveFor == 0}, {"resolve_volume", r.ResolveVolume == 0}, {"stale_after", r.StaleAfter == 0},
	} {
		p.Check(!f.zero || !p.Written(f.name), f.name, "0 is too little: leave it out for the default")
	}
}

// exceeds says whether part/total > rate, to a millionth.
func exceeds(part, total int64, rate float64) bool {
	return part*perMillion > int64(math.Round(rate*perMillion))*total
}

// below says whether part/total < rate, to a millionth.
func below(part, total int64, rate float64) bool {
	return part*perMillion < int64(math.Round(rate*perMillion))*total
}

// Fingerprint returns the identity of the alert of the rule called name for the
// given labels: 32 hex characters.
func Fingerprint(name string, labels map[string]string) string {
	h := sha256.New()
	write := func(s string) { // lengths keep two label sets from reading alike
		h.Write([]byte(strconv.Itoa(len(s)) + ":" + s))
	}
	write(name)
	for _, k := range slices.Sorted(maps.Keys(labels)) {
		write(k)
		write(labels[k])
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// Incident returns the name of the firing period of an alert that began at
// since, short enough to be read out.
func Incident(fingerprint string, since time.Time) string {
	sum := sha256.Sum256([]byte(fingerprint + since.UTC().Format(time.RFC3339Nano)))
	return "inc-" + hex.EncodeToString(sum[:5])
}
