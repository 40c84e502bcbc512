package list

import (
	"fmt"
	"slices"
	"time"

	"github.com/mailstream/mailstream/schemas"
)

// Threshold is from how many messages on, on how many days, an address is taken for
// one that fails. Messages 0: never.
type Threshold struct{ Messages, Days int }

// Ladder says when soft bounces list an address, and for how long. The entry is a
// function of Suppression.SoftBounces alone, so neither the order nor repeats of the
// events matter.
type Ladder struct {
	// Thresholds are by reason; a reason that has none is never counted.
	Thresholds map[schemas.Reason]Threshold
	// Within is the time in which the messages of one threshold have to fail.
	Within time.Duration
	// Steps is how long the first, second, ... time lists; what comes after is as long as
	// the last one.
	Steps []time.Duration
}

// reasons returns those that count, in no order.
func (l Ladder) reasons() []schemas.Reason {
	out := []schemas.Reason{} // not nil, which would be any
	for reason, t := range l.Thresholds {
		if t.Messages > 0 {
			out = append(out, reason)
		}
	}
	return out
}

// Settle returns s with the entry that its soft bounces make.
func (l Ladder) Settle(s schemas.Suppression) schemas.Suppression {
	i := slices.IndexFunc(s.Entries, ofLadder)
	if i < 0 && len(s.SoftBounces) == 0 {
		return s
	}
	had := schemas.SuppressionEntry{Scope: schemas.ScopeAccount, Reason: schemas.SuppressSoftBounce, Rule: schemas.RuleSoftBounces}
	if i >= 0 {
		had = s.Entries[i]
	}
	made := l.climb(s.SoftBounces)
	if i < 0 && made.AddedAt.IsZero() {
		return s
	}
	next := had
	next.AddedAt, next.ExpiresAt, next.Since = made.AddedAt, made.ExpiresAt, time.Time{}
	next.Evidence, next.Provider, next.Source, next.Note = made.Evidence, made.Provider, made.Source, made.Note
	// A later step, and healing, follow what was said before; an earlier one corrects it.
	if !had.AddedAt.IsZero() && (compareAdded(had, next) < 0 || !had.RemovedAt.Before(had.AddedAt)) {
		next.Past = append(slices.Clone(next.Past), AddedStep(had))
	}
	next.Past = tidySteps(&next)
	if sameEntry(had, next) {
		return s
	}
	s.Entries = slices.Clone(s.Entries)
	if i >= 0 {
		s.Entries[i] = next
	} else {
		s.Entries = append(s.Entries, next)
		slices.SortFunc(s.Entries, compareKeys)
	}
	return s
}

// climb returns the half with AddedAt of the last step that bounces reach; it is zero
// when they reach none. A step uses up what led to it and the rest of its day.
func (l Ladder) climb(bounces []schemas.SoftBounce) (top schemas.SuppressionEntry) {
	open, step := map[schemas.Reason][]schemas.SoftBounce{}, 0
	for _, b := range bounces {
		t := l.Thresholds[b.Reason]
		if t.Messages == 0 || step > 0 && softDay(b.At).Equal(softDay(top.AddedAt)) {
			continue
		}
		recent := slices.DeleteFunc(append(open[b.Reason], b), func(s schemas.SoftBounce) bool { return !s.At.After(b.At.Add(-l.Within)) })
		open[b.Reason] = recent
		if messages, days := spread(recent); messages < t.Messages || days < t.Days {
			continue
		}
		top = schemas.SuppressionEntry{
			AddedAt: b.At, ExpiresAt: b.At.Add(l.Steps[min(step, len(l.Steps)-1)]),
			Evidence: b.Evidence, Provider: b.Provider, Source: b.Source,
		}
		step++
		top.Note = fmt.Sprintf("step %d of %d: %d messages on %d days since %s failed, %s",
			min(step, len(l.Steps)), len(l.Steps), t.Messages, t.Days, recent[0].At.Format(time.DateOnly), b.Reason)
		clear(open)
	}
	return top
}

// spread returns how many messages failed, and on how many days.
func spread(bounces []schemas.SoftBounce) (messages, days int) {
	seen, on := map[string]bool{}, map[time.Time]bool{}
	for _, b := range bounces {
		seen[b.Message], on[softDay(b.At)] = true, true
	}
	return len(seen), len(on)
}

// Heal is a sign that mail reaches a mailbox.
type Heal struct {
	At time.Time
	By string // Event.ID
}

// Heals are the latest of one address, of each kind.
type Heals struct {
	Any    Heal // a delivery too
	Person Heal // an open or a click that no machine is known to have made
}

// HealOf returns what e heals, and false for what heals nothing.
func HealOf(e *schemas.Event) (h Heals, ok bool) {
	h.Any = Heal{At: Stamp(eventTime(e)), By: e.ID}
	switch {
	case e.Type == schemas.Delivered:
		return h, true
	case e.Type != schemas.Opened && e.Type != schemas.Clicked, e.Machine != nil && *e.Machine:
		return Heals{}, false
	}
	h.Person = h.Any
	return h, true
}

// Merge returns the later of each kind.
func (h Heals) Merge(other Heals) Heals {
	return Heals{Any: laterHeal(h.Any, other.Any), Person: laterHeal(h.Person, other.Person)}
}

// Ended reports whether the person was reached after e, a soft bounce.
func (h Heals) Ended(e *schemas.Event) bool { return !eventTime(e).After(h.Any.At) }

func laterHeal(a, b Heal) Heal {
	if c := a.At.Compare(b.At); c < 0 || c == 0 && a.By < b.By {
		return b
	}
	return a
}

// Apply returns cur with what h ends: soft bounces, and of a person's open or click
// hard bounces too. It is cur where there is nothing to end.
func (h Heals) Apply(cur schemas.Suppression) schemas.Suppression {
	var ends []schemas.SuppressionEntry
	soft := slices.ContainsFunc(cur.SoftBounces, func(s schemas.SoftBounce) bool { return !s.At.After(h.Any.At) })
	for _, e := range cur.Entries {
		if ofLadder(e) {
			soft = soft || added(e) && !e.AddedAt.After(h.Any.At)
		}
		switch {
		case e.Reason == schemas.SuppressHardBounce && added(e) && Since(e).Before(h.Person.At) && e.RemovedAt.Before(h.Person.At):
			ends = append(ends, lifted(e, h.Person))
		case e.Reason == schemas.SuppressSoftBounce && e.Rule == "" && added(e) && e.AddedAt.Before(h.Any.At): // an import
			ends = append(ends, lifted(e, h.Any))
		}
	}
	if soft {
		ends = append(ends, lifted(schemas.SuppressionEntry{
			Scope: schemas.ScopeAccount, Reason: schemas.SuppressSoftBounce, Rule: schemas.RuleSoftBounces,
		}, h.Any))
	}
	if len(ends) == 0 {
		return cur
	}
	return Merge(cur, schemas.Suppression{Hash: cur.Hash, Address: cur.Address, UpdatedAt: cur.UpdatedAt, Entries: ends})
}

func lifted(had schemas.SuppressionEntry, by Heal) schemas.SuppressionEntry {
	delta := Lifted(had, by.At)
	delta.RemovedBy = by.By
	return delta
}
