package book

import (
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/mailstream/mailstream/schemas"
)

func record(t *testing.T, a schemas.Alert) *kgo.Record {
	t.Helper()
	rec, err := Record("alerts", &a)
	if err != nil {
		t.Fatal(err)
	}
	return rec
}

func TestBook_TheFirstOfTwoWritersWins(t *testing.T) {
	t.Parallel()
	b := New()
	apply := func(version int64, writer string) {
		b.Apply([]*kgo.Record{record(t, schemas.Alert{Fingerprint: "f", Version: version, Writer: writer})})
	}
	expect := func(what string, version int64, writer string, contested bool) {
		t.Helper()
		a, _ := b.Get("f")
		if a.Version != version || a.Writer != writer || b.Contested("f") != contested {
			t.Errorf("%s: version %d of %s, contested %t; want %d of %s, %t", what, a.Version, a.Writer, b.Contested("f"), version, writer, contested)
		}
	}
	apply(1, "a")
	expect("first", 1, "a", false)
	apply(2, "a")
	apply(2, "b")
	expect("both on version 1", 2, "a", true)
	apply(3, "a")
	expect("repaired", 3, "a", false)
	apply(3, "a")
	expect("written twice by one", 3, "a", false)
	apply(2, "b")
	expect("far behind", 3, "a", true)
	apply(9, "b")
	expect("taken over after a compaction", 9, "b", false)
}

func TestBook_PassesOverWhatItCannotRead(t *testing.T) {
	t.Parallel()
	b := New()
	bad := []*kgo.Record{
		{Key: []byte("f"), Value: []byte("{")},
		{Key: []byte("f"), Value: []byte(`{"fingerprint":"other","version":1}`)},
		{Key: []byte("f"), Value: []byte(`[]`)},
	}
	if n := b.Apply(bad); n != len(bad) {
		t.Errorf("%d unreadable, want %d", n, len(bad))
	}
	if all := b.All(func(*schemas.Alert) bool { return true }); len(all) != 0 {
		t.Errorf("alerts: %+v", all)
	}
}

func TestBook_ForgetsAndSorts(t *testing.T) {
	t.Parallel()
	b := New()
	at := time.Date(2026, 11, 2, 12, 0, 0, 0, time.UTC)
	for i, f := range []string{"c", "a", "b"} {
		b.Apply([]*kgo.Record{record(t, schemas.Alert{Fingerprint: f, Version: 1, Since: at.Add(time.Duration(i) * time.Minute)})})
	}
	b.Apply([]*kgo.Record{Tombstone("alerts", "a")})
	all := b.All(func(*schemas.Alert) bool { return true })
	if len(all) != 2 || all[0].Fingerprint != "b" || all[1].Fingerprint != "c" {
		t.Errorf("alerts: %+v", all)
	}
}

func FuzzApply(f *testing.F) {
	f.Add([]byte("f"), []byte(`{"fingerprint":"f","version":1}`))
	f.Fuzz(func(t *testing.T, key, value []byte) {
		b := New()
		n := b.Apply([]*kgo.Record{{Key: key, Value: value}})
		if known := len(b.All(func(*schemas.Alert) bool { return true })); n+known > 1 {
			t.Errorf("%d unreadable and %d known from one record", n, known)
		}
	})
}
