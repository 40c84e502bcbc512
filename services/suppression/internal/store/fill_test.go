package store_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/internal/platform/disk"
	"github.com/mailstream/mailstream/services/suppression/internal/list"
	"github.com/mailstream/mailstream/services/suppression/internal/store"
)

// records returns what a topic may have: several records of one key, each of which may
// lack what the one before had, purges, patterns, soft bounces and what rules made of them.
func records(r *rand.Rand, n int) []store.Update {
	out := make([]store.Update, 0, n)
	for range n {
		k := key(r.IntN(n * 2 / 3))
		u := store.Update{Key: k, FromTopic: true}
		switch r.IntN(10) {
		case 0:
			u.Purge = true
		case 1:
			u.State = state(k)
			for i := range 1 + r.IntN(3) {
				u.State.SoftBounces = append(u.State.SoftBounces, schemas.SoftBounce{At: at(i * 86_400_000), Reason: schemas.MailboxFull, Message: fmt.Sprint(r.IntN(9)), Evidence: "e"})
			}
			u.State = list.Tidy(u.State)
		default:
			u.State = list.Tidy(state(k, entry(fmt.Sprint("list:", r.IntN(3)), r.IntN(9)), entry("account", r.IntN(9))))
		}
		if k[0]%8 == 0 && !u.Purge { // one hash has one address
			u.State.Address = fmt.Sprintf("*@d%x.example.com", k[:4])
		}
		out = append(out, u)
	}
	return out
}

func settled(s schemas.Suppression) schemas.Suppression {
	if len(s.SoftBounces) < 2 || slices.ContainsFunc(s.Entries, func(e schemas.SuppressionEntry) bool { return e.Rule != "" }) {
		return s
	}
	made := entry("account", 5)
	made.Rule = schemas.RuleSoftBounces
	return list.Merge(s, schemas.Suppression{Hash: s.Hash, Entries: []schemas.SuppressionEntry{made}})
}

func fill(t *testing.T, p *store.Pebble, updates []store.Update, applied map[int32]int64) {
	t.Helper()
	f, err := p.NewFill()
	if err != nil {
		t.Fatal(err)
	}
	for chunk := range slices.Chunk(updates, 97) {
		if err := f.Add(chunk); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(f.Finish(t.Context(), applied), f.Close()); err != nil {
		t.Fatal(err)
	}
}

func TestFill_IsWhatMergeMakes(t *testing.T) {
	t.Parallel()
	for seed := range uint64(3) {
		dir := t.TempDir()
		opt := store.Options{Dir: dir, Topic: "topic", Settle: settled, Log: zap.NewNop()}
		p, err := store.Open(t.Context(), opt)
		if err != nil {
			t.Fatal(err)
		}
		updates, applied := records(rand.New(rand.NewPCG(seed, 1)), 900), map[int32]int64{0: 7, 3: 9}
		want := store.NewMemory(settled)
		merge(t, want, store.Batch{Updates: updates, Applied: applied})
		fill(t, p, updates, applied)
		same := func(when string) {
			t.Helper()
			if d := cmp.Diff(dump(t, want), dump(t, p)); d != "" {
				t.Errorf("seed %d, %s: %s", seed, when, d)
			}
			if d := cmp.Diff(want.Patterns(), p.Patterns()); d != "" {
				t.Errorf("seed %d, %s: %s", seed, when, d)
			}
		}
		same("filled")
		for _, u := range updates {
			if _, ok, _ := want.Get(u.Key); ok && !p.Known(u.Key) {
				t.Fatalf("seed %d: the filter misses %s", seed, u.Key)
			}
		}
		more := records(rand.New(rand.NewPCG(seed, 2)), 500)
		merge(t, want, store.Batch{Updates: more})
		merge(t, p, store.Batch{Updates: more})
		same("changed afterwards")
		closeStore(t, p)
		if p, err = store.Open(t.Context(), opt); err != nil {
			t.Fatal(err)
		}
		same("opened anew")
		closeStore(t, p)
	}
}

func TestFill_ThatIsNotFinishedLeavesNothing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	p := open(t, dir, "topic")
	f, err := p.NewFill()
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Add(records(rand.New(rand.NewPCG(1, 1)), 1000)); err != nil {
		t.Fatal(err)
	}
	closeStore(t, p) // the process ends: Close of the fill is not reached
	p = open(t, dir, "topic")
	defer closeStore(t, p)
	if p.Len() != 0 || len(p.Applied()) != 0 {
		t.Errorf("%d addresses, positions %v", p.Len(), p.Applied())
	}
	fill(t, p, records(rand.New(rand.NewPCG(1, 1)), 1000), map[int32]int64{0: 1})
	if p.Len() == 0 {
		t.Error("nothing was filled after a fill that was not finished")
	}
	if _, err := os.Stat(filepath.Join(dir, "suppressions.fill")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the files of the fill are still there: %v", err)
	}
	if _, err := p.NewFill(); !errors.Is(err, store.ErrNotEmpty) {
		t.Errorf("a second fill: %v", err)
	}
}

func TestFill_EndsWhereTheDiskIsFull(t *testing.T) {
	t.Parallel()
	dir, free := t.TempDir(), uint64(1<<40)
	p, err := store.Open(t.Context(), store.Options{
		Dir: dir, Topic: "topic", Log: zap.NewNop(), Room: disk.Room{Dir: dir, BytesMin: 1 << 20, Free: func(string) (uint64, error) { return free, nil }},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer closeStore(t, p)
	f, err := p.NewFill()
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Add(records(rand.New(rand.NewPCG(1, 1)), 1000)); err != nil {
		t.Fatal(err)
	}
	free = 0
	if err := f.Finish(t.Context(), map[int32]int64{0: 1}); !errors.Is(err, disk.ErrFull) {
		t.Errorf("finished: %v", err)
	}
	if err := f.Close(); err != nil || p.Len() != 0 || len(p.Applied()) != 0 {
		t.Errorf("closed: %v; %d addresses, positions %v", err, p.Len(), p.Applied())
	}
}

// content is all that a store knows.
type content struct {
	States  []schemas.Suppression
	Behind  []string
	Applied map[int32]int64
	Len     int64
}

func dump(t *testing.T, s subject) (out content) {
	t.Helper()
	err := s.Scan(t.Context(), store.Key{}, func(_ store.Key, state schemas.Suppression) bool {
		out.States = append(out.States, state)
		return true
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range s.Behind(1 << 20) {
		out.Behind = append(out.Behind, k.String())
	}
	slices.Sort(out.Behind)
	out.Applied, out.Len = s.Applied(), s.Len()
	return out
}
