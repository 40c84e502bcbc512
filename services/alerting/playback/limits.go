package playback

import (
	"cmp"
	"fmt"
	"math"
)

// Limits bound what one run may take of the memory of its process and of ClickHouse.
type Limits struct {
	// Keys are the domains and mailbox providers that had mail within one window, each
	// some 1.5 KB with an hour of minutes. Default 1,000,000.
	Keys int
	// Rows are the counts by minute, or the events of an exact run. Default none.
	Rows int64
	// Incidents are those of the rules judged from the stream, a few hundred bytes each.
	// Default 1,000,000.
	Incidents int
}

// incidentsMax is Limits.Incidents of a command.
const incidentsMax = 1_000_000

func (l Limits) withDefaults() Limits {
	return Limits{cmp.Or(l.Keys, seriesMax), cmp.Or(l.Rows, math.MaxInt64), cmp.Or(l.Incidents, incidentsMax)}
}

// LimitError says which limit a run has reached.
type LimitError struct {
	Most int64
	Of   string // what there is more of
	Do   string // what to change
}

// Error says what to do.
func (e *LimitError) Error() string {
	return fmt.Sprintf("the history has more than %d %s, which is the limit: %s", e.Most, e.Of, e.Do)
}

// check counts a row and ends the run at a limit.
func (h *history) check(p *player) error {
	h.rows++
	switch {
	case h.rows > h.limits.Rows:
		return &LimitError{h.limits.Rows, "rows", "play a shorter time"}
	case p.limit.Used() > h.limits.Keys, p.limit.Overflowed() > 0:
		return &LimitError{int64(h.limits.Keys), "domains and mailbox providers within one window", "play rules with a shorter window, or where there is more memory"}
	case len(p.done) > h.limits.Incidents:
		return &LimitError{int64(h.limits.Incidents), "incidents", "play a shorter time, or rules that fire less"}
	}
	return nil
}
