package ledger_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kgo"
	"go.uber.org/zap"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/suppression/internal/ledger"
	"github.com/mailstream/mailstream/services/suppression/internal/list"
	"github.com/mailstream/mailstream/services/suppression/internal/store"
)

// topic acknowledges records and keeps them; it refuses while refuse is set.
type topic struct {
	mu     sync.Mutex
	refuse error
	recs   []*kgo.Record
}

func (l *topic) Publish(_ context.Context, recs ...*kgo.Record) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.refuse != nil {
		return l.refuse
	}
	for _, r := range recs {
		r.Offset = int64(len(l.recs))
		l.recs = append(l.recs, r)
	}
	return nil
}

func (l *topic) set(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.refuse = err
}

func (l *topic) all() []*kgo.Record {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]*kgo.Record(nil), l.recs...)
}

func newLedger() (*ledger.Ledger, *store.Memory, *topic) {
	s, l := store.NewMemory(nil), &topic{}
	return ledger.New(ledger.Options{
		Topic: "t", Partitions: 1, Store: s, Publisher: l, Hash: func(string) string { return "" },
		Metrics: ledger.NewMetrics(prometheus.NewRegistry()), Log: zap.NewNop(),
	}), s, l
}

var (
	epoch = time.Date(2026, 1, 2, 10, 0, 0, 0, time.UTC)
	key   = store.Key{1, 2, 3}
)

func entry(scope string) schemas.SuppressionEntry {
	return schemas.SuppressionEntry{Scope: scope, Reason: schemas.SuppressManual, AddedAt: epoch, Since: epoch}
}

// add is an edit that adds entries.
func add(k store.Key, scopes ...string) ledger.Edit {
	return ledger.Edit{Key: k, Apply: func(cur schemas.Suppression) schemas.Suppression {
		for _, scope := range scopes {
			cur = list.Merge(cur, schemas.Suppression{Hash: cur.Hash, Entries: []schemas.SuppressionEntry{entry(scope)}})
		}
		return cur
	}}
}

