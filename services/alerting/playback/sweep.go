package playback

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/mailstream/mailstream/services/alerting/internal/rule"
	"github.com/mailstream/mailstream/services/internal/platform/config"
)

// variantsMax bounds one sweep: more lines than this compare nothing.
const variantsMax = 100

// sweepable are the fields of a rule that a sweep may set.
func sweepable() map[string]func(r *rule.Rule, text string) error {
	share := func(at func(*rule.Rule) *float64) func(*rule.Rule, string) error {
		return func(r *rule.Rule, text string) (err error) { *at(r), err = strconv.ParseFloat(text, 64); return err }
	}
	count := func(at func(*rule.Rule) *int64) func(*rule.Rule, string) error {
		return func(r *rule.Rule, text string) (err error) { *at(r), err = strconv.ParseInt(text, 10, 64); return err }
	}
	length := func(at func(*rule.Rule) *time.Duration) func(*rule.Rule, string) error {
		return func(r *rule.Rule, text string) (err error) { *at(r), err = config.ParseDuration(text); return err }
	}
	return map[string]func(*rule.Rule, string) error{
		"threshold":      share(func(r *rule.Rule) *float64 { return &r.Threshold }),
		"resolve_below":  share(func(r *rule.Rule) *float64 { return &r.ResolveBelow }),
		"min_volume":     count(func(r *rule.Rule) *int64 { return &r.MinVolume }),
		"resolve_volume": count(func(r *rule.Rule) *int64 { return &r.ResolveVolume }),
		"window":         length(func(r *rule.Rule) *time.Duration { return &r.Window }),
		"for":            length(func(r *rule.Rule) *time.Duration { return &r.For }),
		"resolve_for":    length(func(r *rule.Rule) *time.Duration { return &r.ResolveFor }),
	}
}

// Sweep returns each rule once for each value of a field: "threshold=0.3:0.8:0.05"
// or "window=5m:30m:5m", from, to (included) and step. Where a threshold falls
// below the rule's resolve_below, that follows it.
func (r Rules) Sweep(text string) (Rules, error) {
	field, values, ok := strings.Cut(text, "=")
	set := sweepable()[field]
	if !ok || set == nil {
		return Rules{}, fmt.Errorf("sweep %q: want FIELD=FROM:TO:STEP, FIELD one of threshold, resolve_below, min_volume, resolve_volume, window, for, resolve_for", text)
	}
	steps, err := series3(field, values)
	if err != nil {
		return Rules{}, fmt.Errorf("sweep %q: %w", text, err)
	}
	all := slices.Concat(r.list, r.sql)
	if n := len(all) * len(steps); n > rulesMax {
		return Rules{}, fmt.Errorf("sweep %q: %d rules with %d values are more than %d together", text, len(all), len(steps), rulesMax)
	}
	out := Rules{unplayed: r.unplayed}
	var faults config.Problems
	for _, p := range all {
		for _, value := range steps {
			v := played{Rule: p.Rule, variant: field + "=" + value}
			if err := set(&v.Rule, value); err != nil {
				return Rules{}, fmt.Errorf("sweep %q: value %s: %w", text, value, err)
			}
			v.ResolveBelow = min(v.ResolveBelow, v.Threshold)
			if v.LowIsBad() {
				v.ResolveAbove = max(v.ResolveAbove, v.Threshold)
			}
			v.StaleAfter = max(v.StaleAfter, v.Window)
			v.Validate(faults.At(v.title()))
			out.add(v)
		}
	}
	return out, faults.Err()
}

// series3 lists the values from FROM to TO.
func series3(field, text string) ([]string, error) {
	parts := strings.Split(text, ":")
	if len(parts) != 3 {
		return nil, fmt.Errorf("want FROM:TO:STEP, have %d parts", len(parts))
	}
	var n [3]float64
	format := func(v float64) string { return strconv.FormatFloat(v, 'g', 10, 64) }
	for i, part := range parts {
		var err error
		if isDuration(field) {
			var d time.Duration
			d, err = config.ParseDuration(part)
			n[i] = float64(d)
			format = func(v float64) string { return config.FormatDuration(time.Duration(v)) }
		} else {
			n[i], err = strconv.ParseFloat(part, 64)
		}
		if err != nil || math.IsNaN(n[i]) || math.IsInf(n[i], 0) {
			return nil, fmt.Errorf("%q is not a value of %s", part, field)
		}
	}
	from, to, step := n[0], n[1], n[2]
	count := math.Floor((to-from)/step+1e-9) + 1
	if step <= 0 || to < from || count > variantsMax {
		return nil, fmt.Errorf("want FROM <= TO and a step that makes at most %d values", variantsMax)
	}
	var out []string
	for i := range int(count) {
		out = append(out, format(from+float64(i)*step))
	}
	return out, nil
}

func isDuration(field string) bool {
	return field == "window" || field == "for" || field == "resolve_for"
}
