package window

import (
	"fmt"
	"runtime"
	"testing"

	"github.com/mailstream/mailstream/schemas"
)

// heap returns the bytes in use after a collection.
func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// quietKeyBytesMax is the budget of a key that had one message in the window, in
// both stages together: counted, remembered against resends, merged.
const quietKeyBytesMax = 200

// TestMemory_QuietKeyStaysWithinItsBudget is not parallel: it measures the heap.
func TestMemory_QuietKeyStaysWithinItsBudget(t *testing.T) {
	const keys = 100_000
	before := heap()
	q := countQuietKeys(keys)
	per := float64(heap()-before) / keys
	t.Logf("%.0f bytes a quiet key", per)
	if per > quietKeyBytesMax {
		t.Errorf("%.0f bytes a quiet key, budget %d", per, quietKeyBytesMax)
	}
	for i := range q.tables {
		q.tables[i].Expire(2_000)
		q.rings[i].Expire(2_000)
	}
	if left := float64(heap()) - float64(before); left > keys {
		t.Errorf("%.0f bytes are left after everything expired", left)
	}
	runtime.KeepAlive(q)
}

// BenchmarkQuietKeys measures the same of a million keys.
func BenchmarkQuietKeys(b *testing.B) {
	const keys = 1_000_000
	for b.Loop() {
		before := heap()
		q := countQuietKeys(keys)
		b.ReportMetric(float64(heap()-before)/keys, "B/key")
		runtime.KeepAlive(q)
	}
}

// quietKeys are both stages of some keys.
type quietKeys struct {
	rings  []*Ring
	tables []*Table
}

// countQuietKeys counts one message of each key.
func countQuietKeys(keys int) quietKeys {
	const partitions, panes = 12, 90
	q := quietKeys{make([]*Ring, partitions), make([]*Table, partitions)}
	limit := NewLimit(keys)
	for p := range q.rings {
		q.rings[p], q.tables[p] = NewRing(int32(p), keys), NewTable(limit)
	}
	for i := range keys {
		o := obs(fmt.Sprintf("0193a1b2-c3d4-8e5f-8a6b-%012x", i), Pane(1_000+i%panes), Delivered, fmt.Sprintf("company-%d.example", i))
		q.rings[i%partitions].Add(o, 0)
		if i%1_000 == 999 {
			pass(q.rings, q.tables)
		}
	}
	pass(q.rings, q.tables)
	return q
}

func pass(rings []*Ring, tables []*Table) {
	for _, r := range rings {
		rates := r.Take()
		for i := range rates {
			at := len(rates[i].Series[0].Value) * int(rates[i].Series[0].Value[8]) % len(tables)
			tables[at].Merge(&rates[i], 0, func(Key, bool) {})
		}
	}
}

// events are n observations of an ordinary mix at 1,000 domains.
func events(n int) []Observation {
	out := make([]Observation, 0, n)
	for i := range n {
		kind := Delivered
		if i%10 == 0 {
			kind = Blocked
		}
		o := obs(fmt.Sprintf("0193a1b2-c3d4-8e5f-8a6b-%012x", i), Pane(1_000+i*90/n), kind, fmt.Sprintf("d%d.example@p%d", i*7919%1_000, i%5))
		o.Reason = schemas.Reputation
		out = append(out, o)
	}
	return out
}

func BenchmarkRing_Add(b *testing.B) {
	all := events(500_000)
	r, n := NewRing(0, 1<<20), 0
	b.ReportAllocs()
	for b.Loop() {
		if n == len(all) {
			r, n = NewRing(0, 1<<20), 0
		}
		r.Add(all[n], 0)
		n++
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
}

// naive remembers every event of the window, by key: what is written first.
type naive struct {
	keys map[Key]map[string]Observation
}

func (m *naive) add(o Observation) {
	for _, k := range []Key{{o.Source, schemas.DimensionDomain, o.Domain}, {o.Source, schemas.DimensionProvider, o.Provider}} {
		if m.keys[k] == nil {
			m.keys[k] = make(map[string]Observation)
		}
		m.keys[k][o.ID] = o
	}
}

// BenchmarkNaive_Add is the reference of BenchmarkRing_Add.
func BenchmarkNaive_Add(b *testing.B) {
	all := events(500_000)
	m, n := &naive{make(map[Key]map[string]Observation)}, 0
	b.ReportAllocs()
	for b.Loop() {
		if n == len(all) {
			m, n = &naive{make(map[Key]map[string]Observation)}, 0
		}
		m.add(all[n])
		n++
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
}

func BenchmarkTable_Merge(b *testing.B) {
	r := NewRing(0, 1<<20)
	var rates []schemas.Rate
	for i, o := range events(100_000) {
		r.Add(o, 0)
		if i%2_000 == 0 {
			rates = append(rates, r.Take()...)
		}
	}
	t, n := NewTable(NewLimit(1<<20)), 0
	for b.Loop() {
		t.Merge(&rates[n%len(rates)], 0, func(Key, bool) {})
		n++
	}
}

func BenchmarkTable_SumOfABusyKey(b *testing.B) {
	t := NewTable(NewLimit(10))
	for p := range int32(12) {
		r := NewRing(p, 10)
		for pane := range Pane(91) {
			r.Add(obs(fmt.Sprint(p, pane), 1_000+pane, Blocked, "busy.example"), 0)
		}
		mergeAll(t, r.Take(), 0)
	}
	for b.Loop() {
		t.Sum(domainKey("busy.example"), 1_000)
	}
}
