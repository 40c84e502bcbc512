package window

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/mailstream/mailstream/schemas"
)

// Table holds the counts of all series of some partitions of the rates topic,
// by pane and input partition. It is not safe for concurrent use.
type Table struct {
	limit   *Limit
	whys    whys
	sources map[string]*source
	// hot are the series with a block in a pane still kept: the only ones a block
	// rule can fire for.
	hot map[Key]*series
}

// Limit bounds the series that the tables of one process keep for each source.
// It is not safe for concurrent use.
type Limit struct {
	max  int
	used map[string]int // by source
	over uint64
}

// NewLimit returns a limit of at most seriesMax series of one source.
func NewLimit(seriesMax int) *Limit { return &Limit{max: seriesMax, used: make(map[string]int)} }

// Overflowed returns how many reports were counted as Overflow so far.
func (l *Limit) Overflowed() uint64 { return l.over }

// Used returns how many series are kept.
func (l *Limit) Used() int {
	n := 0
	for _, used := range l.used {
		n += used
	}
	return n
}

func (l *Limit) give(source string, n int) {
	if l.used[source] -= n; l.used[source] <= 0 {
		delete(l.used, source)
	}
}

// source has one map a dimension, so that a stored key is its value alone.
type source struct {
	domains   map[string]*series
	providers map[string]*series
}

// series is kept small: a million domains with one mail each are quiet ones.
type series struct {
	cells  []cell // sorted by pane, then partition
	blocks *blocks
}

// cell is what one input partition counted in one pane, or, with replacedBit in
// its partition, what of that was replaced.
type cell struct {
	pane      Pane
	partition uint16
	counts    Counts
}

// blocks is the split by reason of the blocked messages of one series.
type blocks struct {
	provider string // the mailbox provider of a domain, "" for none
	cells    []blockCell
	samples  []sample // the latest one of each reason
}

type blockCell struct {
	pane      Pane
	partition uint16
	why       Why
	n         uint32
}

// NewTable returns an empty table. Series beyond the limit are added to Overflow.
func NewTable(limit *Limit) *Table {
	return &Table{limit: limit, whys: newWhys(), sources: make(map[string]*source), hot: make(map[Key]*series)}
}

// Drop gives back what the table has of its limit. It must not be used after.
func (t *Table) Drop() {
	for name, src := range t.sources {
		t.limit.give(name, len(src.domains)+len(src.providers))
	}
	t.sources, t.hot = nil, nil
}

const (
	// foldedBit marks the cells of Overflow that this table added up itself, apart
	// from those a ring reported as Overflow.
	foldedBit = 1 << 15
	// replacedBit marks what is taken off again: few cells have it, so that quiet
	// series pay nothing for it.
	replacedBit = 1 << 14
	// PartitionsMax is how many partitions leave the bits above free.
	PartitionsMax = replacedBit
)

// Merge takes in one report and calls touched with each series it concerned; hot says
// whether that one has blocks. Panes before oldest, and reports with panes of
// another length, as an older version wrote them, are left out.
func (t *Table) Merge(rate *schemas.Rate, oldest Pane, touched func(k Key, hot bool)) {
	if rate.PaneSeconds != int64(PaneLength/time.Second) {
		return
	}
	for i := range rate.Series {
		in := &rate.Series[i]
		key := Key{rate.Source, in.Dimension, in.Value}
		s, folded := t.admit(&key)
		for j := range in.Panes {
			pane := PaneOf(time.Unix(in.Panes[j].Start, 0))
			switch {
			case pane < oldest:
			case folded:
				s.fold(pane, uint16(rate.Partition), &in.Panes[j], t.whys)
			default:
				s.merge(pane, uint16(rate.Partition), &in.Panes[j], t.whys)
			}
		}
		if s.blocks != nil {
			t.hot[key] = s
			s.blocks.provider = rate.Provider
		}
		touched(key, s.blocks != nil)
	}
}

