// Package outage sees when a mailbox provider refuses people who exist: on
// 2020-12-14 Gmail answered 5.1.1 to living addresses for most of a day, and every
// list that believed it lost them for ever.
//
// It counts, by mailbox provider and minute, what was taken and what bounced for
// certain, and says which bounces are to be doubted. It is pure: no I/O, no clock
// but the times it is given. What it knows is lost at a restart; until a window
// has filled, no bounce is held in doubt; then the bounces of that window are
// handed back.
package outage

import (
	"math"
	"time"

	"github.com/mailstream/mailstream/schemas"
)

const (
	// pane is the grid of the counts, window what is judged.
	pane   = time.Minute
	panes  = 15
	window = panes * pane

	// bouncesMin keeps a handful of dead addresses from being an outage.
	bouncesMin = 50
	// usualFactor and othersFactor are how far above its own past, and above all
	// other mailbox providers now, a rate has to be: an old list bounces everywhere.
	usualFactor  = 5
	othersFactor = 3
	// usualRate is what a mailbox provider is taken to bounce before it is known, with
	// the weight of usualMessages.
	usualRate, usualMessages = 0.02, 1000
	// halfLife is after how long the past weighs half.
	halfLife = 24 * time.Hour

	// aheadMax is how far bounces may be read ahead of what was taken and still be
	// judged: without the other half of the counts everything looks refused.
	aheadMax = 2 * time.Minute

	// namesMax bounds the mailbox providers; the table knows some dozens.
	namesMax = 256
	// recentMax bounds the bounces of a window that are remembered, of each, at some
	// 300 bytes.
	recentMax = 5000
	// spellsMax bounds the outages that are remembered, of each, for bounces that
	// come late.
	spellsMax = 8
)

// Watch knows how the mailbox providers do. Not safe for concurrent use.
type Watch struct {
	rate  float64
	all   counts
	names map[string]*counts
	taken time.Time // the latest
	due   []schemas.Event
}

// New returns a watch that doubts from a share of rate on.
func New(rate float64) *Watch { return &Watch{rate: rate, names: map[string]*counts{}} }

// counts are those of one mailbox provider, or of all.
type counts struct {
	first   int64 // the minute of the oldest pane
	total   [panes]uint32
	bounced [panes]uint32
	past    struct{ total, bounced float64 }

	recent []bounce // of a window, the oldest first
	known  map[string]bool
	spells []spell
}

// bounce is what is kept of one: enough to list its address for a while.
type bounce struct {
	at, time, receivedAt                  time.Time
	id, provider, source, recipient, hash string
}

func (b *bounce) event() schemas.Event {
	return schemas.Event{
		ID: b.id, Type: schemas.Bounced, Time: b.time, ReceivedAt: b.receivedAt,
		Provider: b.provider, Source: b.source, Recipient: b.recipient, RecipientHash: b.hash,
	}
}

// spell is one outage.
type spell struct{ from, until time.Time }

// Taken counts a message that was delivered, or refused for another reason.
func (w *Watch) Taken(mailboxProvider string, at time.Time) {
	if at.After(w.taken) {
		w.taken = at
	}
	if c := w.of(mailboxProvider); c != nil {
		c.add(at, 0)
	}
	w.all.add(at, 0)
}

// Bounced counts a hard bounce that is certain, read from Kafka at at, and says
// whether to doubt it. now is the time of day. An event that is in the window
// already is not counted twice.
func (w *Watch) Bounced(e *schemas.Event, at, now time.Time) (doubted bool) {
	c := w.of(e.MailboxProvider)
	if c == nil {
		w.all.add(at, 1)
		return false
	}
	if c.remember(e, at) {
		c.add(at, 1)
		w.all.add(at, 1)
	}
	if (!at.After(w.taken.Add(aheadMax)) || now.Sub(at) < aheadMax) && w.excess(c) {
		w.extend(c, at)
	}
	return c.doubted(at)
}

// Doubted says whether a bounce of a mailbox provider that was read from Kafka at
// at is to be doubted, and counts nothing.
func (w *Watch) Doubted(mailboxProvider string, at time.Time) bool {
	c := w.names[mailboxProvider]
	return c != nil && c.doubted(at)
}

// Began returns when the latest outage of a mailbox provider began, zero when
// there was none.
func (w *Watch) Began(mailboxProvider string) time.Time {
	if c := w.names[mailboxProvider]; c != nil && len(c.spells) > 0 {
		return c.spells[len(c.spells)-1].from
	}
	return time.Time{}
}

