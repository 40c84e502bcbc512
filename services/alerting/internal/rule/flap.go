package rule

import (
	"slices"
	"time"
)

const (
	// FlapWindow is how far back periods count, and how long a flapping incident
	// must be quiet before it ends.
	FlapWindow = time.Hour
	// flapPeriods is how many firing periods within FlapWindow make one incident
	// that flaps.
	flapPeriods = 3
)

// Periods adds a firing period that begins at now to those before. It returns the
// ones that still count, and whether the alert flaps.
func Periods(before []time.Time, now time.Time) (periods []time.Time, flaps bool) {
	for _, t := range before {
		if now.Sub(t) < FlapWindow {
			periods = append(periods, t)
		}
	}
	periods = append(periods, now)
	periods = slices.Clone(periods[max(0, len(periods)-flapPeriods):])
	return periods, len(periods) == flapPeriods
}

// Damped returns r as it holds for an incident that flaps: quiet for an hour ends
// it, and what comes before is the same incident.
func (r Rule) Damped() Rule {
	r.ResolveFor = max(r.ResolveFor, FlapWindow)
	r.StaleAfter = max(r.StaleAfter, FlapWindow)
	return r
}
