package deadletters

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/mailstream/mailstream/schemas"
)

var noon = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)

func book() *Book {
	return &Book{topic: "email.operations", known: map[string]schemas.Operation{}, changed: make(chan struct{})}
}

func (b *Book) put(t *testing.T, ops ...schemas.Operation) {
	t.Helper()
	for _, op := range ops {
		value, err := json.Marshal(op)
		if err != nil {
			t.Fatal(err)
		}
		if n := b.apply([]*kgo.Record{{Key: []byte(op.ID), Value: value}}); n != 0 {
			t.Fatalf("%s is no operation", op.ID)
		}
	}
}

func TestBook_KeepsTheWishToStopAndTheEnd(t *testing.T) {
	t.Parallel()
	op := func(seconds int, state schemas.OperationState, letters int64, stop string) schemas.Operation {
		return schemas.Operation{ID: "a", State: state, StartedAt: noon, UpdatedAt: noon.Add(time.Duration(seconds) * time.Second), Letters: letters, StopBy: stop}
	}
	for name, tt := range map[string]struct {
		records []schemas.Operation
		want    schemas.Operation
	}{
		"progress":                {[]schemas.Operation{op(0, "running", 0, ""), op(1, "running", 9, "")}, op(1, "running", 9, "")},
		"a stop of older state":   {[]schemas.Operation{op(2, "running", 9, ""), op(1, "running", 5, "bob")}, op(2, "running", 9, "bob")},
		"progress after the stop": {[]schemas.Operation{op(1, "running", 5, "bob"), op(2, "running", 9, "")}, op(2, "running", 9, "bob")},
		"the end":                 {[]schemas.Operation{op(1, "running", 5, "bob"), op(2, "stopped", 9, "")}, op(2, "stopped", 9, "bob")},
		"a late stop":             {[]schemas.Operation{op(2, "done", 9, ""), op(3, "running", 5, "bob")}, op(2, "done", 9, "bob")},
	} {
		b := book()
		b.put(t, tt.records...)
		if got := b.known["a"]; got.State != tt.want.State || got.Letters != tt.want.Letters || got.StopBy != tt.want.StopBy || !got.UpdatedAt.Equal(tt.want.UpdatedAt) {
			t.Errorf("%s: %+v, want %+v", name, got, tt.want)
		}
	}
}

func TestBook_SaysThatWhatIsNoLongerWrittenWasCut(t *testing.T) {
	t.Parallel()
	now := time.Now()
	b := book()
	b.put(t,
		schemas.Operation{ID: "old", State: schemas.OperationRunning, StartedAt: now.Add(-time.Hour), UpdatedAt: now.Add(-cutAfter - time.Second)},
		schemas.Operation{ID: "second", State: schemas.OperationRunning, StartedAt: now.Add(-time.Second), UpdatedAt: now},
		schemas.Operation{ID: "first", State: schemas.OperationRunning, StartedAt: now.Add(-time.Minute), UpdatedAt: now.Add(-cutAfter / 2)},
	)
	if op, _ := b.Get("old"); op.State != schemas.OperationCut {
		t.Errorf("old: %+v", op)
	}
	if op, ok := b.running(); !ok || op.ID != "first" {
		t.Errorf("running: %+v", op)
	}
	if list := b.List(2); len(list) != 2 || list[0].ID != "second" || list[1].ID != "first" {
		t.Errorf("list: %+v", list)
	}
}

func TestBook_PassesOverWhatIsNoOperationAndForgets(t *testing.T) {
	t.Parallel()
	b := book()
	b.put(t, schemas.Operation{ID: "a", StartedAt: noon})
	for _, value := range []string{"{", "{}", `{"id":"b"}`, `{"id":"other","started_at":"2026-11-20T12:00:00Z"}`, `{"id":"b","started_at":7}`} {
		if n := b.apply([]*kgo.Record{{Key: []byte("b"), Value: []byte(value)}}); n != 1 {
			t.Errorf("%s is taken", value)
		}
	}
	b.apply([]*kgo.Record{{Key: []byte("a")}})
	if len(b.known) != 0 {
		t.Errorf("known: %+v", b.known)
	}
	for i := range operationsMax + 5 {
		b.known[time.Duration(i).String()] = schemas.Operation{ID: time.Duration(i).String(), StartedAt: noon.Add(time.Duration(i))}
	}
	b.put(t, schemas.Operation{ID: "last", StartedAt: noon.Add(time.Hour)})
	if _, ok := b.known["0s"]; len(b.known) != operationsMax || ok {
		t.Errorf("%d are known, the oldest: %t", len(b.known), ok)
	}
}

func FuzzBook_TakesOperationsOrPassesOver(f *testing.F) {
	f.Add([]byte("a"), []byte(`{"id":"a","started_at":"2026-11-20T12:00:00Z","state":"running"}`))
	f.Add([]byte(""), []byte(`null`))
	f.Add([]byte("a"), []byte(nil))
	f.Fuzz(func(t *testing.T, key, value []byte) {
		b := book()
		bad := b.apply([]*kgo.Record{{Key: key, Value: value}})
		if bad == 0 && len(value) > 0 && len(b.List(1)) != 1 || bad == 1 && len(b.known) != 0 {
			t.Errorf("bad %d, known %+v", bad, b.known)
		}
	})
}
