package window

import (
	"cmp"
	"slices"

	"github.com/mailstream/mailstream/schemas"
)

// Why is the reason of a block and who has to act on it, as an index into a
// closed list, so that no sender of events can make the split grow.
type Why uint8

// whys are the pairs by index. Reasons and Causes are closed and small: 23 by 6, below 256.
type whys struct {
	reasons []schemas.Reason
	causes  []schemas.Cause
}

func newWhys() whys { return whys{schemas.Reasons(), schemas.Causes()} }

// of returns the index of a pair. A reason it does not know counts as other;
// without a known cause the reason decides.
func (w whys) of(r schemas.Reason, c schemas.Cause) Why {
	if !slices.Contains(w.causes, c) {
		c = schemas.CauseOf(r)
	}
	if !slices.Contains(w.reasons, r) {
		r = schemas.OtherReason
	}
	return Why(slices.Index(w.reasons, r)*len(w.causes) + slices.Index(w.causes, c))
}

func (w whys) pair(y Why) (schemas.Reason, schemas.Cause) {
	i := int(y)
	return w.reasons[i/len(w.causes)%len(w.reasons)], w.causes[i%len(w.causes)]
}

// Split is why messages were blocked.
type Split struct {
	Causes  map[string]int64      // by schemas.Cause; nil when nothing was blocked
	Reasons []schemas.ReasonCount // largest first
}

// reasonsTop is how many reasons a message lists: more do not help anybody act.
const reasonsTop = 3

func (w whys) split(byWhy map[Why]int64, sample func(Why) string) Split {
	var s Split
	for y, n := range byWhy {
		r, c := w.pair(y)
		if s.Causes == nil {
			s.Causes = make(map[string]int64)
		}
		s.Causes[string(c)] += n
		s.Reasons = append(s.Reasons, schemas.ReasonCount{Reason: r, Cause: c, Count: n, Sample: sample(y)})
	}
	slices.SortFunc(s.Reasons, func(a, b schemas.ReasonCount) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Reason, b.Reason), cmp.Compare(a.Cause, b.Cause))
	})
	s.Reasons = s.Reasons[:min(len(s.Reasons), reasonsTop)]
	return s
}
