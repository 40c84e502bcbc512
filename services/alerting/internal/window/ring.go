package window

import (
	"hash/maphash"

	"github.com/mailstream/mailstream/schemas"
)

// Key names one series: the mail of one source to one recipient domain or one
// mailbox provider.
type Key struct {
	Source    string
	Dimension string // schemas.DimensionDomain or schemas.DimensionProvider
	Value     string
}

// Overflow is the Value of the series that stands for all those beyond the limit
// of series a source may have. No domain is called so.
const Overflow = "__other__"

// Observation is one event as it is counted.
type Observation struct {
	ID     string // Event.ID: the same event has the same
	Pane   Pane   // of the event's own time
	Kind   Kind
	Source string
	// Domain and Provider are the values of the two dimensions; an empty one is
	// not counted.
	Domain, Provider string
	// Reason, Cause and Sample, one reply without addresses, are those of a block.
	Reason schemas.Reason
	Cause  schemas.Cause
	Sample string
}

// samplesMax bounds the replies that travel with one pane of one series. People
// see three.
const samplesMax = 16

// Outcome is what became of an observation.
type Outcome uint8

// The outcomes.
const (
	Counted   Outcome = iota
	Duplicate         // the same event was counted before
	Late              // older than the oldest pane kept
	Keyless           // has neither domain nor provider
)

// Ring counts the unique events of one input partition, pane by pane. What was
// counted since the last Take is what the next one reports. It is not safe for
// concurrent use.
type Ring struct {
	partition int32
	seriesMax int
	seed      maphash.Seed
	whys      whys
	panes     map[Pane]*pane
	changes   map[uint64]*change
	perSource map[string]int // changed series of each source
	// reported says that a Take has happened, so that whatever is counted from
	// now on is new to the reader and not only to this ring.
	reported bool
}

// pane is dropped whole, which is all the expiry there is.
type pane struct {
	seen   idSet
	counts map[uint64]Counts  // by the hash of the Key
	blocks map[uint64][]tally // split of Blocked, by the same
}

// tally is how often one reason came.
type tally struct {
	why Why
	n   uint32
}

// change is a series to report, with the panes that changed.
type change struct {
	key      Key
	provider string
	panes    []paneChange
}

type paneChange struct {
	pane    Pane
	added   Counts
	samples []sample
}

type sample struct {
	why  Why
	pane Pane
	text string
}

// NewRing returns an empty ring for the given input partition. Between two
// reports it takes at most seriesMax series of a source; the rest is counted as
// Overflow.
func NewRing(partition int32, seriesMax int) *Ring {
	return &Ring{
		partition: partition,
		seriesMax: seriesMax,
		seed:      maphash.MakeSeed(),
		whys:      newWhys(),
		panes:     make(map[Pane]*pane),
		changes:   make(map[uint64]*change),
		perSource: make(map[string]int),
	}
}

// Add counts o unless it is older than oldest or was counted before.
func (r *Ring) Add(o Observation, oldest Pane) Outcome {
	if o.Domain == "" && o.Provider == "" {
		return Keyless
	}
	if o.Pane < oldest {
		return Late
	}
	p := r.panes[o.Pane]
	if p == nil {
		p = &pane{counts: make(map[uint64]Counts), blocks: make(map[uint64][]tally)}
		r.panes[o.Pane] = p
	}
	if !p.seen.add(maphash.String(r.seed, o.ID)) {
		return Duplicate
	}
	if o.Domain != "" {
		r.count(p, Key{o.Source, schemas.DimensionDomain, o.Domain}, o)
	}
	if o.Provider != "" {
		r.count(p, Key{o.Source, schemas.DimensionProvider, o.Provider}, o)
	}
	return Counted
}

// Expire forgets all panes before oldest.
func (r *Ring) Expire(oldest Pane) {
	for i := range r.panes {
		if i < oldest {
			delete(r.panes, i)
		}
	}
}

func (r *Ring) count(p *pane, key Key, o Observation) {
	hash := r.hash(key)
	ch := r.changes[hash]
	if ch == nil {
		if r.perSource[key.Source] >= r.seriesMax {
			key.Value, o.Provider = Overflow, ""
			hash = r.hash(key)
			ch = r.changes[hash]
		}
		if ch == nil {
			ch = &change{key: key, provider: o.Provider}
			r.changes[hash] = ch
			r.perSource[key.Source]++
		}
	}
	pc := ch.at(o.Pane)
	pc.added.add(o.Kind, 1)
	c := p.counts[hash]
	c.add(o.Kind, 1)
	p.counts[hash] = c
	if o.Kind == Blocked {
		r.blame(p, hash, pc, o)
	}
}

// blame adds o to the split by reason. The first reply of a reason in a pane is
// the one that travels.
func (r *Ring) blame(p *pane, hash uint64, pc *paneChange, o Observation) {
	why := r.whys.of(o.Reason, o.Cause)
	tallies := p.blocks[hash]
	for i := range tallies {
		if tallies[i].why == why {
			tallies[i].n++
			return
		}
	}
	p.blocks[hash] = append(tallies, tally{why, 1})
	if o.Sample != "" && len(pc.samples) < samplesMax {
		pc.samples = append(pc.samples, sample{why: why, text: o.Sample})
	}
}

func (r *Ring) hash(k Key) uint64 {
	var h maphash.Hash
	h.SetSeed(r.seed)
	_, _ = h.WriteString(k.Source) // never fails, as documented
	_ = h.WriteByte(0)             // nor does this
	_, _ = h.WriteString(k.Dimension)
	_ = h.WriteByte(0)
	_, _ = h.WriteString(k.Value)
	return h.Sum64()
}

// at returns the change of pane i, most often the last one.
func (c *change) at(i Pane) *paneChange {
	for j := len(c.panes) - 1; j >= 0; j-- {
		if c.panes[j].pane == i {
			return &c.panes[j]
		}
	}
	c.panes = append(c.panes, paneChange{pane: i})
	return &c.panes[len(c.panes)-1]
}