func write(t *testing.T, l *ledger.Ledger, edits ...ledger.Edit) []ledger.Result {
	t.Helper()
	got, err := l.Write(t.Context(), edits)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// scopes returns those in a record.
func scopes(t *testing.T, r *kgo.Record) []string {
	t.Helper()
	var s schemas.Suppression
	if err := json.Unmarshal(r.Value, &s); err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, e := range s.Entries {
		out = append(out, e.Scope)
	}
	return out
}

// foreign is a record of key as another replica would have written it.
func foreign(t *testing.T, offset int64, scopes ...string) *kgo.Record {
	t.Helper()
	s := schemas.Suppression{Hash: key.String()}
	for _, scope := range scopes {
		s.Entries = append(s.Entries, entry(scope))
	}
	b, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	return &kgo.Record{Topic: "t", Key: []byte(key.String()), Value: b, Offset: offset}
}

func TestWrite_OneRecordAnAddress(t *testing.T) {
	t.Parallel()
	l, _, log := newLedger()
	other := store.Key{9}
	got := write(t, l, add(key, "list:1"), add(other, "list:1"), add(key, "list:2"), add(key, "list:1"))
	want := []ledger.Result{
		{Changed: true, At: ledger.Position{Offset: 0}}, {Changed: true, At: ledger.Position{Offset: 1}},
		{Changed: true, At: ledger.Position{Offset: 0}}, {Changed: false, At: ledger.Position{Offset: 0}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("results (-want +got):\n%s", diff)
	}
	if n := len(log.all()); n != 2 {
		t.Errorf("%d records, want 2", n)
	}
	if diff := cmp.Diff([]string{"list:1", "list:2"}, scopes(t, log.all()[0])); diff != "" {
		t.Errorf("record (-want +got):\n%s", diff)
	}
}

func TestWrite_NothingNewIsNotPublished(t *testing.T) {
	t.Parallel()
	l, _, log := newLedger()
	first := write(t, l, add(key, "list:1"))
	again := write(t, l, add(key, "list:1"))
	if again[0].Changed || again[0].At != first[0].At || len(log.all()) != 1 {
		t.Errorf("again %+v with %d records", again[0], len(log.all()))
	}
}

func TestWrite_ConcurrentWritersLoseNothing(t *testing.T) {
	t.Parallel()
	l, s, log := newLedger()
	const writers = 50
	var wg sync.WaitGroup
	for i := range writers {
		wg.Go(func() {
			if _, err := l.Write(t.Context(), []ledger.Edit{add(key, fmt.Sprintf("list:%d", i)), add(store.Key{byte(i)}, "list:1")}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	state, _, err := s.Get(key)
	if err != nil || len(state.Entries) != writers {
		t.Errorf("%d entries, want %d: %v", len(state.Entries), writers, err)
	}
	var last *kgo.Record
	for _, r := range log.all() {
		if string(r.Key) == key.String() {
			last = r
		}
	}
	if n := len(scopes(t, last)); n != writers {
		t.Errorf("%d entries in the last record, want %d", n, writers)
	}
}

func TestWrite_RefusedChangesNothingHere(t *testing.T) {
	t.Parallel()
	l, s, log := newLedger()
	log.set(errors.New("no broker"))
	if _, err := l.Write(t.Context(), []ledger.Edit{add(key, "list:1")}); err == nil {
		t.Error("no error")
	}
	if _, ok, _ := s.Get(key); ok {
		t.Error("what was not acknowledged is answered")
	}
	log.set(nil)
	if got := write(t, l, add(key, "list:1")); !got[0].Changed {
		t.Error("the repeat changed nothing")
	}
}

func TestWrite_WaitsNoLongerThanItMay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l, _, _ := newLedger()
		hold, held := make(chan struct{}), make(chan struct{})
		done := make(chan error, 1)
		go func() {
			_, err := l.Write(t.Context(), []ledger.Edit{{Key: key, Apply: func(cur schemas.Suppression) schemas.Suppression {
				close(held)
				<-hold
				return cur
			}}})
			done <- err
		}()
		<-held
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := l.Write(ctx, []ledger.Edit{add(key, "list:1")}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("error %v, want the deadline", err)
		}
		close(hold)
		if err := <-done; err != nil {
			t.Error(err)
		}
		write(t, l, add(key, "list:1"))
	})
}

func TestRepair(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name          string
		owns          bool
		before, after time.Duration // not repaired at before, repaired at after
	}{
		{"by the owner", true, 1900 * time.Millisecond, 5 * time.Second},
		{"by anybody when nobody owns it", false, 29 * time.Second, 62 * time.Second},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				l, s, log := newLedger()
				ctx, cancel := context.WithCancel(t.Context())
				done := make(chan error, 1)
				go func() { done <- l.Repair(ctx, func(int32) bool { return tt.owns }) }()
				follow(t, l, foreign(t, 100, "list:1"), foreign(t, 101, "list:2"))
				time.Sleep(tt.before)
				if n := len(log.all()); n != 0 {
					t.Errorf("%d records after %s, want none", n, tt.before)
				}
				time.Sleep(tt.after - tt.before)
				recs := log.all()
				if len(recs) == 0 {
					t.Fatalf("not repaired after %s", tt.after)
				}
				if diff := cmp.Diff([]string{"list:1", "list:2"}, scopes(t, recs[0])); diff != "" {
					t.Errorf("repair (-want +got):\n%s", diff)
				}
				back := *recs[0]
				back.Offset = 102
				follow(t, l, &back)
				if n := len(s.Behind(9)); n != 0 {
					t.Errorf("%d behind after the repair came back", n)
				}
				before := len(log.all())
				time.Sleep(time.Hour)
				if n := len(log.all()); n != before {
					t.Errorf("%d more records in an hour", n-before)
				}
				cancel()
				if err := <-done; err != nil {
					t.Error(err)
				}
			})
		})
	}
}

func TestRepair_ThatDoesNotHelpIsRare(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l, _, log := newLedger()
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- l.Repair(ctx, func(int32) bool { return true }) }()
		follow(t, l, foreign(t, 100, "list:1"), foreign(t, 101, "list:2"))
		time.Sleep(time.Hour) // and the repair never comes back
		if n := len(log.all()); n < 2 || n > 200 {
			t.Errorf("%d records in an hour, want a few", n)
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func TestRepair_OwnAheadOfTheTailIsNoFault(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l, _, log := newLedger()
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- l.Repair(ctx, func(int32) bool { return true }) }()
		write(t, l, add(key, "list:1"))
		write(t, l, add(key, "list:2"))
		recs := log.all()
		follow(t, l, recs[0]) // lacks what we wrote after it
		time.Sleep(time.Second)
		follow(t, l, recs[1])
		time.Sleep(time.Hour)
		if n := len(log.all()); n != 2 {
			t.Errorf("%d records, want our two", n)
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func follow(t *testing.T, l *ledger.Ledger, recs ...*kgo.Record) {
	t.Helper()
	if err := l.Follow(t.Context(), recs); err != nil {
		t.Fatal(err)
	}
}
