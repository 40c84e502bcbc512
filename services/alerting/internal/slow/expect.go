package slow

import (
	"slices"
	"time"

	"github.com/mailstream/mailstream/services/alerting/internal/rule"
)

// weeks is how many weeks before are looked at.
const weeks = 4

const week = 7 * 24 * time.Hour

// quartile returns how many events an hour should have at least, from those of the
// same hour of the four weeks before: the lower quartile, and nothing unless three
// of the weeks had some. Bursty senders are not a Poisson process; the quartile and the
// three weeks keep a newsletter that comes now and then from being expected.
func quartile(before []uint64) float64 {
	sorted := slices.Sorted(slices.Values(before))
	if len(sorted) < weeks {
		return 0
	}
	return float64(sorted[1])
}

// median returns the median of the four weeks before.
func median(before []uint64) int64 {
	sorted := slices.Sorted(slices.Values(before))
	if len(sorted) < weeks {
		return 0
	}
	return int64(sorted[1]+sorted[2]) / 2
}

// learnt is what a source should send, by hour, in Unix seconds.
type learnt map[int64]float64

// sum returns the events expected in (from, to]; of an hour in part, its part.
func (l learnt) sum(from, to time.Time) float64 {
	total := 0.0
	for hour := from.Truncate(time.Hour); hour.Before(to); hour = hour.Add(time.Hour) {
		end := hour.Add(time.Hour)
		part := minTime(end, to).Sub(maxTime(hour, from))
		total += l[hour.Unix()] * float64(part) / float64(time.Hour)
	}
	return total
}

// stated is what a rule says must come, summed over (from, to] minute by minute.
func stated(e rule.Expect, hours rule.Hours, from, to time.Time) float64 {
	held := time.Duration(0)
	for at := from; at.Before(to); at = at.Add(time.Minute) {
		if hours.Hold(at) {
			held += minTime(at.Add(time.Minute), to).Sub(at)
		}
	}
	return float64(e.Min) * float64(held) / float64(e.Every)
}

func minTime(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

func maxTime(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
