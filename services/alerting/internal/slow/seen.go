package slow

import (
	"context"
	"slices"
)

// asSeen returns what of crossed is over also without the events that a replay corrected,
// given the names of the keys: what became known of the past is not a spike that anybody
// could stop, and is in the rates. A key stays away as long as that alone puts it over.
func (e *Engine) asSeen(ctx context.Context, q *query, at span, crossed []*Found, names map[*Found]string) ([]*Found, error) {
	if len(crossed) == 0 || e.opt.Bare || (q.kind != outcomes && q.kind != events) {
		return crossed, nil
	}
	seen := *q
	seen.asSeen = true
	known := watched{}
	for _, f := range crossed {
		if len(known) < watchedMax {
			known[names[f]] = 0
		}
	}
	list, _, err := e.rows(ctx, &seen, at, known)
	if err != nil {
		return nil, err
	}
	over := map[string]bool{}
	for _, got := range list {
		for _, f := range q.judge(got, at.to) {
			if f.Rule.Over(f.Reading) {
				over[f.Rule.Name+"\x00"+keyed(got.split, got.source, got.key)] = true
			}
		}
	}
	kept := slices.DeleteFunc(slices.Clone(crossed), func(f *Found) bool {
		_, asked := known[names[f]]
		return asked && !over[f.Rule.Name+"\x00"+names[f]]
	})
	e.met.corrected.Add(float64(len(crossed) - len(kept)))
	return kept, nil
}
