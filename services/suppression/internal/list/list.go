// Package list decides who must not be mailed: how two states of one address
// merge, what is active at a moment, which entries a question is about, and
// what an event changes.
//
// It is pure: no clock, no I/O, no logging. Merge is commutative, associative
// and idempotent, so duplicates, replays, reordering and concurrent writers
// converge. It does not know how states are stored or who asks.
package list

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/mailstream/mailstream/schemas"
)

// Merge returns the least state that holds all of a and b, two states of one
// address. Neither is changed; the result may share strings with both, never
// the entries' array. Entries come out ordered by scope, reason and rule. Of two
// erasures the later says what is known of the person. What a rule made of all that is
// known is only right after Ladder.Settle.
func Merge(a, b schemas.Suppression) schemas.Suppression {
	out := schemas.Suppression{
		Hash:      max(a.Hash, b.Hash),
		ErasedAt:  later(a.ErasedAt, b.ErasedAt),
		UpdatedAt: later(a.UpdatedAt, b.UpdatedAt),
		Entries:   make([]schemas.SuppressionEntry, 0, len(a.Entries)+len(b.Entries)),
	}
	out.Entries = append(out.Entries, a.Entries...)
	out.Entries = append(out.Entries, b.Entries...)
	slices.SortStableFunc(out.Entries, compareKeys)
	out.Entries = mergeNeighbours(out.Entries)
	switch a.ErasedAt.Compare(b.ErasedAt) {
	case 0:
		out.Address = mergeAddress(a.Address, b.Address)
	case 1:
		out.Address = a.Address
	case -1:
		out.Address = b.Address
	}
	out.SoftBounces = mergeSoft(a.SoftBounces, b.SoftBounces, healedAt(out.Entries))
	forgetNotes(out.Entries, out.ErasedAt)
	return out
}

// Tidy returns s as Merge would have left it: stamps in UTC cut to
// milliseconds, entries in order, no pair twice. It is for states that another
// program wrote.
func Tidy(s schemas.Suppression) schemas.Suppression {
	if e := s.Entries; len(e) == 1 && e[0].Past == nil && s.SoftBounces == nil && s.ErasedAt.IsZero() {
		stampAll(&e[0])
		s.UpdatedAt = Stamp(s.UpdatedAt)
		return s
	}
	entries := slices.Clone(s.Entries)
	for i := range entries {
		stampAll(&entries[i])
	}
	s.UpdatedAt, s.ErasedAt = Stamp(s.UpdatedAt), Stamp(s.ErasedAt)
	s.Entries, s.SoftBounces = entries, slices.Clone(s.SoftBounces)
	for i := range s.SoftBounces {
		s.SoftBounces[i].At = Stamp(s.SoftBounces[i].At)
	}
	return Merge(s, schemas.Suppression{})
}

func stampAll(e *schemas.SuppressionEntry) {
	e.AddedAt, e.RemovedAt, e.ExpiresAt, e.Since = Stamp(e.AddedAt), Stamp(e.RemovedAt), Stamp(e.ExpiresAt), Stamp(e.Since)
}

// Same reports whether a and b say the same of the address. When they were
// written does not count.
func Same(a, b schemas.Suppression) bool {
	return a.Hash == b.Hash && a.Address == b.Address && a.ErasedAt.Equal(b.ErasedAt) &&
		slices.EqualFunc(a.Entries, b.Entries, sameEntry) && slices.EqualFunc(a.SoftBounces, b.SoftBounces, sameSoft)
}

// SameFacts is Same but for what a rule made of the rest: a replica with other
// thresholds knows no more than we do.
func SameFacts(a, b schemas.Suppression) bool {
	a.Entries, b.Entries = facts(a.Entries), facts(b.Entries)
	return Same(a, b)
}

// facts returns entries without what a rule made.
func facts(entries []schemas.SuppressionEntry) []schemas.SuppressionEntry {
	made := func(e schemas.SuppressionEntry) bool { return e.Rule != "" }
	if !slices.ContainsFunc(entries, made) {
		return entries
	}
	var out []schemas.SuppressionEntry
	for _, e := range entries {
		if made(e) {
			e = schemas.SuppressionEntry{
				Scope: e.Scope, Reason: e.Reason, Rule: e.Rule,
				RemovedAt: e.RemovedAt, RemovedBy: e.RemovedBy, RemovedNote: e.RemovedNote,
			}
		}
		if !made(e) || !e.RemovedAt.IsZero() {
			out = append(out, e)
		}
	}
	return out
}

// Forget returns cur without the address and what people wrote until at. Hash and
// reasons stay, so that the person is not mailed again. It is cur where nothing is
// known of the person, and where as much was forgotten before.
func Forget(cur schemas.Suppression, at time.Time) schemas.Suppression {
	if at = Stamp(at); len(cur.Entries) == 0 && cur.Address == "" || !at.After(cur.ErasedAt) {
		return cur
	}
	return Merge(cur, schemas.Suppression{Hash: cur.Hash, ErasedAt: at})
}

