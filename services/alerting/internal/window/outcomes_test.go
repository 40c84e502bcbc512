package window

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mailstream/mailstream/schemas"
)

// TestOutcome_IsTheSameInAnyOrder plays the same events in many orders, some of
// them twice, counted in rounds of any size, and wants the same numbers.
func TestOutcome_IsTheSameInAnyOrder(t *testing.T) {
	t.Parallel()
	for seed := range uint64(20) {
		w := newWorld(seed, 1)
		want := make(model)
		var all []Observation
		for range 200 {
			w.nextID++
			o, _ := w.event(w.now - Pane(w.rng.IntN(int(w.keep))))
			all = append(all, o)
			want.add(o)
		}
		var splits []Split
		for order := range 20 {
			table, ring := NewTable(NewLimit(1_000)), NewRing(3, 1_000)
			w.rng.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
			for i, o := range all {
				ring.Add(o, w.oldest())
				ring.Add(all[w.rng.IntN(i+1)], w.oldest())
				if w.rng.IntN(10) == 0 {
					mergeAll(table, ring.Take(), w.oldest())
				}
			}
			mergeAll(table, ring.Take(), w.oldest())
			for d := range 4 {
				k := domainKey(fmt.Sprintf("d%d.test", d))
				for from := w.oldest(); from <= w.now; from += 3 {
					if diff := cmp.Diff(want.sum(k, from), table.Sum(k, from)); diff != "" {
						t.Fatalf("seed %d, order %d, %v from %d (-want +got):\n%s", seed, order, k, from, diff)
					}
				}
			}
			splits = append(splits, table.Split(domainKey("d1.test"), w.oldest()))
		}
		for _, s := range splits[1:] {
			if diff := cmp.Diff(splits[0].Causes, s.Causes); diff != "" {
				t.Fatalf("seed %d: the split depends on the order:\n%s", seed, diff)
			}
		}
	}
}

func TestOutcome_OfOneMessage(t *testing.T) {
	t.Parallel()
	type ev struct {
		pane Pane
		ms   uint16
		kind Kind
	}
	for _, tt := range []struct {
		name   string
		events []ev
		want   Counts
	}{
		{"refused after the delivery", []ev{{100, 0, Delivered}, {160, 0, Blocked}}, Counts{Blocked: 1}},
		{"bounced after the delivery", []ev{{100, 0, Delivered}, {100, 5, Bounced}}, Counts{Bounced: 1}},
		{"in the same moment the refusal counts", []ev{{100, 0, Blocked}, {100, 0, Delivered}}, Counts{Blocked: 1}},
		{"delivered by a later try", []ev{{100, 0, Blocked}, {101, 0, Delivered}}, Counts{Delivered: 1}},
		{"blocked, delivered, bounced", []ev{{100, 0, Blocked}, {101, 0, Delivered}, {102, 0, Bounced}}, Counts{Bounced: 1}},
		{"delivered twice", []ev{{100, 0, Delivered}, {103, 0, Delivered}}, Counts{Delivered: 1}},
	} {
		slices.Reverse(tt.events)
		for range 2 {
			r, table := NewRing(0, 10), NewTable(NewLimit(10))
			for i, e := range tt.events {
				o := obs(fmt.Sprint(i), e.pane, e.kind, "d.test@p")
				o.MessageID, o.Milli = "m", e.ms
				r.Add(o, 90)
				mergeAll(table, r.Take(), 90)
			}
			for _, k := range []Key{domainKey("d.test"), providerKey("p")} {
				if got := table.Sum(k, 90); got != tt.want {
					t.Errorf("%s: %v has %+v, want %+v", tt.name, k, got, tt.want)
				}
				if got := table.Split(k, 90).Causes["other"]; got != int64(tt.want.Blocked) {
					t.Errorf("%s: split has %d blocks", tt.name, got)
				}
			}
			slices.Reverse(tt.events)
		}
	}
}