// Due returns the bounces that were believed before their outage was seen, and
// are to be doubted now, until Done says that the first n were dealt with.
func (w *Watch) Due() []schemas.Event { return w.due }

// Done forgets the first n of Due.
func (w *Watch) Done(n int) { w.due = w.due[n:] }

// Active returns the mailbox providers that are doubted at now.
func (w *Watch) Active(now time.Time) []string {
	var out []string
	for name, c := range w.names {
		if c.doubted(now) {
			out = append(out, name)
		}
	}
	return out
}

// of returns the counts of a name, nil for none and past the bound.
func (w *Watch) of(name string) *counts {
	c := w.names[name]
	if c == nil && name != "" && len(w.names) < namesMax {
		c = &counts{}
		w.names[name] = c
	}
	return c
}

// excess says whether c bounces far above its past and above all others.
func (w *Watch) excess(c *counts) bool {
	total, bounced := c.sum()
	if bounced < bouncesMin {
		return false
	}
	allTotal, allBounced := w.all.sum()
	rate := float64(bounced) / float64(total)
	others := 0.0
	if n := float64(allTotal) - float64(total); n > 0 {
		others = max(0, float64(allBounced)-float64(bounced)) / n
	}
	usual := (c.past.bounced + usualRate*usualMessages) / (c.past.total + usualMessages)
	return rate >= w.rate && rate < math.Inf(1) && rate >= usualFactor*usual && rate >= othersFactor*others
}

// extend begins an outage, or lets the present one last a window longer.
func (w *Watch) extend(c *counts, at time.Time) {
	if n := len(c.spells); n > 0 && !at.After(c.spells[n-1].until) {
		if until := at.Add(window); until.After(c.spells[n-1].until) {
			c.spells[n-1].until = until
		}
		return
	}
	if len(c.spells) == spellsMax {
		c.spells = append(c.spells[:0], c.spells[1:]...)
	}
	c.spells = append(c.spells, spell{from: at.Add(-window), until: at.Add(window)})
	for i := range c.recent {
		w.due = append(w.due, c.recent[i].event())
	}
}

func (c *counts) doubted(at time.Time) bool {
	for _, s := range c.spells {
		if !at.Before(s.from) && !at.After(s.until) {
			return true
		}
	}
	return false
}

// add counts one message at at. What is older than the window is not counted.
func (c *counts) add(at time.Time, bounced uint32) {
	minute := at.Unix() / int64(pane/time.Second)
	c.advance(minute)
	if minute >= c.first {
		c.total[minute%panes]++
		c.bounced[minute%panes] += bounced
	}
}

// advance moves the window on so that it ends with minute. What leaves it is the
// past, unless it was an outage.
func (c *counts) advance(minute int64) {
	steps := minute - (c.first + panes - 1)
	if steps <= 0 {
		return
	}
	fade := math.Exp2(-float64(steps) * pane.Hours() / halfLife.Hours())
	c.past.total *= fade
	c.past.bounced *= fade
	for m := c.first; m < c.first+min(steps, panes); m++ {
		i := m % panes
		if !c.doubted(time.Unix(m*int64(pane/time.Second), 0)) {
			c.past.total += float64(c.total[i])
			c.past.bounced += float64(c.bounced[i])
		}
		c.total[i], c.bounced[i] = 0, 0
	}
	c.first += steps
}

func (c *counts) sum() (total, bounced uint32) {
	for i := range c.total {
		total += c.total[i]
		bounced += c.bounced[i]
	}
	return total, bounced
}

// remember keeps what is needed of e for a window. It is false for an event that
// is there already: a batch may come twice.
func (c *counts) remember(e *schemas.Event, at time.Time) bool {
	if c.known == nil {
		c.known = map[string]bool{}
	}
	if c.known[e.ID] {
		return false
	}
	for len(c.recent) > 0 && (len(c.recent) >= recentMax || at.Sub(c.recent[0].at) > window) {
		delete(c.known, c.recent[0].id)
		c.recent = c.recent[1:] // append frees the room in front when it grows
	}
	c.known[e.ID] = true
	c.recent = append(c.recent, bounce{
		at: at, time: e.Time, receivedAt: e.ReceivedAt,
		id: e.ID, provider: e.Provider, source: e.Source, recipient: e.Recipient, hash: e.RecipientHash,
	})
	return true
}
