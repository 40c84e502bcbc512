package store_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/internal/platform/disk"
	"github.com/mailstream/mailstream/services/internal/platform/fate"
	"github.com/mailstream/mailstream/services/servicetest"
	"github.com/mailstream/mailstream/services/suppression/internal/store"
)

// looker, reader and merger are the parts of what every store does.
type looker interface {
	Get(k store.Key) (schemas.Suppression, bool, error)
	GetAll(keys []store.Key) ([]schemas.Suppression, error)
}

type reader interface {
	looker
	Scan(ctx context.Context, from store.Key, yield func(store.Key, schemas.Suppression) bool) error
	Len() int64
}

type merger interface {
	Merge(b store.Batch) error
	Behind(limit int) []store.Key
	Applied() map[int32]int64
}

type subject interface {
	reader
	merger
}

var epoch = time.Date(2026, 1, 2, 10, 0, 0, 0, time.UTC)

func at(n int) time.Time { return epoch.Add(time.Duration(n) * time.Millisecond) }

func key(n int) store.Key {
	sum := sha256.Sum256(fmt.Append(nil, n))
	return store.Key(sum[:store.KeyBytes])
}

func state(k store.Key, entries ...schemas.SuppressionEntry) schemas.Suppression {
	return schemas.Suppression{Hash: k.String(), Address: "a@example.com", UpdatedAt: at(9), ErasedAt: at(8), Entries: entries}
}

func entry(scope string, added int) schemas.SuppressionEntry {
	return schemas.SuppressionEntry{
		Scope: scope, Reason: schemas.SuppressUnsubscribe, AddedAt: at(added), Since: at(added),
		Evidence: "018f-1", Provider: "mailjet", Source: "acme",
	}
}

func open(tb testing.TB, dir, topic string) *store.Pebble {
	tb.Helper()
	p, err := store.Open(tb.Context(), store.Options{Dir: dir, Topic: topic, Log: zap.NewNop()})
	if err != nil {
		tb.Fatal(err)
	}
	return p
}

func closeStore(tb testing.TB, p *store.Pebble) {
	tb.Helper()
	if err := p.Close(); err != nil {
		tb.Fatal(err)
	}
}

func merge(tb testing.TB, s merger, b store.Batch) {
	tb.Helper()
	if err := s.Merge(b); err != nil {
		tb.Fatal(err)
	}
}

