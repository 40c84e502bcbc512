package classify

import (
	"cmp"
	"slices"
	"strconv"

	"github.com/mailstream/mailstream/schemas"
)

// Evidence is one thing that speaks for a reason.
type Evidence struct {
	From   string         `json:"from"` // text, class, enhanced code or code
	Said   string         `json:"said"` // the words of the reply, the class or the code
	Reason schemas.Reason `json:"reason"`
	Level  string         `json:"level"`
	Weight int            `json:"weight"`
	// Unheard says that it is part of a longer phrase, which decides instead.
	Unheard bool `json:"unheard,omitempty"`
}

// Explain answers as Classify does and lists the signals that led there, the
// weightiest first.
func (c *Classifier) Explain(in Input) (Verdict, []Evidence) {
	var w weighing
	var kept []Evidence
	w.heard = &kept
	v := c.weigh(&in, &w)
	for _, e := range []struct {
		from, said string
		entry      entry
	}{{"class", in.Class, w.class}, {"enhanced code", w.enhanced, w.exact}, {"code", strconv.Itoa(w.code), w.basic}} {
		if e.entry.weight > 0 || e.entry.fact {
			kept = append(kept, Evidence{
				From: e.from, Said: e.said, Reason: c.reasons[e.entry.reason],
				Level: e.entry.level().String(), Weight: int(e.entry.weight),
			})
		}
	}
	slices.SortStableFunc(kept, func(a, b Evidence) int {
		if a.Unheard != b.Unheard {
			return cmp.Compare(strconv.FormatBool(a.Unheard), strconv.FormatBool(b.Unheard))
		}
		return cmp.Compare(b.Weight, a.Weight)
	})
	return v, kept
}

// level returns what the weight of an entry is called.
func (e entry) level() level { return level(max(0, slices.Index(weights[:], e.weight))) }

// String returns the name of l in the data files.
func (l level) String() string {
	return [levels]string{"fact", "weak", "hint", "doubt", "fair", "firm", "sure"}[l]
}

// evidence is what the phrases of a reply say.
func (c *Classifier) evidence(s *search) []Evidence {
	var out []Evidence
	for _, m := range s.matches[:s.n] {
		rule := c.rules[m.rule]
		first, last := s.r.tokens[m.from], s.r.tokens[m.to-1]
		out = append(out, Evidence{
			From: "text", Said: s.r.text[first.from:last.to], Reason: c.reasons[rule.reason],
			Level: rule.level.String(), Weight: int(abs(m.weight)), Unheard: m.weight < 0,
		})
	}
	return out
}
