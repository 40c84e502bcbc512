package window

import (
	cmpstd "cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mailstream/mailstream/schemas"
)

// obs is an event at a destination written "domain", "domain@provider" or
// "@provider".
func obs(id string, pane Pane, kind Kind, destination string) Observation {
	domain, provider, _ := strings.Cut(destination, "@")
	return Observation{ID: id, Pane: pane, Kind: kind, Source: "acme", Domain: domain, Provider: provider}
}

func domainKey(v string) Key   { return Key{"acme", schemas.DimensionDomain, v} }
func providerKey(v string) Key { return Key{"acme", schemas.DimensionProvider, v} }

func mergeAll(t *Table, rates []schemas.Rate, oldest Pane) {
	for i := range rates {
		t.Merge(&rates[i], oldest, func(Key, bool) {})
	}
}

func TestPane_CoversItsLength(t *testing.T) {
	t.Parallel()
	at := time.Unix(1_800_000_009, 999_999_999)
	if p := PaneOf(at); p.Start() != 1_800_000_000 || PaneOf(at.Add(time.Nanosecond)) != p+1 {
		t.Errorf("pane of %v starts at %d", at, p.Start())
	}
	if p := PaneOf(time.Time{}); p != 0 {
		t.Errorf("pane of no time is %d, want 0", p)
	}
	now := time.Unix(1_800_000_905, 0)
	if got, want := First(now, 15*time.Minute).Start(), int64(1_800_000_000); got != want {
		t.Errorf("window starts at %d, want the pane of its first moment, %d", got, want)
	}
}

func TestRing_OutcomeOfAnEvent(t *testing.T) {
	t.Parallel()
	r := NewRing(0, 100)
	tests := []struct {
		name string
		o    Observation
		want Outcome
	}{
		{"first", obs("a", 100, Delivered, "d.test"), Counted},
		{"again", obs("a", 100, Delivered, "d.test"), Duplicate},
		{"another", obs("b", 100, Delivered, "d.test"), Counted},
		{"too old", obs("c", 89, Delivered, "d.test"), Late},
		{"oldest kept", obs("c", 90, Delivered, "d.test"), Counted},
		{"no destination", obs("e", 100, Delivered, ""), Keyless},
		{"provider only", obs("f", 100, Delivered, "@google"), Counted},
	}
	for _, tt := range tests {
		if got := r.Add(tt.o, 90); got != tt.want {
			t.Errorf("%s: outcome %d, want %d", tt.name, got, tt.want)
		}
	}
}

func TestRing_ReportsCumulativeCountsOfWhatChanged(t *testing.T) {
	t.Parallel()
	r := NewRing(7, 100)
	r.Add(obs("a", 100, Delivered, "d.test@p"), 0)
	r.Add(obs("b", 100, Blocked, "d.test@p"), 0)
	first := r.Take()
	r.Add(obs("c", 100, Delivered, "d.test@p"), 0)
	second := r.Take()
	pane := func(rates []schemas.Rate, series int) schemas.RatePane {
		if len(rates) != 1 || len(rates[0].Series) != 2 || rates[0].Partition != 7 || rates[0].Provider != "p" {
			t.Fatalf("rates: %+v", rates)
		}
		return rates[0].Series[series].Panes[0]
	}
	if rates := first; rates[0].Series[0].Dimension != schemas.DimensionDomain {
		t.Errorf("the domain must come before its provider: %+v", rates)
	}
	want := schemas.RatePane{
		Start: 1000, Counts: schemas.AlertCounts{Delivered: 1, Blocked: 1},
		Blocks: []schemas.ReasonCount{{Reason: schemas.OtherReason, Cause: schemas.CauseOther, Count: 1}},
	}
	if diff := cmp.Diff(want, pane(first, 0)); diff != "" {
		t.Errorf("first (-want +got):\n%s", diff)
	}
	want = schemas.RatePane{Start: 1000, Counts: schemas.AlertCounts{Delivered: 2, Blocked: 1}, Added: schemas.AlertCounts{Delivered: 1}}
	if diff := cmp.Diff(want, pane(second, 1)); diff != "" {
		t.Errorf("second (-want +got):\n%s", diff)
	}
	if third := r.Take(); len(third) != 0 {
		t.Errorf("nothing changed, but reported %+v", third)
	}
}

