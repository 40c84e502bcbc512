package slow

import (
	"math/bits"
	"slices"

	"github.com/mailstream/mailstream/schemas"
)

// counter is one of the numbers that are kept of a key.
type counter uint8

// The counters: those of counts.sql and, from blockedBy on, the causes of blocks, in the
// order of schemas.Causes; then those of events.
const (
	delivered counter = iota
	bounced
	hardBounced
	blocked
	suppressed
	deferrals
	tried
	complaints
	complainable
	unsubscriptions
	deliveries
	blockedBy
	allEvents     = blockedBy + causes
	unknownEvents = allEvents + 1
	counters      = unknownEvents + 1
)

// causes is how many schemas.Causes there are.
const causes = 6

type tally [counters]int32

// outcomes returns the messages that have one.
func (t *tally) outcomes() int64 { return int64(t[delivered]) + int64(t[bounced]) + int64(t[blocked]) }

// counted is a tally as a statement returns it.
func (t *tally) counted() messageCounts {
	n := func(c counter) uint64 { return uint64(max(t[c], 0)) }
	return messageCounts{
		Delivered: n(delivered), Bounced: n(bounced), Hard: n(hardBounced), Blocked: n(blocked), Suppressed: n(suppressed), Deferrals: n(deferrals),
		Tried: n(tried), Complaints: n(complaints), Complainable: n(complainable), Unsubscriptions: n(unsubscriptions), Deliveries: n(deliveries),
	}
}

// cell is what one step of time adds to a key.
type cell struct {
	at int // its number
	tally
}

// series is one key: the cells of the window, in order, and their sum.
type series struct {
	split       int
	source, key string
	name        string // as keyed has it
	cells       []cell
	sum         tally
	past        map[string]*ring // what was read at earlier steps, by metric
}

// tallies is a set of counters, a bit for each.
type tallies uint32

func (t tallies) with(c counter) tallies { return t | 1<<c }

// add counts n more in a cell.
func (s *series) add(at int, in tallies, n int32) {
	i, have := slices.BinarySearchFunc(s.cells, at, func(have cell, at int) int { return have.at - at })
	if !have {
		s.cells = slices.Insert(s.cells, i, cell{at: at})
	}
	for ; in != 0; in &= in - 1 {
		c := bits.TrailingZeros32(uint32(in))
		s.cells[i].tally[c] += n
		s.sum[c] += n
	}
}

// expire forgets the cells up to one.
func (s *series) expire(last int) {
	for len(s.cells) > 0 && s.cells[0].at <= last {
		for c, n := range s.cells[0].tally {
			s.sum[c] -= n
		}
		s.cells = s.cells[1:]
	}
}

// fresh returns the messages with an outcome, or the events, in the cells after one.
func (s *series) fresh(after int) (n int64) {
	for i := len(s.cells) - 1; i >= 0 && s.cells[i].at > after; i-- {
		n += s.cells[i].outcomes() + int64(s.cells[i].tally[allEvents])
	}
	return n
}

// ring keeps one number a step, of as many steps as four weeks have.
type ring struct{ values []float64 }

func newRing(steps int, unknown float64) *ring {
	return &ring{slices.Repeat([]float64{unknown}, steps+1)}
}

func (r *ring) at(step int) *float64 {
	n := len(r.values)
	return &r.values[(step%n+n)%n]
}

// class is a way to count a message by the latest of some of its events. Within a window
// that is the latest of all, or it has none: so counts by the cell of the latest event
// add up to the counts of any window.
type class uint8

const (
	byOutcome class = iota
	byDeferral
	byAttempt
	byComplaint
	byComplainable
	byUnsubscription
	byDelivery
	classes
)

// happening is one number of a pattern of history_messages.sql.
type happening uint32

func (h happening) cell() int      { return int(h >> 8) }
func (h happening) outcome() int   { return int(h>>6) & 3 } // 1 delivered, 2 bounced, 3 blocked
func (h happening) hard() bool     { return h>>5&1 == 1 }
func (h happening) cause() int     { return int(h>>2) & 7 } // 1 is the first of schemas.Causes
func (h happening) deferred() bool { return h.outcome() == 0 && h&3 == 1 }

// in says whether the class counts the event; silent mailbox providers report no complaints.
func (h happening) in(c class, silent bool) bool {
	complained := h.outcome() == 0 && h&3 == 2
	switch c {
	case byOutcome:
		return h.outcome() > 0
	case byDeferral:
		return h.deferred()
	case byAttempt:
		return h.deferred() || h.outcome() > 0
	case byComplaint:
		return complained
	case byComplainable:
		return complained || h.outcome() == 1 && !silent
	case byUnsubscription:
		return h.outcome() == 0 && h&3 == 3
	default:
		return h.outcome() == 1
	}
}

// tallies returns the counters of a class that the event counts in.
func (h happening) tallies(c class) (in tallies) {
	if c != byOutcome {
		return in.with([classes]counter{byDeferral: deferrals, byAttempt: tried, byComplaint: complaints, byComplainable: complainable, byUnsubscription: unsubscriptions, byDelivery: deliveries}[c])
	}
	if h.outcome() >= 2 && h.cause() == slices.Index(schemas.Causes(), schemas.CauseProvider)+1 {
		in = in.with(suppressed)
	}
	switch h.outcome() {
	case 1:
		return in.with(delivered)
	case 2:
		if h.hard() {
			in = in.with(hardBounced)
		}
		return in.with(bounced)
	default:
		cause := h.cause()
		if cause == 0 { // of an unknown cause is of another one
			cause = causes
		}
		return in.with(blocked).with(blockedBy + counter(cause-1))
	}
}