func want(tb testing.TB, s reader, k store.Key, want schemas.Suppression) {
	tb.Helper()
	got, ok, err := s.Get(k)
	if err != nil || !ok {
		tb.Fatalf("Get(%s) = %v, %v", k, ok, err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		tb.Errorf("state of %s (-want +got):\n%s", k, diff)
	}
}

func TestStore_Conformance(t *testing.T) {
	t.Parallel()
	subjects := map[string]func(t *testing.T) subject{
		"memory": func(*testing.T) subject { return store.NewMemory(nil) },
		"pebble": func(t *testing.T) subject {
			p := open(t, t.TempDir(), "topic")
			t.Cleanup(func() { closeStore(t, p) })
			return p
		},
	}
	tests := []struct {
		name string
		run  func(t *testing.T, s subject)
	}{
		{"unknown key", testUnknown},
		{"merging keeps both sides", testMerges},
		{"one batch about one key twice", testTwiceInABatch},
		{"positions", testPositions},
		{"behind and caught up again", testBehind},
		{"purge", testPurge},
		{"scan in order from a key", testScan},
		{"all at once as one by one", testGetAll},
	}
	for name, make := range subjects {
		for _, tt := range tests {
			t.Run(name+"/"+tt.name, func(t *testing.T) { t.Parallel(); tt.run(t, make(t)) })
		}
	}
}

func testUnknown(t *testing.T, s subject) {
	if _, ok, err := s.Get(key(1)); ok || err != nil {
		t.Errorf("Get = %v, %v", ok, err)
	}
}

// testGetAll asks for few and many, known and unknown, one of them twice, in no order.
func testGetAll(t *testing.T, s subject) {
	const known = 500
	var b store.Batch
	for i := range known {
		b.Updates = append(b.Updates, store.Update{Key: key(i), State: state(key(i), entry("list:1", i))})
	}
	merge(t, s, b)
	merge(t, s, store.Batch{Updates: []store.Update{{Key: key(7), Purge: true}}})
	for _, n := range []int{0, 1, 3, 2 * known} {
		keys := make([]store.Key, 0, n+1)
		for i := range n {
			keys = append(keys, key((i*37)%(2*known)))
		}
		keys = append(keys, key(0))
		states, err := s.GetAll(keys)
		if err != nil || len(states) != len(keys) {
			t.Fatalf("%d keys: %d states, %v", len(keys), len(states), err)
		}
		for i, k := range keys {
			one, _, err := s.Get(k)
			if diff := cmp.Diff(one, states[i]); diff != "" || err != nil {
				t.Fatalf("key %d of %d, %v (-Get +GetAll):\n%s", i, len(keys), err, diff)
			}
		}
	}
}

func testMerges(t *testing.T, s subject) {
	k := key(1)
	merge(t, s, store.Batch{Updates: []store.Update{{Key: k, State: state(k, entry("list:1", 1))}}})
	merge(t, s, store.Batch{Updates: []store.Update{{Key: k, State: state(k, entry("list:2", 2))}}})
	want(t, s, k, state(k, entry("list:1", 1), entry("list:2", 2)))
	if s.Len() != 1 {
		t.Errorf("Len = %d, want 1", s.Len())
	}
}

func testTwiceInABatch(t *testing.T, s subject) {
	k := key(1)
	merge(t, s, store.Batch{Updates: []store.Update{
		{Key: k, State: state(k, entry("list:1", 1)), FromTopic: true},
		{Key: k, State: state(k, entry("list:2", 2)), FromTopic: true},
	}})
	want(t, s, k, state(k, entry("list:1", 1), entry("list:2", 2)))
	if diff := cmp.Diff([]store.Key{k}, s.Behind(9)); diff != "" {
		t.Errorf("behind (-want +got):\n%s", diff)
	}
}

func testPositions(t *testing.T, s subject) {
	merge(t, s, store.Batch{Applied: map[int32]int64{0: 5, 300: 7}})
	merge(t, s, store.Batch{Applied: map[int32]int64{0: 6}})
	if diff := cmp.Diff(map[int32]int64{0: 6, 300: 7}, s.Applied()); diff != "" {
		t.Errorf("applied (-want +got):\n%s", diff)
	}
}

func testBehind(t *testing.T, s subject) {
	k := key(1)
	one, both := state(k, entry("list:1", 1)), state(k, entry("list:1", 1), entry("list:2", 2))
	steps := []struct {
		name   string
		update store.Update
		behind int
	}{
		{"our own write", store.Update{Key: k, State: both}, 0},
		{"the topic lacks part of it", store.Update{Key: k, State: one, FromTopic: true}, 1},
		{"our own write again", store.Update{Key: k, State: both}, 1},
		{"the topic has it all", store.Update{Key: k, State: both, FromTopic: true}, 0},
		{"an older record again", store.Update{Key: k, State: one, FromTopic: true}, 1},
		{"purged", store.Update{Key: k, Purge: true, FromTopic: true}, 0},
	}
	for _, step := range steps {
		merge(t, s, store.Batch{Updates: []store.Update{step.update}})
		if got := len(s.Behind(9)); got != step.behind {
			t.Errorf("%s: %d behind, want %d", step.name, got, step.behind)
		}
	}
}

func testPurge(t *testing.T, s subject) {
	k := key(1)
	merge(t, s, store.Batch{Updates: []store.Update{{Key: k, State: state(k, entry("list:1", 1))}}})
	merge(t, s, store.Batch{Updates: []store.Update{{Key: k, Purge: true}, {Key: key(2), Purge: true}}})
	if _, ok, err := s.Get(k); ok || err != nil || s.Len() != 0 {
		t.Errorf("Get = %v, %v with %d known, want nothing", ok, err, s.Len())
	}
}

func testScan(t *testing.T, s subject) {
	const n = 100
	for i := range n {
		merge(t, s, store.Batch{Updates: []store.Update{{Key: key(i), State: state(key(i), entry("list:1", i))}}})
	}
	var from store.Key
	var last string
	seen := 0
	for more := true; more; {
		more = false
		page := 0
		err := s.Scan(t.Context(), from, func(k store.Key, st schemas.Suppression) bool {
			if k.String() <= last || st.Hash != k.String() {
				t.Fatalf("%s after %s", k, last)
			}
			if page == 7 {
				from, more = k, true
				return false
			}
			last = k.String()
			page, seen = page+1, seen+1
			return true
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if seen != n {
		t.Errorf("scanned %d, want %d", seen, n)
	}
}

func TestPebble_FindsAllAgainAfterARestart(t *testing.T) {
	t.Parallel()
	dir, k := t.TempDir(), key(1)
	p := open(t, dir, "topic")
	merge(t, p, store.Batch{
		Updates: []store.Update{
			{Key: k, State: state(k, entry("list:1", 1))},
			{Key: k, State: state(k), FromTopic: true},
		},
		Applied: map[int32]int64{3: 4},
	})
	closeStore(t, p)

	p = open(t, dir, "topic")
	defer closeStore(t, p)
	want(t, p, k, state(k, entry("list:1", 1)))
	if diff := cmp.Diff(map[int32]int64{3: 4}, p.Applied()); diff != "" || p.Len() != 1 || len(p.Behind(9)) != 1 {
		t.Errorf("applied (-want +got):\n%s\n%d known, %d behind; want 1 and 1", diff, p.Len(), len(p.Behind(9)))
	}
}

func TestPebble_EmptiesWhatItCannotUse(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		spoil func(t *testing.T, dir string)
		topic string
	}{
		{"another topic", func(*testing.T, string) {}, "re-created"},
		{"damaged manifest", func(t *testing.T, dir string) { overwrite(t, dir, "MANIFEST-") }, "topic"},
		{"damaged table", func(t *testing.T, dir string) { overwrite(t, dir, "*.sst") }, "topic"},
		{"missing manifest", func(t *testing.T, dir string) { removeFiles(t, dir, "MANIFEST-") }, "topic"},
		{"found damaged in use", func(t *testing.T, dir string) {
			if err := os.WriteFile(filepath.Join(dir, "suppressions.pebble", "DAMAGED"), nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}, "topic"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			p := open(t, dir, "topic")
			merge(t, p, store.Batch{
				Updates: []store.Update{{Key: key(1), State: state(key(1), entry("list:1", 1))}},
				Applied: map[int32]int64{3: 4},
			})
			if err := p.Compact(t.Context()); err != nil { // so that there is a table
				t.Fatal(err)
			}
			closeStore(t, p)
			tt.spoil(t, dir)

			core, logs := observer.New(zap.WarnLevel)
			p, err := store.Open(t.Context(), store.Options{Dir: dir, Topic: tt.topic, Log: zap.New(core)})
			if err != nil {
				t.Fatal(err)
			}
			defer closeStore(t, p)
			if p.Len() != 0 || len(p.Applied()) != 0 {
				t.Errorf("%d known, applied %v; want an empty store", p.Len(), p.Applied())
			}
			if logs.FilterMessage("local store emptied, rebuilding it from the topic").Len() != 1 {
				t.Errorf("log does not say so: %v", logs.All())
			}
		})
	}
}

// spoiled returns the files of the store whose names start with prefix.
func spoiled(t *testing.T, dir, prefix string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "suppressions.pebble", prefix+"*"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no file %s*: %v", prefix, err)
	}
	return files
}

func overwrite(t *testing.T, dir, prefix string) {
	for _, f := range spoiled(t, dir, prefix) {
		if err := os.WriteFile(f, []byte(strings.Repeat("rubbish ", 100)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func removeFiles(t *testing.T, dir, prefix string) {
	for _, f := range spoiled(t, dir, prefix) {
		if err := os.Remove(f); err != nil {
			t.Fatal(err)
		}
	}
}

func TestPebble_OneOwnerAFolder(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	p := open(t, dir, "topic")
	_, err := store.Open(t.Context(), store.Options{Dir: dir, Topic: "topic", Log: zap.NewNop()})
	if !errors.Is(err, store.ErrInUse) || !strings.Contains(err.Error(), dir) {
		t.Errorf("second Open = %v, want ErrInUse with the folder", err)
	}
	closeStore(t, p)
	closeStore(t, open(t, dir, "topic"))
}

func TestPebble_FilterGrowsWithoutForgetting(t *testing.T) {
	t.Parallel()
	p := open(t, t.TempDir(), "topic")
	defer closeStore(t, p)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- p.Maintain(ctx) }()
	before := p.FilterBytes()
	const batch, batches = 10_000, 30 // past the smallest filter, twice
	e := entry("account", 1)
	for b := range batches {
		updates := make([]store.Update, batch)
		for i := range updates {
			k := key(b*batch + i)
			updates[i] = store.Update{Key: k, State: schemas.Suppression{Entries: []schemas.SuppressionEntry{e}}}
		}
		merge(t, p, store.Batch{Updates: updates})
	}
	servicetest.Eventually(t, "the filter grows", func() bool { return p.FilterBytes() != before })
	for i := 0; i < batch*batches; i += 37 {
		if _, ok, err := p.Get(key(i)); !ok || err != nil {
			t.Fatalf("key %d lost: %v", i, err)
		}
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestParseKey(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, hash string
		ok         bool
	}{
		{"hash", key(1).String(), true},
		{"empty", "", false},
		{"short", "00ff", false},
		{"upper case", strings.ToUpper(key(1).String()), false},
		{"not hex", strings.Repeat("z", 32), false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			k, err := store.ParseKey(tt.hash)
			if (err == nil) != tt.ok || (tt.ok && k.String() != tt.hash) {
				t.Errorf("ParseKey(%q) = %s, %v", tt.hash, k, err)
			}
		})
	}
}

// A write that the system refuses ends Pebble and the process with it, so a full
// disk must be noticed before. What is there can be read meanwhile.
func TestPebble_WritesNothingToAFullDisk(t *testing.T) {
	t.Parallel()
	dir, free := t.TempDir(), uint64(store.RoomBytesMin)
	opt := store.Options{
		Dir: dir, Topic: "topic", Log: zap.NewNop(),
		Room: disk.Room{Dir: dir, BytesMin: store.RoomBytesMin, Free: func(string) (uint64, error) { return free, nil }},
	}
	p, err := store.Open(t.Context(), opt)
	if err != nil {
		t.Fatal(err)
	}
	positions := func(n int64) store.Batch { return store.Batch{Applied: map[int32]int64{0: n}} }
	merge(t, p, positions(1))
	free--
	if err := p.Merge(positions(2)); !errors.Is(err, disk.ErrFull) || fate.Of(err) != fate.Retry {
		t.Errorf("full: %v, fate %s", err, fate.Of(err))
	}
	if got := p.Applied()[0]; got != 1 {
		t.Errorf("the position is %d, want 1", got)
	}
	free++
	merge(t, p, positions(2))
	closeStore(t, p)
	free = 0
	if _, err := store.Open(t.Context(), opt); !errors.Is(err, disk.ErrFull) {
		t.Errorf("open on a full disk: %v", err)
	}
	free = store.RoomBytesMin
	if p, err = store.Open(t.Context(), opt); err != nil {
		t.Fatal(err)
	}
	if got := p.Applied()[0]; got != 2 {
		t.Errorf("the position is %d, want 2", got)
	}
	closeStore(t, p)
}

func TestPebble_HasPatternsInMemoryAlsoAfterARestart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	p := open(t, dir, "a")
	for i, address := range []string{"*@example.com", "a@example.com", "mailbox_provider:google", ""} {
		s := state(key(i), entry("account", 1))
		s.Address = address
		merge(t, p, store.Batch{Updates: []store.Update{{Key: key(i), State: s}}})
	}
	for _, when := range []string{"at once", "after a restart"} {
		got := slices.Sorted(maps.Keys(p.Patterns()))
		if diff := cmp.Diff([]string{"*@example.com", "mailbox_provider:google"}, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", when, diff)
		}
		closeStore(t, p)
		p = open(t, dir, "a")
	}
	merge(t, p, store.Batch{Updates: []store.Update{{Key: key(0), Purge: true}}})
	if got := slices.Sorted(maps.Keys(p.Patterns())); len(got) != 1 {
		t.Errorf("after a purge: %v", got)
	}
	closeStore(t, p)
}