// admit returns the series of key, making it if there is room. Else it changes
// key to Overflow and says so.
func (t *Table) admit(key *Key) (s *series, folded bool) {
	keys := t.keys(*key)
	if s := keys[key.Value]; s != nil {
		return s, false
	}
	if t.limit.used[key.Source] >= t.limit.max && key.Value != Overflow {
		t.limit.over++
		key.Value, folded = Overflow, true
		if s := keys[Overflow]; s != nil {
			return s, true
		}
	}
	s = &series{}
	// The key is cut out of a whole record, which must not live as long.
	keys[strings.Clone(key.Value)] = s
	t.limit.used[key.Source]++
	return s, folded
}

// keys returns the series of key's source and dimension by value.
func (t *Table) keys(key Key) map[string]*series {
	src := t.sources[key.Source]
	if src == nil {
		src = &source{make(map[string]*series), make(map[string]*series)}
		t.sources[strings.Clone(key.Source)] = src
	}
	if key.Dimension == schemas.DimensionProvider {
		return src.providers
	}
	return src.domains
}

// merge keeps the larger of what is known and what is reported.
func (s *series) merge(pane Pane, partition uint16, in *schemas.RatePane, w whys) {
	s.raise(cell{pane: pane, partition: partition, counts: countsOf(in.Counts)}, in.Blocks, w)
	if in.Replaced != nil {
		s.raise(cell{pane: pane, partition: partition | replacedBit, counts: countsOf(in.Replaced.Counts)}, in.Replaced.Blocks, w)
	}
}

func (s *series) raise(to cell, blocks []schemas.ReasonCount, w whys) {
	c := s.cell(to.pane, to.partition)
	c.counts = c.counts.larger(to.counts)
	for _, rc := range blocks {
		b := s.block(blockCell{pane: to.pane, partition: to.partition, why: w.of(rc.Reason, rc.Cause)})
		b.n = max(b.n, clip(rc.Count))
		s.blocks.remember(sample{b.why, to.pane, rc.Sample})
	}
}

// fold adds what a report says is new. Nothing remembers the cumulative counts of
// series beyond the limit, so this is exact only while no counter restarts.
func (s *series) fold(pane Pane, partition uint16, in *schemas.RatePane, w whys) {
	c := s.cell(pane, partition|foldedBit)
	c.counts = c.counts.moved(in.Added)
	if in.Added.Blocked != 0 {
		b := s.block(blockCell{pane: pane, partition: partition | foldedBit, why: w.of(schemas.OtherReason, "")})
		b.n = c.counts.Blocked
	}
}

// cell returns the cell of a pane and partition, most often the last one.
func (s *series) cell(pane Pane, partition uint16) *cell {
	at := cell{pane: pane, partition: partition}
	i, found := slices.BinarySearchFunc(s.cells, at, func(a, b cell) int {
		return cmp.Or(cmp.Compare(a.pane, b.pane), cmp.Compare(a.partition, b.partition))
	})
	if !found {
		s.cells = slices.Insert(s.cells, i, at)
	}
	return &s.cells[i]
}

func (s *series) block(at blockCell) *blockCell {
	if s.blocks == nil {
		s.blocks = &blocks{}
	}
	i, found := slices.BinarySearchFunc(s.blocks.cells, at, func(a, b blockCell) int {
		return cmp.Or(cmp.Compare(a.pane, b.pane), cmp.Compare(a.partition, b.partition), cmp.Compare(a.why, b.why))
	})
	if !found {
		s.blocks.cells = slices.Insert(s.blocks.cells, i, at)
	}
	return &s.blocks.cells[i]
}

// remember keeps the sample of the latest pane for each reason.
func (b *blocks) remember(in sample) {
	if in.text == "" {
		return
	}
	in.text = strings.Clone(in.text)
	for i, have := range b.samples {
		if have.why == in.why {
			if in.pane >= have.pane {
				b.samples[i] = in
			}
			return
		}
	}
	b.samples = append(b.samples, in)
}
