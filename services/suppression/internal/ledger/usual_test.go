package ledger

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mailstream/mailstream/schemas"
)

func FuzzDecodeUsual_ReadsAsTheStandardLibraryDoes(f *testing.F) {
	at := time.Date(2026, 1, 2, 10, 0, 0, 120_000_000, time.UTC)
	full := schemas.SuppressionEntry{
		Scope: schemas.ScopeAccount, Reason: schemas.SuppressManual, Rule: "r", AddedAt: at, RemovedAt: at.Add(time.Second), ExpiresAt: at, Since: at,
		Evidence: "e", Provider: "p", Source: "s", Note: "n", RemovedBy: "b", RemovedNote: "o",
	}
	for _, s := range []schemas.Suppression{
		{Hash: "h", Address: "a@b.c", ErasedAt: at, UpdatedAt: at, Entries: []schemas.SuppressionEntry{full, {Scope: "list:1", Reason: "x"}}},
		{Hash: "h", UpdatedAt: at, Entries: []schemas.SuppressionEntry{{Scope: "a", Reason: "b", Note: "<ä\">"}}},
		{Hash: "h", Entries: []schemas.SuppressionEntry{}}, {Hash: "h", SoftBounces: []schemas.SoftBounce{{At: at}}},
	} {
		text, err := json.Marshal(s)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
		f.Add(append(text, ' '))
		f.Add(text[:len(text)-1])
	}
	f.Add([]byte(`{"recipient_hash":"","entries":[{"scope":"","reason":""},],"updated_at":"2026-01-02T10:00:00Z"}`))
	f.Add([]byte(`{"recipient_hash":"","entries":[{"scope":"","reason":"","added_at":"2026-02-30T10:00:00Z"}],"updated_at":"2026-01-02T10:00:00+01:00"}`))
	f.Fuzz(func(t *testing.T, value []byte) {
		got, ok := decodeUsual(value)
		if !ok {
			return
		}
		var want schemas.Suppression
		if err := json.Unmarshal(value, &want); err != nil {
			t.Fatalf("%s is read, the standard library says %v", value, err)
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Fatalf("%s\n%s", value, d)
		}
	})
}

func TestDecodeUsual_ReadsWhatIsUsual(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 1, 2, 10, 0, 0, 0, time.UTC)
	rec, err := encode("topic", schemas.Suppression{
		Hash: "0123456789abcdef0123456789abcdef", Address: "a@example.com", UpdatedAt: at, Entries: []schemas.SuppressionEntry{
			{Scope: schemas.ScopeAccount, Reason: schemas.SuppressHardBounce, AddedAt: at, Since: at, Evidence: "e", Provider: "mailjet", Source: "acme"},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := decodeUsual(rec.Value); !ok {
		t.Errorf("%s goes the slow way", rec.Value)
	}
}
