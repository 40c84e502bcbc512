package page

import (
	"time"

	"github.com/mailstream/mailstream/services/console/internal/history"
	"github.com/mailstream/mailstream/services/console/internal/peer"
)

// balance is what became of what came in.
type balance struct{ peer.Balance }

// Even says that every item is accounted for.
func (b balance) Even() bool { return b.Open() == 0 }

// byHour draws the events of a source by hour, and those of the same hours a day and a
// week before.
func byHour(counts []history.Count, source string, now time.Time) Plot {
	p := Plot{ID: "hours", Caption: "Events by hour", Columns: []string{"last 24 h", "the day before", "a week before"}}
	hours := map[time.Time]uint64{}
	for _, c := range counts {
		if c.Source == source {
			hours[c.Hour.UTC()] += c.Events
		}
	}
	first := now.Truncate(time.Hour).Add(-23 * time.Hour)
	for i := range 24 {
		at := first.Add(time.Duration(i) * time.Hour)
		row := PlotRow{At: at, N: hours[at]}
		for _, back := range []time.Duration{0, day, 7 * day} {
			v := float64(hours[at.Add(-back)])
			row.Values = append(row.Values, &v)
		}
		p.Rows = append(p.Rows, row)
	}
	return p
}
