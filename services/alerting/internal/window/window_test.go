package window

import (
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
