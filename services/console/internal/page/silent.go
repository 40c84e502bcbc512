package page

import (
	"fmt"
	"slices"
	"time"
)

// weekDays are the days that a day is compared with; the page reads them and the last one.
// A source that began workDays ago and rested before is taken to rest every week.
const weekDays, workDays = 7, 5

// pastHours are the hours before now in which a source had an event.
type pastHours [(weekDays + 1) * 24]bool

// add notes an event of so long ago.
func (p *pastHours) add(back time.Duration) {
	if i := int(back / time.Hour); back >= 0 && i < len(p) {
		p[i] = true
	}
}

// missed says whether a source whose last event is so long ago would have sent one by now:
// in the hour that is over, or in the last 24 where it has been silent for a day, it had
// events a week before and on most of the days until it fell silent. A source of few events,
// or one that rests at night and on Sundays, is no reason to look.
func (p *pastHours) missed(gap time.Duration) bool {
	back, from, hours := 1, 1, 1
	if gap >= day {
		back, from, hours = int(gap/day)+1, 0, 24
	}
	known, had, weekBefore := 0, 0, true
	for ; back <= weekDays && p.began() >= min(back, workDays)*24; back++ {
		weekBefore = slices.Contains(p[back*24+from:][:hours], true) || back < weekDays
		if known++; slices.Contains(p[back*24+from:][:hours], true) {
			had++
		}
	}
	if known == 0 {
		return gap < day // there is nothing to compare with: a new source, or one of few events
	}
	return weekBefore && 2*had > known
}

// began is how many hours ago the earliest event was.
func (p *pastHours) began() int {
	first := len(p) - 1
	for first > 0 && !p[first] {
		first--
	}
	return first
}

// unknown says of sources without an event that it is not known whether they had any.
func unknown(rows []sourceRow) {
	for i := range rows {
		if rows[i].State == "never" {
			rows[i].State = "unknown"
		}
	}
}

// silent says that a source does not send as it should, "" where nothing is wrong.
func (r sourceRow) silent(now time.Time) string {
	switch {
	case r.Missed:
		return "No event from " + r.Name + " for " + span(now.Sub(r.Last).Seconds())
	case r.State == "never" && r.Refused() != "":
		return "No event from " + r.Name + " in 8 days"
	}
	return ""
}

// Refused says how many requests of a source the ingress refused, and of these how many for
// their credentials; "" for none.
func (r sourceRow) Refused() string {
	if r.Balance == nil {
		return ""
	}
	var all, unproven uint64
	for _, one := range r.Balance.Refusals {
		if all += one.Count; one.Unproven() {
			unproven += one.Count
		}
	}
	switch {
	case all == 0:
		return ""
	case unproven == 0:
		return count(all, "request") + " refused"
	case unproven == all:
		return count(all, "request") + " refused for wrong credentials"
	}
	return fmt.Sprintf("%s refused, %s for wrong credentials", count(all, "request"), thousands(unproven))
}
