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
	ID string // Event.ID: the same event has the same
	// MessageID and Recipient name the message within its source; without a
	// MessageID the event is a message of its own.
	MessageID, Recipient string
	Pane                 Pane   // of the event's own time
	Milli                uint16 // milliseconds after the pane's start
	Kind                 Kind
	Source               string
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
	Counted   Outcome = iota // as what its message ended as, or ended as before
	Duplicate                // the same event was counted before
	Late                     // older than the oldest pane kept, or far in the future
	Keyless                  // has neither domain nor provider
)

// Ring counts the messages of one input partition, pane by pane. What was
// counted since the last Take is what the next one reports. It is not safe for
// concurrent use.
type Ring struct {
	partition int32
	seriesMax int
	seed      maphash.Seed
	whys      whys
	panes     map[Pane]*pane
	messages  outcomes
	changes   map[uint64]*change
	perSource map[string]int // changed series of each source
	// reported says that a Take has happened, so that whatever is counted from
	// now on is new to the reader and not only to this ring.
	reported bool
}

// pane is dropped whole, which is all the expiry there is.
type pane struct {
	tally
	replaced *tally // what of it a later outcome replaced; nil as long as nothing
	seen     idSet  // the outcomes that are replaced, so that none is twice
}

// tally is counts by the hash of the Key.
type tally struct {
	counts map[uint64]Counts
	blocks map[uint64][]whyCount // split of Blocked
}

func newTally() tally {
	return tally{counts: make(map[uint64]Counts), blocks: make(map[uint64][]whyCount)}
}

// whyCount is how often one reason came.
type whyCount struct {
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
	pane     Pane
	added    Counts
	replaced Counts
	samples  []sample
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

// Add counts o as the outcome of its message unless it is older than oldest or
// was counted before.
func (r *Ring) Add(o Observation, oldest Pane) Outcome {
	if o.Domain == "" && o.Provider == "" {
		return Keyless
	}
	if o.Pane < oldest || o.Pane-oldest > aheadMax {
		return Late
	}
	now := outcome{pane: o.Pane, ms: o.Milli, kind: o.Kind}
	if o.Kind == Blocked {
		now.why = r.whys.of(o.Reason, o.Cause)
	}
	hash := r.message(&o)
	had, known := r.messages.put(hash, now, oldest)
	switch {
	case !known:
		r.tell(now, &o, false)
	case now.rank() == had.rank():
		return Duplicate
	case now.rank() > had.rank():
		r.tell(now, &o, false)
		if r.pane(had.pane).seen.add(replacedID(hash, had)) {
			r.tell(had, &o, true)
		}
	case !r.pane(now.pane).seen.add(replacedID(hash, now)):
		return Duplicate
	default: // the past of a message that went on
		r.tell(now, &o, false)
		r.tell(now, &o, true)
	}
	return Counted
}

// message returns the hash by which a message is known.
func (r *Ring) message(o *Observation) uint64 {
	if o.MessageID == "" {
		return maphash.String(r.seed, o.ID)
	}
	return r.sum(o.Source, o.MessageID, o.Recipient)
}

// replacedID is different for each outcome of each message.
func replacedID(hash uint64, o outcome) uint64 {
	const odd = 0x9e3779b97f4a7c15 // 2^64 divided by the golden ratio
	return (hash ^ o.rank()*odd) * odd
}

func (r *Ring) pane(at Pane) *pane {
	p := r.panes[at]
	if p == nil {
		p = &pane{tally: newTally()}
		r.panes[at] = p
	}
	return p
}

// tell counts an outcome of o's message in both its series.
func (r *Ring) tell(what outcome, o *Observation, replaced bool) {
	if o.Domain != "" {
		r.count(Key{o.Source, schemas.DimensionDomain, o.Domain}, what, o, replaced)
	}
	if o.Provider != "" {
		r.count(Key{o.Source, schemas.DimensionProvider, o.Provider}, what, o, replaced)
	}
}

// Expire forgets all panes before oldest.
func (r *Ring) Expire(oldest Pane) {
	for i := range r.panes {
		if i < oldest {
			delete(r.panes, i)
		}
	}
	r.messages.expire(oldest)
}

func (r *Ring) count(key Key, what outcome, o *Observation, replaced bool) {
	hash, ch := r.change(key, o.Provider)
	pc, p := ch.at(what.pane), r.pane(what.pane)
	if replaced {
		if p.replaced == nil {
			t := newTally()
			p.replaced = &t
		}
		pc.replaced.add(what.kind, 1)
		p.replaced.add(hash, what)
		return
	}
	pc.added.add(what.kind, 1)
	// The first reply of a reason in a pane is the one that travels.
	if first := p.add(hash, what); first && o.Kind == Blocked && o.Sample != "" && len(pc.samples) < samplesMax {
		pc.samples = append(pc.samples, sample{why: what.why, text: o.Sample})
	}
}

// change returns what is to be reported of a series, and its hash. Beyond the
// limit that is Overflow.
func (r *Ring) change(key Key, provider string) (uint64, *change) {
	hash := r.sum(key.Source, key.Dimension, key.Value)
	if ch := r.changes[hash]; ch != nil {
		return hash, ch
	}
	if r.perSource[key.Source] >= r.seriesMax {
		key.Value, provider = Overflow, ""
		hash = r.sum(key.Source, key.Dimension, key.Value)
		if ch := r.changes[hash]; ch != nil {
			return hash, ch
		}
	}
	ch := &change{key: key, provider: provider}
	r.changes[hash] = ch
	r.perSource[key.Source]++
	return hash, ch
}

// add counts one outcome of a series and says whether it is the first of its
// reason.
func (t *tally) add(hash uint64, what outcome) (first bool) {
	c := t.counts[hash]
	c.add(what.kind, 1)
	t.counts[hash] = c
	if what.kind != Blocked {
		return false
	}
	list := t.blocks[hash]
	for i := range list {
		if list[i].why == what.why {
			list[i].n++
			return false
		}
	}
	t.blocks[hash] = append(list, whyCount{what.why, 1})
	return true
}

// sum hashes three names so that no two triples read alike.
func (r *Ring) sum(a, b, c string) uint64 {
	var h maphash.Hash
	h.SetSeed(r.seed)
	_, _ = h.WriteString(a) // never fails, as documented
	_ = h.WriteByte(0)      // nor does this
	_, _ = h.WriteString(b)
	_ = h.WriteByte(0)
	_, _ = h.WriteString(c)
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