// forgetNotes takes out what people wrote until at. It is a function of the halves
// and at alone, and a note decides only between halves that differ in nothing else,
// so it does not matter whether it comes before or after a merge.
func forgetNotes(entries []schemas.SuppressionEntry, at time.Time) {
	for i := range entries {
		if e := &entries[i]; !at.IsZero() {
			if !e.AddedAt.After(at) {
				e.Note = ""
			}
			if !e.RemovedAt.After(at) {
				e.RemovedNote = ""
			}
			e.Past = slices.Clone(e.Past) // it may be shared
			for j := range e.Past {
				if !e.Past[j].At.After(at) {
					e.Past[j].Note = ""
				}
			}
		}
	}
}

// Find returns the entry of s for the pair that no rule made, the zero entry of that
// pair when there is none.
func Find(s schemas.Suppression, scope string, reason schemas.SuppressionReason) schemas.SuppressionEntry {
	for i := range s.Entries {
		if s.Entries[i].Scope == scope && s.Entries[i].Reason == reason && s.Entries[i].Rule == "" {
			return s.Entries[i]
		}
	}
	return schemas.SuppressionEntry{Scope: scope, Reason: reason}
}

// Active reports whether e holds at now. An add and a lift at the same moment
// leave it active: mailing a recipient who opted out is the worse mistake.
func Active(e schemas.SuppressionEntry, now time.Time) bool {
	return added(e) && (e.ExpiresAt.IsZero() || now.Before(e.ExpiresAt))
}

// Since returns when the present active period of e began.
func Since(e schemas.SuppressionEntry) time.Time {
	if e.Since.IsZero() || e.Since.Before(e.RemovedAt) || e.Since.After(e.AddedAt) {
		return e.AddedAt
	}
	return e.Since
}

// Stamp returns t as entries carry it: UTC, cut to milliseconds.
func Stamp(t time.Time) time.Time {
	if t.IsZero() {
		return time.Time{}
	}
	return t.UTC().Truncate(time.Millisecond)
}

// added reports whether e was added and not lifted since.
func added(e schemas.SuppressionEntry) bool {
	return !e.AddedAt.IsZero() && !e.AddedAt.Before(e.RemovedAt)
}

func compareKeys(a, b schemas.SuppressionEntry) int {
	return cmp.Or(strings.Compare(a.Scope, b.Scope), strings.Compare(string(a.Reason), string(b.Reason)), strings.Compare(a.Rule, b.Rule))
}

// mergeNeighbours joins runs of one key in a sorted slice, in place.
func mergeNeighbours(in []schemas.SuppressionEntry) []schemas.SuppressionEntry {
	out := in[:0]
	for _, e := range in {
		if last := len(out) - 1; last >= 0 && compareKeys(out[last], e) == 0 {
			out[last] = mergeEntry(out[last], e)
			continue
		}
		e.Past = tidySteps(&e)
		out = append(out, e)
	}
	return out
}

// mergeEntry takes the greater half of each, by a total order over the half:
// the stamp first, then what describes it, so that equal stamps converge too.
func mergeEntry(a, b schemas.SuppressionEntry) schemas.SuppressionEntry {
	out := a
	if compareAdded(b, a) > 0 {
		out.AddedAt, out.ExpiresAt = b.AddedAt, b.ExpiresAt
		out.Evidence, out.Provider, out.Source, out.Note = b.Evidence, b.Provider, b.Source, b.Note
	}
	if cmp.Or(a.RemovedAt.Compare(b.RemovedAt), strings.Compare(a.RemovedBy, b.RemovedBy),
		strings.Compare(a.RemovedNote, b.RemovedNote)) < 0 {
		out.RemovedAt, out.RemovedBy, out.RemovedNote = b.RemovedAt, b.RemovedBy, b.RemovedNote
	}
	switch a.RemovedAt.Compare(b.RemovedAt) {
	case 0:
		out.Since = earlierSet(a.Since, b.Since)
	case -1:
		out.Since = b.Since
	}
	out.Past = past(&out, &a, &b)
	return out
}

func compareAdded(a, b schemas.SuppressionEntry) int {
	return cmp.Or(
		a.AddedAt.Compare(b.AddedAt),
		compareExpiry(a.ExpiresAt, b.ExpiresAt),
		strings.Compare(a.Evidence, b.Evidence),
		strings.Compare(a.Provider, b.Provider),
		strings.Compare(a.Source, b.Source),
		strings.Compare(a.Note, b.Note),
	)
}

// compareExpiry puts "never" after every moment.
func compareExpiry(a, b time.Time) int {
	switch {
	case a.IsZero() && b.IsZero():
		return 0
	case a.IsZero():
		return 1
	case b.IsZero():
		return -1
	default:
		return a.Compare(b)
	}
}

func earlierSet(a, b time.Time) time.Time {
	if a.IsZero() || (!b.IsZero() && b.Before(a)) {
		return b
	}
	return a
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// mergeAddress keeps the one that is known. One hash has one canonical address,
// so the order between two different ones only has to be the same everywhere.
func mergeAddress(a, b string) string {
	if a == "" || (b != "" && b < a) {
		return b
	}
	return a
}

func sameEntry(a, b schemas.SuppressionEntry) bool {
	return compareKeys(a, b) == 0 && compareAdded(a, b) == 0 &&
		a.RemovedAt.Equal(b.RemovedAt) && a.RemovedBy == b.RemovedBy && a.RemovedNote == b.RemovedNote &&
		a.Since.Equal(b.Since) && slices.EqualFunc(a.Past, b.Past, sameStep)
}
