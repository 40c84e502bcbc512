package window

import (
	"time"

	"github.com/mailstream/mailstream/schemas"
)

// PaneLength is how finely time is cut. A window ends now and starts at a pane's
// edge, so it is up to this much longer than asked for: 15m to 15m10s. Shorter
// panes cost memory on busy keys for precision nobody acts on.
const PaneLength = 10 * time.Second

// Pane numbers a slice of event time: Unix seconds divided by PaneLength. It
// fits 32 bits until the year 2650.
type Pane int32

// PaneOf returns the pane t lies in.
func PaneOf(t time.Time) Pane {
	s := t.Unix()
	length := int64(PaneLength / time.Second)
	if s < 0 { // nothing before 1970 is ever counted
		return 0
	}
	return Pane(min(s/length, 1<<31-1))
}

// First returns the first pane of a window of the given length that ends now.
// The pane holds the window's start, so all of the window is covered.
func First(now time.Time, length time.Duration) Pane { return PaneOf(now.Add(-length)) }

// Start returns the beginning of p, Unix seconds.
func (p Pane) Start() int64 { return int64(p) * int64(PaneLength/time.Second) }

// Kind is the outcome of one message.
type Kind uint8

// The kinds: all that a block rate is made of.
const (
	Delivered Kind = iota
	Bounced
	Blocked
)

// KindOf returns the kind of events of type t, false for those not counted.
func KindOf(t schemas.Type) (Kind, bool) {
	switch t {
	case schemas.Delivered:
		return Delivered, true
	case schemas.Bounced:
		return Bounced, true
	case schemas.Blocked:
		return Blocked, true
	default:
		return 0, false
	}
}

// Counts are numbers of messages by outcome. A pane of ten seconds cannot reach
// 2^32.
type Counts struct {
	Delivered, Bounced, Blocked uint32
}

// add counts n more events of kind k.
func (c *Counts) add(k Kind, n uint32) {
	switch k {
	case Delivered:
		c.Delivered += n
	case Bounced:
		c.Bounced += n
	case Blocked:
		c.Blocked += n
	}
}

// plus returns the sum of c and d.
func (c Counts) plus(d Counts) Counts {
	return Counts{c.Delivered + d.Delivered, c.Bounced + d.Bounced, c.Blocked + d.Blocked}
}

// larger returns the larger of c and d, kind by kind.
func (c Counts) larger(d Counts) Counts {
	return Counts{max(c.Delivered, d.Delivered), max(c.Bounced, d.Bounced), max(c.Blocked, d.Blocked)}
}

// minus returns what is left of c without d, kind by kind, 0 at least.
func (c Counts) minus(d Counts) Counts {
	return Counts{less(c.Delivered, d.Delivered), less(c.Bounced, d.Bounced), less(c.Blocked, d.Blocked)}
}

func less(a, b uint32) uint32 {
	if b >= a {
		return 0
	}
	return a - b
}

// difference returns added without replaced, which may be below zero.
func difference(added, replaced Counts) schemas.AlertCounts {
	return schemas.AlertCounts{
		Delivered: int64(added.Delivered) - int64(replaced.Delivered),
		Bounced:   int64(added.Bounced) - int64(replaced.Bounced),
		Blocked:   int64(added.Blocked) - int64(replaced.Blocked),
	}
}

// moved returns c changed by a difference, 0 at least.
func (c Counts) moved(by schemas.AlertCounts) Counts {
	return Counts{
		clip(int64(c.Delivered) + by.Delivered), clip(int64(c.Bounced) + by.Bounced), clip(int64(c.Blocked) + by.Blocked),
	}
}

// Total returns all messages, the denominator of the block rate.
func (c Counts) Total() int64 { return int64(c.Delivered) + int64(c.Bounced) + int64(c.Blocked) }

// Rate returns the share of blocked messages, 0 when there is none at all.
func (c Counts) Rate() float64 {
	if total := c.Total(); total > 0 {
		return float64(c.Blocked) / float64(total)
	}
	return 0
}

// Wire returns c as records carry it.
func (c Counts) Wire() schemas.AlertCounts {
	return schemas.AlertCounts{Delivered: int64(c.Delivered), Bounced: int64(c.Bounced), Blocked: int64(c.Blocked)}
}

// countsOf reads counts of a record; what does not fit is cut off.
func countsOf(w schemas.AlertCounts) Counts {
	return Counts{clip(w.Delivered), clip(w.Bounced), clip(w.Blocked)}
}

func clip(n int64) uint32 { return uint32(min(max(n, 0), 1<<32-1)) }
