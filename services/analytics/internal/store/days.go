package store

import (
	"math"

	"github.com/twmb/franz-go/pkg/kgo"
)

const dayMs = 24 * 60 * 60 * 1000

// Days returns how many days the events of blocks happened on, which is into how
// many partitions they go.
func Days(blocks ...*Block) int {
	days := map[int64]struct{}{}
	latest := int64(math.MinInt64)
	for _, b := range blocks {
		for _, times := range [...][]int64{b.events.time.ms, b.acts.time.ms} {
			for _, ms := range times {
				if day := ms / dayMs; day != latest {
					days[day] = struct{}{}
					latest = day
				}
			}
		}
	}
	return len(days)
}

// Day returns the day of the event in rec, counted from 1970; of what is no
// event, or none that can be read, the day before.
func Day(rec *kgo.Record) int64 {
	var e event
	if err := e.read(rec.Value); err != nil {
		return -1
	}
	return e.time / dayMs
}