func TestRing_CutsALargeGroupIntoRecordsBelowTheLimit(t *testing.T) {
	t.Parallel()
	r := NewRing(0, 1<<20)
	const domains = 2_000
	for i := range domains {
		o := obs(fmt.Sprint(i), 100, Blocked, fmt.Sprintf("domain-%d.test@google", i))
		o.Reason, o.Sample = schemas.Reputation, "550 5.7.1 no"
		r.Add(o, 0)
	}
	rates := r.Take()
	if len(rates) < 2 {
		t.Fatalf("%d records, want several", len(rates))
	}
	table := NewTable(NewLimit(1 << 20))
	mergeAll(table, rates, 0)
	if got := table.Sum(providerKey("google"), 0).Blocked; got != domains {
		t.Errorf("provider has %d blocks, want %d", got, domains)
	}
	if got := table.limit.Used(); got != domains+1 {
		t.Errorf("%d series, want %d", got, domains+1)
	}
	last := rates[len(rates)-1].Series
	if last[len(last)-1].Dimension != schemas.DimensionProvider {
		t.Error("the provider must come last")
	}
}

func TestRing_FoldsSeriesBeyondTheLimit(t *testing.T) {
	t.Parallel()
	r := NewRing(0, 3)
	for i := range 10 {
		r.Add(obs(fmt.Sprint(i), 100, Blocked, fmt.Sprintf("d%d.test", i)), 0)
	}
	table := NewTable(NewLimit(100))
	mergeAll(table, r.Take(), 0)
	if got := table.Sum(domainKey(Overflow), 0).Blocked; got != 7 {
		t.Errorf("overflow has %d, want the 7 beyond the limit", got)
	}
}

func TestTable_FoldsSeriesBeyondTheLimitByWhatIsNew(t *testing.T) {
	t.Parallel()
	r := NewRing(0, 100)
	r.Take()
	table := NewTable(NewLimit(2))
	for round := range 3 {
		for i := range 5 {
			r.Add(obs(fmt.Sprint(round, i), 100, Blocked, fmt.Sprintf("d%d.test", i)), 0)
		}
		mergeAll(table, r.Take(), 0)
	}
	if got := table.Sum(domainKey("d0.test"), 0).Blocked; got != 3 {
		t.Errorf("a series within the limit has %d, want 3", got)
	}
	if got := table.Sum(domainKey(Overflow), 0).Blocked; got != 9 {
		t.Errorf("overflow has %d, want 9", got)
	}
	if split := table.Split(domainKey(Overflow), 0); split.Causes["other"] != 9 {
		t.Errorf("split of overflow: %+v", split)
	}
	if table.limit.Overflowed() == 0 || table.limit.Used() != 3 {
		t.Errorf("overflowed %d, series %d", table.limit.Overflowed(), table.limit.Used())
	}
}

func TestTable_SplitNamesCausesAndTopReasons(t *testing.T) {
	t.Parallel()
	r := NewRing(0, 100)
	add := func(n int, reason schemas.Reason, sample string) {
		for range n {
			o := obs(fmt.Sprint(rand.Uint64()), 100, Blocked, "d.test")
			o.Reason, o.Sample = reason, sample
			r.Add(o, 0)
		}
	}
	add(5, schemas.Reputation, "550 listed")
	add(4, schemas.InvalidRecipient, "550 no such user")
	add(3, schemas.Policy, "")
	add(2, schemas.SpamContent, "554 spam")
	add(1, "never_heard_of", "")
	table := NewTable(NewLimit(10))
	mergeAll(table, r.Take(), 0)
	want := Split{
		Causes: map[string]int64{"sender": 8, "recipient": 4, "content": 2, "other": 1},
		Reasons: []schemas.ReasonCount{
			{Reason: schemas.Reputation, Cause: schemas.CauseSender, Count: 5, Sample: "550 listed"},
			{Reason: schemas.InvalidRecipient, Cause: schemas.CauseRecipient, Count: 4, Sample: "550 no such user"},
			{Reason: schemas.Policy, Cause: schemas.CauseSender, Count: 3},
		},
	}
	if diff := cmp.Diff(want, table.Split(domainKey("d.test"), 0)); diff != "" {
		t.Errorf("split (-want +got):\n%s", diff)
	}
	if got := table.Split(domainKey("d.test"), 101); got.Causes != nil {
		t.Errorf("split of a later window: %+v", got)
	}
}

