package list

import (
	"cmp"
	"slices"
	"strings"

	"github.com/mailstream/mailstream/schemas"
)

// pastMax bounds the replaced adds, and likewise the lifts, of one entry: a record of
// many entries stays below the largest that Kafka takes.
const pastMax = 20

// AddedStep returns the add that e has now; its At is zero when there is none.
func AddedStep(e schemas.SuppressionEntry) schemas.SuppressionStep {
	return schemas.SuppressionStep{
		At: e.AddedAt, Evidence: e.Evidence, Provider: e.Provider, Source: e.Source, Note: e.Note,
	}
}

// LiftedStep returns the lift that e has now; its At is zero when there is none.
func LiftedStep(e schemas.SuppressionEntry) schemas.SuppressionStep {
	return schemas.SuppressionStep{At: e.RemovedAt, Lift: true, Evidence: e.RemovedBy, Note: e.RemovedNote}
}

// History returns every add and lift of e that is known, the latest first.
func History(e schemas.SuppressionEntry) []schemas.SuppressionStep {
	steps := slices.Clone(e.Past)
	for _, now := range []schemas.SuppressionStep{AddedStep(e), LiftedStep(e)} {
		if !now.At.IsZero() {
			steps = append(steps, now)
		}
	}
	slices.SortFunc(steps, func(a, b schemas.SuppressionStep) int { return compareSteps(b, a) })
	return steps
}

// past returns what a and b know beside the halves of now, which is their merge: the
// latest pastMax of a set's elements, of each kind, each event once. That is a function of the set
// alone, so it does not matter in which order states merge.
func past(now, a, b *schemas.SuppressionEntry) []schemas.SuppressionStep {
	add, lift := AddedStep(*now), LiftedStep(*now)
	var steps []schemas.SuppressionStep
	take := func(s schemas.SuppressionStep) {
		if !s.At.IsZero() && !sameOrigin(s, add) && !sameOrigin(s, lift) {
			steps = append(steps, s)
		}
	}
	for _, e := range []*schemas.SuppressionEntry{a, b} {
		take(AddedStep(*e))
		take(LiftedStep(*e))
		for _, s := range e.Past {
			take(s)
		}
	}
	return latestSteps(steps)
}

func latestSteps(steps []schemas.SuppressionStep) []schemas.SuppressionStep {
	slices.SortFunc(steps, func(a, b schemas.SuppressionStep) int { return compareSteps(b, a) })
	kept, count := steps[:0], map[bool]int{}
	for _, s := range steps {
		if !slices.ContainsFunc(kept, func(k schemas.SuppressionStep) bool { return sameOrigin(k, s) }) && count[s.Lift] < pastMax {
			kept = append(kept, s)
			count[s.Lift]++
		}
	}
	if len(kept) == 0 {
		return nil
	}
	return slices.Clip(kept)
}

// sameOrigin says that two steps are what one event or request did.
func sameOrigin(a, b schemas.SuppressionStep) bool {
	return a.Lift == b.Lift && a.At.Equal(b.At) && a.Evidence == b.Evidence
}

func compareSteps(a, b schemas.SuppressionStep) int {
	add := func(s schemas.SuppressionStep) int { // of one moment the add is the later: it holds
		if s.Lift {
			return 0
		}
		return 1
	}
	return cmp.Or(
		a.At.Compare(b.At), cmp.Compare(add(a), add(b)),
		strings.Compare(a.Evidence, b.Evidence), strings.Compare(a.Provider, b.Provider),
		strings.Compare(a.Source, b.Source), strings.Compare(a.Note, b.Note),
	)
}

func sameStep(a, b schemas.SuppressionStep) bool { return compareSteps(a, b) == 0 }

// tidySteps returns the past of e as a merge would have left it.
func tidySteps(e *schemas.SuppressionEntry) []schemas.SuppressionStep {
	if len(e.Past) == 0 {
		return nil
	}
	steps := slices.Clone(e.Past)
	for i := range steps {
		steps[i].At = Stamp(steps[i].At)
	}
	steps = slices.DeleteFunc(steps, func(s schemas.SuppressionStep) bool {
		return s.At.IsZero() || sameOrigin(s, AddedStep(*e)) || sameOrigin(s, LiftedStep(*e))
	})
	return latestSteps(steps)
}
