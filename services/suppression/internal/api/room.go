package api

import (
	"fmt"
	"slices"
	"time"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/suppression/internal/list"
)

// patternsMax bounds the patterns that suppress: they are in memory, some hundred bytes
// each.
const patternsMax = 10_000

// patternRoom bounds the patterns that one request adds. Requests at the same moment do
// not see each other's.
type patternRoom struct {
	reader Reader
	active map[string]struct{} // those there are and those that are added; nil: not counted yet
}

// take says why who is one pattern too many; nil where it is not a pattern, or is there already.
func (p *patternRoom) take(who person) error {
	if !who.many {
		return nil
	}
	if p.active == nil {
		p.count(time.Now())
	}
	if _, there := p.active[who.canonical]; !there && len(p.active) >= patternsMax {
		return fmt.Errorf("one pattern too many: there are %d, the limit; lift some first", len(p.active))
	}
	p.active[who.canonical] = struct{}{}
	return nil
}

func (p *patternRoom) count(now time.Time) {
	p.active = map[string]struct{}{}
	for name, s := range p.reader.Patterns() {
		if slices.ContainsFunc(s.Entries, func(e schemas.SuppressionEntry) bool { return list.Active(e, now) }) {
			p.active[name] = struct{}{}
		}
	}
}