func TestTable_ExpiryForgetsQuietSeries(t *testing.T) {
	t.Parallel()
	r := NewRing(0, 100)
	r.Add(obs("a", 100, Blocked, "old.test"), 0)
	r.Add(obs("b", 200, Blocked, "new.test"), 0)
	table := NewTable(NewLimit(10))
	mergeAll(table, r.Take(), 0)
	table.Expire(150)
	if table.limit.Used() != 1 || len(table.Hot()) != 1 {
		t.Errorf("%d series, %d hot, want 1 and 1", table.limit.Used(), len(table.Hot()))
	}
	if got := table.Sum(domainKey("old.test"), 0); got != (Counts{}) {
		t.Errorf("expired series has %+v", got)
	}
	table.Expire(300)
	if table.limit.Used() != 0 || len(table.Hot()) != 0 {
		t.Errorf("%d series, %d hot, want none", table.limit.Used(), len(table.Hot()))
	}
}

func TestTable_IgnoresReportsOfAnotherPaneLength(t *testing.T) {
	t.Parallel()
	r := NewRing(0, 100)
	r.Add(obs("a", 100, Blocked, "d.test"), 0)
	rates := r.Take()
	rates[0].PaneSeconds = 30
	table := NewTable(NewLimit(10))
	mergeAll(table, rates, 0)
	if table.limit.Used() != 0 {
		t.Errorf("%d series, want none", table.limit.Used())
	}
}

// model is the naive way to the same numbers: every message remembered with the
// outcome it has after all its events.
type model map[string]Observation

func (m model) add(o Observation) {
	later := func(a, b Observation) int {
		return cmpstd.Or(cmpstd.Compare(a.Pane, b.Pane), cmpstd.Compare(a.Milli, b.Milli), cmpstd.Compare(a.Kind, b.Kind))
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

func TestWindow_AgreesWithRememberingEveryEvent(t *testing.T) {
	t.Parallel()
	for seed := range uint64(60) {
		w := newWorld(seed, 3)
		for range 600 {
			w.step()
		}
		w.settle()
		for d := range 4 {
			for _, k := range []Key{domainKey(fmt.Sprintf("d%d.test", d)), providerKey(fmt.Sprintf("p%d", d%2))} {
				for _, from := range []Pane{w.oldest(), w.now - 5, w.now} {
					if diff := cmp.Diff(w.model.sum(k, from), w.table.Sum(k, from)); diff != "" {
						t.Fatalf("seed %d, %v from %d (-want +got):\n%s", seed, k, from, diff)
					}
				}
				sum := w.table.Sum(k, w.oldest())
				var causes int64
				for _, n := range w.table.Split(k, w.oldest()).Causes {
					causes += n
				}
				if causes != int64(sum.Blocked) {
					t.Fatalf("seed %d, %v: split adds up to %d of %d", seed, k, causes, sum.Blocked)
				}
			}
		}
	}
}

// TestOutcome_IsTheSameInAnyOrder plays the same events in many orders, some of
// them twice, told in rounds of any size, and wants the same numbers.
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

func TestIDSet_HoldsWhatWasAdded(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(1, 2))
	var s idSet
	want := make(map[uint64]bool)
	for range 20_000 {
		id := rng.Uint64N(15_000)
		if got := s.add(id); got == want[id] {
			t.Fatalf("add %d says new=%t", id, got)
		}
		want[id] = true
	}
	delete(want, 0) // which lies apart
	if s.used != len(want) {
		t.Errorf("%d ids, want %d", s.used, len(want))
	}
}

func FuzzWhys(f *testing.F) {
	f.Add("reputation", "sender")
	f.Add("", "")
	f.Fuzz(func(t *testing.T, reason, cause string) {
		w := newWhys()
		r, c := w.pair(w.of(schemas.Reason(reason), schemas.Cause(cause)))
		if !slices.Contains(schemas.Reasons(), r) || !slices.Contains(schemas.Causes(), c) {
			t.Errorf("%q and %q became %q and %q", reason, cause, r, c)
		}
	})
}