func TestOutcome_IsOfOneSourceAndOneRecipient(t *testing.T) {
	t.Parallel()
	r, table := NewRing(0, 10), NewTable(NewLimit(10))
	for i, who := range [][2]string{{"acme", "ana"}, {"acme", "bob"}, {"other", "ana"}} {
		for j, kind := range []Kind{Delivered, Blocked} {
			if i == 2 && kind == Blocked {
				continue // another provider's message of the same name is fine
			}
			o := obs(fmt.Sprint(i, j), Pane(100+j), kind, "d.test")
			o.Source, o.MessageID, o.Recipient = who[0], "m", who[1]
			r.Add(o, 90)
		}
	}
	mergeAll(table, r.Take(), 90)
	if got := table.Sum(domainKey("d.test"), 90); got != (Counts{Blocked: 2}) {
		t.Errorf("one source has %+v", got)
	}
	if got := table.Sum(Key{"other", schemas.DimensionDomain, "d.test"}, 90); got != (Counts{Delivered: 1}) {
		t.Errorf("the other has %+v", got)
	}
}

func TestOutcome_OutOfTheWindowReplacesNothing(t *testing.T) {
	t.Parallel()
	r, table := NewRing(0, 10), NewTable(NewLimit(10))
	add := func(pane Pane, kind Kind, oldest Pane) {
		o := obs(fmt.Sprint(pane, kind), pane, kind, "d.test")
		o.MessageID = "m"
		r.Add(o, oldest)
		r.Expire(oldest)
		mergeAll(table, r.Take(), oldest)
		table.Expire(oldest)
	}
	add(100, Delivered, 90)
	add(500, Blocked, 410)
	if got := table.Sum(domainKey("d.test"), 410); got != (Counts{Blocked: 1}) {
		t.Errorf("counts: %+v", got)
	}
	add(100+1<<16, Bounced, 90+1<<16) // a pane that looks like the first one
	if got := table.Sum(domainKey("d.test"), 90+1<<16); got != (Counts{Bounced: 1}) {
		t.Errorf("counts a week later: %+v", got)
	}
	if got := r.Add(obs("x", 90+1<<20, Delivered, "d.test"), 90); got != Late {
		t.Errorf("an event of another year: %d, want Late", got)
	}
}

func TestOutcome_BeyondTheLimitOfSeriesIsReplacedToo(t *testing.T) {
	t.Parallel()
	r := NewRing(0, 100)
	r.Take()
	table := NewTable(NewLimit(1))
	for i, kind := range []Kind{Delivered, Blocked} {
		for d := range 5 {
			o := obs(fmt.Sprint(i, d), Pane(100+i), kind, fmt.Sprintf("d%d.test", d))
			o.MessageID = fmt.Sprint(d)
			r.Add(o, 0)
		}
		mergeAll(table, r.Take(), 0)
	}
	if got := table.Sum(domainKey(Overflow), 0); got != (Counts{Blocked: 4}) {
		t.Errorf("overflow has %+v", got)
	}
	if got := table.Split(domainKey(Overflow), 0).Causes["other"]; got != 4 {
		t.Errorf("split of overflow has %d", got)
	}
}

func TestOutcomes_HoldTheLatest(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(3, 4))
	var table outcomes
	want := make(map[uint64]outcome)
	oldest := Pane(1_000)
	for n := range 60_000 {
		if n%1_000 == 0 {
			oldest += Pane(rng.IntN(20))
			table.expire(oldest)
		}
		hash := rng.Uint64N(5_000) * 0x9e3779b97f4a7c15
		o := outcome{pane: oldest + Pane(rng.IntN(90)), ms: uint16(rng.IntN(10_000)), kind: Kind(rng.IntN(3)), why: Why(rng.IntN(256))}
		had, known := table.put(hash, o, oldest)
		have, is := want[hash]
		if is = is && have.pane >= oldest; is != known || is && had != have {
			t.Fatalf("put %d: had %+v, %t, want %+v, %t", n, had, known, have, is)
		}
		if !is || o.rank() > have.rank() {
			want[hash] = o
		}
	}
	table.expire(oldest + 200)
	if len(table.slots) > slotsMin {
		t.Errorf("%d slots are left of nothing", len(table.slots))
	}
}
