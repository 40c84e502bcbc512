package store_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/internal/platform/disk"
	"github.com/mailstream/mailstream/services/servicetest"
	"github.com/mailstream/mailstream/services/suppression/internal/store"
)

// copying is a store and what is right, through any sequence of steps.
type copying struct {
	t     *testing.T
	r     *rand.Rand
	dir   string
	opt   store.Options
	p     *store.Pebble
	right *store.Memory
}

func newCopying(t *testing.T, seed uint64) *copying {
	dir := t.TempDir()
	c := &copying{
		t: t, r: rand.New(rand.NewPCG(seed, 7)), dir: dir, right: store.NewMemory(settled),
		opt: store.Options{Dir: dir, Topic: "topic", Settle: settled, Log: zap.NewNop()},
	}
	c.open()
	return c
}

func (c *copying) open() {
	var err error
	if c.p, err = store.Open(c.t.Context(), c.opt); err != nil {
		c.t.Fatal(err)
	}
}

func (c *copying) write() {
	b := store.Batch{Updates: records(c.r, 2+c.r.IntN(60))}
	merge(c.t, c.right, b)
	merge(c.t, c.p, b)
}

func (c *copying) restart() {
	closeStore(c.t, c.p)
	c.open()
}

// copies are the files of copies.
func (c *copying) copies() []string {
	paths, err := filepath.Glob(filepath.Join(c.dir, "suppressions.pebble", "copy-*"))
	if err != nil {
		c.t.Fatal(err)
	}
	return paths
}

// spoil changes a byte of the copy, or cuts its end off, in place.
func (c *copying) spoil() {
	for _, path := range c.copies() {
		data, err := os.ReadFile(path)
		if err == nil {
			file, openErr := os.OpenFile(path, os.O_WRONLY, 0)
			if openErr != nil {
				c.t.Fatal(openErr)
			}
			if at := c.r.IntN(len(data)); c.r.IntN(3) == 0 {
				err = file.Truncate(int64(at))
			} else {
				_, err = file.WriteAt([]byte{data[at] ^ 4}, int64(at))
			}
			err = errors.Join(err, file.Close())
		}
		if err != nil {
			c.t.Fatal(err)
		}
	}
}

func (c *copying) step() string {
	c.t.Helper()
	switch n := c.r.IntN(20); {
	case n < 12:
		c.write()
		return "write"
	case n < 14:
		if err := c.p.Copy(c.t.Context(), func() bool { c.write(); return true }); err != nil {
			c.t.Fatal(err)
		}
		return "copy"
	case n < 15: // as a process that ends before it has adopted the copy
		if err := c.p.Copy(c.t.Context(), func() bool { c.write(); return false }); err != nil {
			c.t.Fatal(err)
		}
		return "give a copy up"
	case n < 18:
		c.restart()
		return "restart"
	case n < 19:
		c.spoil()
		return "spoil"
	default:
		closeStore(c.t, c.p)
		c.spoil()
		c.open()
		return "spoil and restart"
	}
}

// check compares all answers, one by one, at once, and those about many addresses.
func (c *copying) check(steps []string) {
	c.t.Helper()
	keys := make([]store.Key, 60)
	for i := range keys {
		keys[i] = key(i)
	}
	want, err := c.right.GetAll(keys)
	if err != nil {
		c.t.Fatal(err)
	}
	got, err := c.p.GetAll(keys)
	if d := cmp.Diff(want, got); d != "" || err != nil {
		c.t.Fatalf("after %v: %v, all at once: %s", steps, err, d)
	}
	for i, k := range keys {
		one, found, err := c.p.Get(k)
		if d := cmp.Diff(want[i], one); d != "" || err != nil || found != (want[i].Hash != "") {
			c.t.Fatalf("after %v: %v, %v: %s", steps, found, err, d)
		}
	}
	if d := cmp.Diff(c.right.Patterns(), c.p.Patterns(), cmp.Transformer("none", func(m map[string]schemas.Suppression) []string {
		var out []string
		for name, s := range m {
			out = append(out, fmt.Sprint(name, s))
		}
		slices.Sort(out)
		return out
	})); d != "" || c.right.Len() != c.p.Len() {
		c.t.Fatalf("after %v: Len %d, want %d; patterns: %s", steps, c.p.Len(), c.right.Len(), d)
	}
}

func TestCopy_AnySequenceAnswersAsWithoutOne(t *testing.T) {
	t.Parallel()
	for seed := range uint64(6) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			c := newCopying(t, seed)
			var steps []string
			for range 30 {
				steps = append(steps, c.step())
				c.check(steps)
			}
			closeStore(t, c.p)
		})
	}
}

