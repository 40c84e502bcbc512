package api_test

import (
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/suppression/internal/list"
	"github.com/mailstream/mailstream/services/suppression/internal/store"
)

var outage = time.Date(2026, time.January, 2, 10, 0, 0, 0, time.UTC)

// listed puts an address on the list as an event did.
func (f *fixture) listed(n int, domain string, e schemas.SuppressionEntry) {
	f.tb.Helper()
	hash := fmt.Sprintf("%032x", n)
	key, err := store.ParseKey(hash)
	if err != nil {
		f.tb.Fatal(err)
	}
	err = f.store.Merge(store.Batch{Updates: []store.Update{{Key: key, State: schemas.Suppression{
		Hash: hash, Address: fmt.Sprintf("p%d@%s", n, domain),
		Entries: []schemas.SuppressionEntry{e},
	}}}})
	if err != nil {
		f.tb.Fatal(err)
	}
}

func (f *fixture) active(n int) bool {
	f.tb.Helper()
	key, _ := store.ParseKey(fmt.Sprintf("%032x", n))
	state, _, err := f.store.Get(key)
	if err != nil || len(state.Entries) != 1 {
		f.tb.Fatalf("%+v, %v", state, err)
	}
	return list.Active(state.Entries[0], time.Now())
}

func entryOf(source string, reason schemas.SuppressionReason, at time.Time) schemas.SuppressionEntry {
	return schemas.SuppressionEntry{Scope: schemas.ScopeAccount, Reason: reason, AddedAt: at, Source: source, Evidence: "e"}
}

type lifted struct {
	Matched    int    `json:"matched"`
	Lifted     int    `json:"lifted"`
	NextCursor string `json:"next_cursor"`
	Token      string `json:"token"`
}

// lift repeats a request until nothing is left to look at.
func (f *fixture) lift(req object) (total lifted, calls int) {
	f.tb.Helper()
	req = maps.Clone(req)
	for {
		var a lifted
		f.ok("POST", "/v1/suppressions/lift", req, &a)
		calls++
		total.Matched += a.Matched
		total.Lifted += a.Lifted
		total.Token = a.Token
		if a.NextCursor == "" {
			return total, calls
		}
		req["cursor"] = a.NextCursor
	}
}

func TestLift_TakesBackWhatAnOutageDidAndNothingElse(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	bounce := schemas.SuppressHardBounce
	f.listed(1, "gmail.com", entryOf("acme", bounce, outage.Add(time.Minute)))
	f.listed(2, "gmail.com", entryOf("acme", bounce, outage.Add(-time.Minute))) // before
	f.listed(3, "gmail.com", entryOf("acme", bounce, outage.Add(time.Hour)))    // after
	f.listed(4, "gmail.com", entryOf("other", bounce, outage.Add(time.Minute)))
	f.listed(5, "example.com", entryOf("acme", bounce, outage.Add(time.Minute)))
	f.listed(6, "gmail.com", entryOf("acme", schemas.SuppressComplaint, outage.Add(time.Minute)))
	req := object{
		"reason": "hard_bounce", "added_from": outage, "added_to": outage.Add(time.Hour),
		"source": "acme", "mailbox_provider": "google", "note": "outage", "dry_run": true,
	}
	if got, _ := f.lift(req); got.Matched != 1 || got.Lifted != 0 || got.Token != "" || !f.active(1) {
		t.Errorf("a dry run: %+v, active %v", got, f.active(1))
	}
	req["dry_run"] = false
	if got, _ := f.lift(req); got.Matched != 1 || got.Lifted != 1 || got.Token == "" {
		t.Errorf("%+v", got)
	}
	for n, want := range map[int]bool{1: false, 2: true, 3: true, 4: true, 5: true, 6: true} {
		if got := f.active(n); got != want {
			t.Errorf("person %d is on the list: %v, want %v", n, got, want)
		}
	}
	if got, _ := f.lift(req); got.Matched != 0 {
		t.Errorf("again: %+v", got)
	}
}

func TestLift_ManyTakeSeveralCalls(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	const people = 4500
	for n := range people {
		f.listed(n, "gmail.com", entryOf("acme", schemas.SuppressHardBounce, outage))
	}
	got, calls := f.lift(object{"reason": "hard_bounce", "added_from": outage, "added_to": outage.Add(time.Second), "note": "n"})
	if got.Matched != people || got.Lifted != people || calls < 3 {
		t.Errorf("%+v in %d calls", got, calls)
	}
}

func TestLift_RefusesWhatIsTooWide(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	good := object{"reason": "hard_bounce", "added_from": outage, "added_to": outage.Add(time.Hour), "note": "n"}
	for name, tt := range map[string]struct {
		key   string
		value any
		want  string
	}{
		"no reason":      {"reason", nil, "reason must be one of"},
		"unknown reason": {"reason", "because", "reason must be one of"},
		"no time":        {"added_from", nil, "added_from and added_to"},
		"no end":         {"added_to", nil, "added_from and added_to"},
		"backwards":      {"added_to", outage.Add(-time.Hour), "not before"},
		"no note":        {"note", " ", "note is missing"},
		"long note":      {"note", strings.Repeat("n", 1001), "longer than"},
		"long source":    {"source", strings.Repeat("s", 255), "longer than"},
		"a typing error": {"mailbox_provider", "gmail", "is not in the table of domains"},
		"complaints":     {"reason", "complaint", "consent"},
		"bad cursor":     {"cursor", "x", "cursor is not one"},
		"unknown field":  {"sources", "acme", "unknown field"},
	} {
		req := maps.Clone(good)
		if req[tt.key] = tt.value; tt.value == nil {
			delete(req, tt.key)
		}
		var parts []string
		for k, v := range req {
			if at, ok := v.(time.Time); ok {
				v = at.Format(time.RFC3339)
			}
			parts = append(parts, fmt.Sprintf("%q:%q", k, v))
		}
		w := f.do("POST", "/v1/suppressions/lift", "{"+strings.Join(parts, ",")+"}")
		if w.Code != 400 || !strings.Contains(w.Body.String(), tt.want) {
			t.Errorf("%s: %d %s, want 400 with %q", name, w.Code, w.Body, tt.want)
		}
	}
}
