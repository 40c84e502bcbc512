package store

import (
	"encoding/binary"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mailstream/mailstream/schemas"
)

func randomKey(r *rand.Rand) Key {
	var k Key
	binary.LittleEndian.PutUint64(k[:8], r.Uint64())
	binary.LittleEndian.PutUint64(k[8:], r.Uint64())
	return k
}

func TestFilter_NeverMissesAndSeldomErrs(t *testing.T) {
	t.Parallel()
	const keys = filterKeysMin
	f := newFilter(keys)
	r := rand.New(rand.NewPCG(1, 1))
	for range keys {
		f.add(randomKey(r))
	}
	r = rand.New(rand.NewPCG(1, 1))
	for i := range keys {
		if !f.has(randomKey(r)) {
			t.Fatalf("key %d is missing", i)
		}
	}
	wrong := 0
	for range keys {
		if f.has(randomKey(r)) {
			wrong++
		}
	}
	if share := float64(wrong) / keys; share > 0.01 {
		t.Errorf("%.2f %% false answers, want at most 1 %%", 100*share)
	}
}

func FuzzDecodeState(f *testing.F) {
	at := time.UnixMilli(1767348000123).UTC()
	f.Add(appendState(nil, schemas.Suppression{}))
	f.Add(appendState(nil, schemas.Suppression{Address: "a@example.com", UpdatedAt: at, Entries: []schemas.SuppressionEntry{
		{Scope: "account", Reason: "complaint", AddedAt: at, Since: at, Evidence: "e", Provider: "p", Source: "s", Note: "n"},
		{Scope: "list:1", Reason: "unsubscribe", RemovedAt: at, ExpiresAt: at, RemovedBy: "b", RemovedNote: "m"},
	}}))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := decodeState(Key{1}, b)
		if err != nil {
			return
		}
		again, err := decodeState(Key{1}, appendState(nil, s))
		if err != nil {
			t.Fatalf("decode what was encoded: %v", err)
		}
		if diff := cmp.Diff(s, again); diff != "" {
			t.Errorf("round trip (-want +got):\n%s", diff)
		}
	})
}

func BenchmarkFilter_Unknown(b *testing.B) {
	f := newFilter(20_000_000)
	r := rand.New(rand.NewPCG(1, 1))
	keys := make([]Key, 1<<16)
	for i := range keys {
		keys[i] = randomKey(r)
	}
	i := 0
	for b.Loop() {
		f.has(keys[i&(1<<16-1)])
		i++
	}
}
