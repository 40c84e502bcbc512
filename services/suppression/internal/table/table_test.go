package table_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mailstream/mailstream/services/suppression/internal/table"
)

func randomKey(r *rand.Rand) (k table.Key) {
	binary.BigEndian.PutUint64(k[:], r.Uint64())
	binary.BigEndian.PutUint64(k[8:], r.Uint64())
	return k
}

// write makes a table of values in a file and returns its path.
func write(tb testing.TB, values map[table.Key]string, expected int64) string {
	tb.Helper()
	path := filepath.Join(tb.TempDir(), "t")
	w, err := table.Create(path, expected)
	if err != nil {
		tb.Fatal(err)
	}
	for _, k := range slices.SortedFunc(maps.Keys(values), func(a, b table.Key) int { return bytes.Compare(a[:], b[:]) }) {
		if err := w.Add(k, []byte(values[k])); err != nil {
			tb.Fatal(err)
		}
	}
	if err := errors.Join(w.Finish(), w.Close()); err != nil {
		tb.Fatal(err)
	}
	return path
}

func open(tb testing.TB, path string) *table.Table {
	tb.Helper()
	t, err := table.Open(path)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := t.Close(); err != nil {
			tb.Error(err)
		}
	})
	return t
}

// get returns the values of keys that there are.
func get(t *table.Table, keys []table.Key) (map[table.Key]string, error) {
	out := map[table.Key]string{}
	err := t.Each(func(yield func(int, *table.Key) bool) {
		for i := range keys {
			if !yield(i, &keys[i]) {
				return
			}
		}
	}, func(i int, value []byte) error {
		out[keys[i]] = string(value)
		return nil
	})
	return out, err
}

func some(n int, r *rand.Rand) map[table.Key]string {
	values := map[table.Key]string{}
	for i := range n {
		values[randomKey(r)] = fmt.Sprint("value ", i)[:r.IntN(7)]
	}
	return values
}

func TestTable_HasWhatWasWrittenAndNothingElse(t *testing.T) {
	t.Parallel()
	for _, n := range []int{0, 1, 3, 1000} {
		for _, expected := range []int64{0, int64(n), int64(3 * n)} {
			r := rand.New(rand.NewPCG(uint64(n), 1))
			values := some(n, r)
			values[table.Key{}], values[table.Key(bytes.Repeat([]byte{255}, table.KeyBytes))] = "first", "last"
			tab := open(t, write(t, values, expected))
			keys := slices.Collect(maps.Keys(values))
			for range 1000 {
				keys = append(keys, randomKey(r))
			}
			got, err := get(tab, keys)
			if d := cmp.Diff(values, got); d != "" || err != nil || tab.Len() != int64(len(values)) {
				t.Fatalf("%d keys, %d expected, Len %d, %v: %s", n, expected, tab.Len(), err, d)
			}
			for _, parts := range []int{1, 3} {
				all := map[table.Key]string{}
				for part := range parts {
					var last *table.Key
					err = errors.Join(err, tab.Part(part, parts, func(k table.Key, value []byte) error {
						if last != nil && bytes.Compare(last[:], k[:]) >= 0 {
							t.Errorf("%x comes after %x", k, *last)
						}
						last, all[k] = &k, string(value)
						return nil
					}))
				}
				if d := cmp.Diff(values, all); d != "" || err != nil {
					t.Fatalf("%d keys in %d parts, %v: %s", n, parts, err, d)
				}
			}
		}
	}
}

// TestTable_DamageIsSaid changes each byte in turn: every key is found with its value, or
// the damage is.
func TestTable_DamageIsSaid(t *testing.T) {
	t.Parallel()
	values := some(40, rand.New(rand.NewPCG(1, 1)))
	path := write(t, values, 40)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for i := range whole {
		spoiled := bytes.Clone(whole)
		spoiled[i] ^= 1 << (i % 8)
		if err := os.WriteFile(path, spoiled, 0o600); err != nil {
			t.Fatal(err)
		}
		tab, err := table.Open(path)
		if errors.Is(err, table.ErrDamaged) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		said := 0
		for k, want := range values {
			got, err := get(tab, []table.Key{k})
			switch {
			case errors.Is(err, table.ErrDamaged):
				said++
			case err != nil || got[k] != want:
				t.Errorf("byte %d: %x is %q, %v, want %q", i, k, got[k], err, want)
			}
		}
		err = tab.Part(0, 1, func(table.Key, []byte) error { return nil })
		if !errors.Is(err, table.ErrDamaged) {
			t.Errorf("byte %d: damage was said of %d keys, and by all of it: %v", i, said, err)
		}
		if err := tab.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestTable_ThatBecomesShorterIsDamaged(t *testing.T) {
	t.Parallel()
	values := some(10_000, rand.New(rand.NewPCG(1, 1)))
	path := write(t, values, 10_000)
	tab := open(t, path)
	if err := os.Truncate(path, 0); err != nil {
		t.Fatal(err)
	}
	if _, err := get(tab, slices.Collect(maps.Keys(values))); !errors.Is(err, table.ErrDamaged) {
		t.Errorf("%v, want ErrDamaged", err)
	}
}

func TestWriter_NothingIsThereBeforeTheEnd(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "t")
	w, err := table.Create(path, 9)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Add(table.Key{1}, nil); err != nil {
		t.Fatal(err)
	}
	for _, k := range []table.Key{{}, {1}} {
		if err := w.Add(k, nil); !errors.Is(err, table.ErrOrder) {
			t.Errorf("key %x after 01: %v", k, err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if left, err := os.ReadDir(filepath.Dir(path)); len(left) > 0 || err != nil {
		t.Errorf("%v is left, %v", left, err)
	}
}

func FuzzOpen(f *testing.F) {
	for _, n := range []int{0, 9} {
		whole, err := os.ReadFile(write(f, some(n, rand.New(rand.NewPCG(1, 1))), int64(n)))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(whole)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		path := filepath.Join(t.TempDir(), "t")
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		tab, err := table.Open(path)
		if err == nil {
			err = tab.Part(0, 1, func(table.Key, []byte) error { return nil })
			err = errors.Join(err, tab.Close())
		}
		if err != nil && !errors.Is(err, table.ErrDamaged) {
			t.Fatal(err)
		}
	})
}