func TestCopy_AnswersAreFromItUntilTheyChange(t *testing.T) {
	t.Parallel()
	c := newCopying(t, 1)
	defer func() { closeStore(t, c.p) }()
	for i := range 60 {
		merge(t, c.p, store.Batch{Updates: []store.Update{{Key: key(i), State: state(key(i), entry("account", i))}}})
	}
	if err := c.p.Copy(t.Context(), func() bool { return true }); err != nil {
		t.Fatal(err)
	}
	merge(t, c.p, store.Batch{Updates: []store.Update{{Key: key(3), State: state(key(3), entry("list:1", 3))}}})
	for _, when := range []string{"at once", "after a restart"} {
		if c.p.CopyLen() != 60 || c.p.Changed() != 1 {
			t.Errorf("%s: the copy has %d states, %d changed", when, c.p.CopyLen(), c.p.Changed())
		}
		if paths := c.copies(); len(paths) != 1 {
			t.Errorf("%s: files %v", when, paths)
		}
		c.restart()
	}
}

// TestCopy_ThatWasAwayLacksNothing takes the file away for one life of the store: what
// changed in it is written down all the same.
func TestCopy_ThatWasAwayLacksNothing(t *testing.T) {
	t.Parallel()
	c := newCopying(t, 1)
	defer func() { closeStore(t, c.p) }()
	c.write()
	if err := c.p.Copy(t.Context(), func() bool { return true }); err != nil {
		t.Fatal(err)
	}
	closeStore(t, c.p)
	path, away := c.copies()[0], filepath.Join(t.TempDir(), "copy")
	if err := os.Rename(path, away); err != nil {
		t.Fatal(err)
	}
	c.open()
	for range 9 {
		c.write()
	}
	closeStore(t, c.p)
	if err := os.Rename(away, path); err != nil {
		t.Fatal(err)
	}
	c.open()
	if c.p.CopyLen() < 0 {
		t.Error("the copy is not used")
	}
	c.check([]string{"write", "copy", "take away", "write", "bring back"})
}

func TestCopy_FillDoesWithoutIt(t *testing.T) {
	t.Parallel()
	c := newCopying(t, 1)
	defer func() { closeStore(t, c.p) }()
	one := store.Batch{Updates: []store.Update{{Key: key(1), State: state(key(1), entry("account", 1))}}}
	merge(t, c.p, one)
	if err := c.p.Copy(t.Context(), func() bool { return true }); err != nil {
		t.Fatal(err)
	}
	merge(t, c.p, store.Batch{Updates: []store.Update{{Key: key(1), Purge: true}}})
	updates := records(c.r, 60)
	if err := c.p.Copy(t.Context(), func() bool { fill(t, c.p, updates, nil); return true }); err == nil {
		t.Error("a copy of what was there before the fill was finished")
	}
	merge(t, c.right, store.Batch{Updates: updates})
	c.check([]string{"fill"})
	c.restart()
	c.check([]string{"fill", "restart"})
}

// TestCopy_BesideWriters has readers see each write that has returned, while copies come and go.
func TestCopy_BesideWriters(t *testing.T) {
	t.Parallel()
	const keys, rounds = 50, 60
	c := newCopying(t, 1)
	defer func() { closeStore(t, c.p) }()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var copier, wg sync.WaitGroup
	copier.Go(func() {
		for ctx.Err() == nil {
			if err := c.p.Copy(t.Context(), func() bool { return true }); err != nil {
				t.Error(err)
				return
			}
		}
	})
	for worker := range 3 {
		wg.Go(func() {
			for round := range rounds {
				var b store.Batch
				var asked []store.Key
				for i := range keys {
					k := key(worker*keys + i)
					asked = append(asked, k)
					b.Updates = append(b.Updates, store.Update{Key: k, State: state(k, entry("account", round))})
				}
				if err := c.p.Merge(b); err != nil {
					t.Error(err)
					return
				}
				got, err := c.p.GetAll(asked)
				for i := range got {
					if err != nil || len(got[i].Entries) != 1 || !got[i].Entries[0].AddedAt.Equal(at(round)) {
						t.Errorf("round %d, %v: %v", round, err, got[i])
						return
					}
				}
			}
		})
	}
	wg.Wait()
	cancel()
	copier.Wait()
}

func TestCopy_IsMadeOfALongListAndLeftOutOnAFullDisk(t *testing.T) {
	t.Parallel()
	dir, free := t.TempDir(), uint64(store.RoomBytesMin+1)
	p, err := store.Open(t.Context(), store.Options{
		Dir: dir, Topic: "topic", Log: zap.NewNop(),
		Room: disk.Room{Dir: dir, BytesMin: store.RoomBytesMin, Free: func(string) (uint64, error) { return free, nil }},
	})
	if err != nil {
		t.Fatal(err)
	}
	updates := make([]store.Update, store.CopyKeysMin)
	for i := range updates {
		k := key(i)
		updates[i] = store.Update{Key: k, State: state(k, entry("account", 1))}
	}
	fill(t, p, updates, nil)
	if err := p.RenewCopy(t.Context()); !errors.Is(err, disk.ErrFull) {
		t.Errorf("on a full disk: %v", err)
	}
	free = 1 << 40
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- p.Maintain(ctx) }()
	servicetest.Eventually(t, "there is a copy", func() bool { return p.CopyLen() == store.CopyKeysMin })
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	closeStore(t, p)
}
