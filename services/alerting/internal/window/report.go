package window

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"github.com/mailstream/mailstream/schemas"
)

// recordBytesMax bounds one record, by the estimate of cost: below the smallest
// limit a topic may have, 64 KiB. One pane never needs as much. A larger group is cut into several records, domains first, so that a domain is
// never judged after the provider it belongs to.
const recordBytesMax = 48 << 10

// changesKept is up to how many changes their map is used again: the first round
// of a busy set of partitions has a hundred times those of the next ones.
const changesKept = 1_000

// Take returns what changed since the last call, one record or more for each
// group, in a fixed order. The caller owns them.
func (r *Ring) Take() []schemas.Rate {
	changes := slices.SortedFunc(maps.Values(r.changes), func(a, b *change) int {
		return cmp.Or(
			cmp.Compare(a.key.Source, b.key.Source),
			cmp.Compare(a.provider, b.provider),
			cmp.Compare(b.key.Dimension, a.key.Dimension), // recipient_domain before mailbox_provider
			cmp.Compare(a.key.Value, b.key.Value),
		)
	})
	w := reportWriter{partition: r.partition}
	for _, ch := range changes {
		hash := r.sum(ch.key.Source, ch.key.Dimension, ch.key.Value)
		slices.SortFunc(ch.panes, func(a, b paneChange) int { return cmp.Compare(a.pane, b.pane) })
		for _, pc := range ch.panes {
			if p := r.panes[pc.pane]; p != nil { // else it expired while the round was under way
				w.add(ch, r.wire(p, hash, pc))
			}
		}
	}
	if len(r.changes) > changesKept {
		r.changes = make(map[uint64]*change) // a cleared map keeps its room
	}
	clear(r.changes)
	clear(r.perSource)
	r.reported = true
	return w.out
}

// reportWriter puts panes into series and series into records.
type reportWriter struct {
	partition int32
	out       []schemas.Rate
	bytes     int // of the last record
}

func (w *reportWriter) add(ch *change, pane schemas.RatePane) {
	need := cost(pane)
	last := len(w.out) - 1
	if last < 0 || !sameGroup(&w.out[last], ch) || w.bytes+need > recordBytesMax {
		w.out = append(w.out, schemas.Rate{
			Source: ch.key.Source, Provider: ch.provider, Partition: w.partition,
			PaneSeconds: int64(PaneLength / time.Second),
		})
		last, w.bytes = last+1, 0
	}
	rate := &w.out[last]
	if n := len(rate.Series); n == 0 || rate.Series[n-1].Value != ch.key.Value || rate.Series[n-1].Dimension != ch.key.Dimension {
		rate.Series = append(rate.Series, schemas.RateSeries{Dimension: ch.key.Dimension, Value: ch.key.Value})
		need += len(ch.key.Value) + seriesBytes
	}
	s := &rate.Series[len(rate.Series)-1]
	s.Panes = append(s.Panes, pane)
	w.bytes += need
}

// Estimates of what the parts of a record take as JSON, rather more than less.
const (
	seriesBytes = 64
	paneBytes   = 160
	reasonBytes = 96
)

func cost(p schemas.RatePane) int {
	n := paneBytes
	for _, rc := range p.Blocks {
		n += reasonBytes + 2*len(rc.Sample)
	}
	if p.Replaced != nil {
		n += paneBytes + reasonBytes*len(p.Replaced.Blocks)
	}
	return n
}

// sameGroup says whether ch belongs into the record: mail of one provider, or
// one domain that has none.
func sameGroup(rate *schemas.Rate, ch *change) bool {
	if rate.Source != ch.key.Source || rate.Provider != ch.provider {
		return false
	}
	return ch.provider != "" || rate.Series[0].Value == ch.key.Value
}

func (r *Ring) wire(p *pane, hash uint64, pc paneChange) schemas.RatePane {
	out := schemas.RatePane{Start: pc.pane.Start(), Counts: p.counts[hash].Wire()}
	if r.reported {
		out.Added = difference(pc.added, pc.replaced)
	}
	if pc.added.Blocked > 0 {
		out.Blocks = r.blocks(p.blocks[hash], pc.samples)
	}
	if p.replaced != nil && p.replaced.counts[hash] != (Counts{}) {
		out.Replaced = &schemas.RateReplaced{Counts: p.replaced.counts[hash].Wire(), Blocks: r.blocks(p.replaced.blocks[hash], nil)}
	}
	return out
}

func (r *Ring) blocks(tallies []whyCount, samples []sample) []schemas.ReasonCount {
	out := make([]schemas.ReasonCount, 0, len(tallies))
	for _, t := range tallies {
		reason, cause := r.whys.pair(t.why)
		rc := schemas.ReasonCount{Reason: reason, Cause: cause, Count: int64(t.n)}
		if i := slices.IndexFunc(samples, func(s sample) bool { return s.why == t.why }); i >= 0 {
			rc.Sample = samples[i].text
		}
		out = append(out, rc)
	}
	return out
}

// MarkKey is the record key of all marks. No group has it: every one has a slash.
const MarkKey = "mark"

// GroupOf returns the record key of a rate: what keeps a mailbox provider and
// its domains on one evaluator, where they can be distinguished or reported once.
func GroupOf(rate *schemas.Rate) string {
	if rate.Provider != "" {
		return rate.Source + "/@" + rate.Provider
	}
	if len(rate.Series) == 0 {
		return rate.Source + "/"
	}
	return rate.Source + "/" + rate.Series[0].Value
}
