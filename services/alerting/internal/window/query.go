package window

import (
	"maps"
	"slices"
)

// Sum returns the messages of a series from pane from on.
func (t *Table) Sum(k Key, from Pane) Counts {
	var sum, replaced Counts
	s := t.lookup(k)
	if s == nil {
		return sum
	}
	for i := len(s.cells) - 1; i >= 0 && s.cells[i].pane >= from; i-- {
		if s.cells[i].partition&replacedBit != 0 {
			replaced = replaced.plus(s.cells[i].counts)
		} else {
			sum = sum.plus(s.cells[i].counts)
		}
	}
	return sum.minus(replaced)
}

// Split returns why messages of a series were blocked from pane from on, with
// one sample reply a reason where one is known.
func (t *Table) Split(k Key, from Pane) Split {
	s := t.lookup(k)
	if s == nil || s.blocks == nil {
		return Split{}
	}
	byWhy := make(map[Why]int64)
	for _, b := range s.blocks.cells {
		switch {
		case b.pane < from:
		case b.partition&replacedBit != 0:
			byWhy[b.why] -= int64(b.n)
		default:
			byWhy[b.why] += int64(b.n)
		}
	}
	maps.DeleteFunc(byWhy, func(_ Why, n int64) bool { return n <= 0 })
	return t.whys.split(byWhy, func(y Why) string {
		for _, sm := range s.blocks.samples {
			if sm.why == y {
				return sm.text
			}
		}
		return ""
	})
}

// Provider returns the mailbox provider of a domain, "" when it has none. It is
// known while the series has blocks.
func (t *Table) Provider(k Key) (provider string, known bool) {
	if s := t.lookup(k); s != nil && s.blocks != nil {
		return s.blocks.provider, true
	}
	return "", false
}

// Hot returns the series that have blocks. The caller owns the slice.
func (t *Table) Hot() []Key { return slices.Collect(maps.Keys(t.hot)) }

// Expire forgets all panes before oldest and the series that have none left. It
// visits every series: once a minute is enough.
func (t *Table) Expire(oldest Pane) {
	for name, src := range t.sources {
		for _, keys := range []map[string]*series{src.domains, src.providers} {
			for value, s := range keys {
				if s.expire(oldest); len(s.cells) == 0 {
					delete(keys, value)
					t.limit.give(name, 1)
				}
			}
		}
		if len(src.domains)+len(src.providers) == 0 {
			delete(t.sources, name)
		}
	}
	for k, s := range t.hot {
		if s.blocks == nil {
			delete(t.hot, k)
		}
	}
}

func (s *series) expire(oldest Pane) {
	s.cells = dropBefore(s.cells, func(c cell) bool { return c.pane < oldest })
	if s.blocks == nil {
		return
	}
	s.blocks.cells = dropBefore(s.blocks.cells, func(c blockCell) bool { return c.pane < oldest })
	if len(s.blocks.cells) == 0 {
		s.blocks = nil
	}
}

// dropBefore drops the leading elements that are old and gives back room once a
// busy series has become a quiet one.
func dropBefore[E any](cells []E, old func(E) bool) []E {
	n := 0
	for n < len(cells) && old(cells[n]) {
		n++
	}
	if n == 0 {
		return cells
	}
	if rest := cells[n:]; len(rest) < cap(cells)/4 {
		return slices.Clone(rest)
	}
	return slices.Delete(cells, 0, n)
}

func (t *Table) lookup(k Key) *series {
	if t.sources[k.Source] == nil {
		return nil
	}
	return t.keys(k)[k.Value]
}
