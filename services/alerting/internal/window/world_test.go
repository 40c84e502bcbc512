package window

import (
	"cmp"
	"fmt"
	"math/rand/v2"

	"github.com/mailstream/mailstream/schemas"
)

// model is the naive way to the same numbers: every message remembered with the
// outcome it has after all its events.
type model map[string]Observation

func (m model) add(o Observation) {
	later := func(a, b Observation) int {
		return cmp.Or(cmp.Compare(a.Pane, b.Pane), cmp.Compare(a.Milli, b.Milli), cmp.Compare(a.Kind, b.Kind))
	}
	name := o.MessageID + "/" + o.Source
	if o.MessageID == "" {
		name = o.ID
	}
	if have, known := m[name]; !known || later(o, have) > 0 {
		m[name] = o
	}
}

func (m model) sum(k Key, from Pane) (c Counts) {
	for _, o := range m {
		if o.Pane >= from && o.Source == k.Source &&
			(k.Dimension == schemas.DimensionDomain && o.Domain == k.Value || k.Dimension == schemas.DimensionProvider && o.Provider == k.Value) {
			c.add(o.Kind, 1)
		}
	}
	return c
}

// world is counters and an evaluator with everything that can happen to them.
type world struct {
	rng    *rand.Rand
	now    Pane
	keep   Pane
	log    [][]Observation // what each input partition has, in its order
	rings  []*Ring
	read   []int // position of each ring in its partition
	table  *Table
	topic  []schemas.Rate // what was ever reported
	model  model
	nextID int
	mails  int // messages so far
}

func newWorld(seed uint64, partitions int) *world {
	w := &world{rng: rand.New(rand.NewPCG(seed, 1)), now: 1_000, keep: 20, model: make(model), table: NewTable(NewLimit(1 << 20))}
	for p := range partitions {
		w.log = append(w.log, nil)
		w.rings = append(w.rings, NewRing(int32(p), 1<<20))
		w.read = append(w.read, 0)
	}
	return w
}

func (w *world) oldest() Pane { return w.now - w.keep }

func (w *world) step() {
	p := w.rng.IntN(len(w.log))
	switch n := w.rng.IntN(100); {
	case n < 50: // a new event, up to a window and more late
		w.nextID++
		age := Pane(0)
		if w.rng.IntN(4) == 0 {
			age = Pane(w.rng.IntN(int(w.keep) + 5))
		}
		o, m := w.event(w.now - age)
		p = m % len(w.log)
		w.log[p] = append(w.log[p], o)
	case n < 60 && len(w.log[p]) > 0: // a resend
		w.log[p] = append(w.log[p], w.log[p][w.rng.IntN(len(w.log[p]))])
	case n < 80: // the ring reads on and reports
		w.advance(p, w.rng.IntN(20)+1)
		w.report(p)
	case n < 84: // another process takes the partition over, from one window ago
		w.rings[p] = NewRing(int32(p), 1<<20)
		w.read[p] = 0
	case n < 88 && len(w.topic) > 0: // the evaluator gets old reports again
		i := w.rng.IntN(len(w.topic))
		mergeAll(w.table, w.topic[i:], w.oldest())
	case n < 90: // another evaluator reads all of them
		w.table = NewTable(NewLimit(1 << 20))
		mergeAll(w.table, w.topic, w.oldest())
	case n < 95:
		w.now++
	default:
		w.table.Expire(w.oldest())
		for _, r := range w.rings {
			r.Expire(w.oldest())
		}
	}
}

// event is one more outcome of a new message or of one of the last.
func (w *world) event(at Pane) (o Observation, message int) {
	message = w.mails - w.rng.IntN(30)
	if w.rng.IntN(2) == 0 || message < 0 {
		w.mails++
		message = w.mails
	}
	d := message % 4
	o = obs(fmt.Sprint("e", w.nextID), at, Kind(w.rng.IntN(3)), fmt.Sprintf("d%d.test@p%d", d, d%2))
	o.MessageID, o.Recipient, o.Milli = fmt.Sprint("m", message), "r", uint16(w.rng.IntN(3)*4_999)
	if message%7 == 0 {
		o.MessageID = "" // every event of it is one of its own
	}
	o.Reason = schemas.Reasons()[w.rng.IntN(3)]
	return o, message
}

func (w *world) advance(p, most int) {
	for ; most > 0 && w.read[p] < len(w.log[p]); most-- {
		w.rings[p].Add(w.log[p][w.read[p]], w.oldest())
		w.read[p]++
	}
}

func (w *world) report(p int) {
	rates := w.rings[p].Take()
	w.topic = append(w.topic, rates...)
	mergeAll(w.table, rates, w.oldest())
}

// settle lets everybody read to the end and returns the unique events.
func (w *world) settle() {
	for p := range w.log {
		w.advance(p, len(w.log[p]))
		w.report(p)
		for _, o := range w.log[p] {
			w.model.add(o)
		}
	}
}
