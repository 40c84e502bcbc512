package api_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/suppression/internal/store"
)

// patterns puts n patterns into the store at once, lifted ones where liftedAt is not zero.
func (f *fixture) patterns(name string, n int, liftedAt time.Time) {
	f.tb.Helper()
	var b store.Batch
	for i := range n {
		pattern := fmt.Sprintf("*@%s%d.example", name, i)
		key, err := store.ParseKey(f.hasher.Hash(pattern))
		if err != nil {
			f.tb.Fatal(err)
		}
		b.Updates = append(b.Updates, store.Update{Key: key, State: schemas.Suppression{Address: pattern, Entries: []schemas.SuppressionEntry{
			{Scope: schemas.ScopeAccount, Reason: schemas.SuppressManual, AddedAt: time.Unix(1, 0), RemovedAt: liftedAt},
		}}})
	}
	if err := f.store.Merge(b); err != nil {
		f.tb.Fatal(err)
	}
}

func TestPatterns_TheLimitIsOfThoseThatSuppress(t *testing.T) {
	t.Parallel()
	const limit = 10_000
	f := newFixture(t)
	f.patterns("lifted", limit, time.Unix(2, 0))
	f.patterns("there", limit-1, time.Time{})
	refused := func(method, path, body string) {
		t.Helper()
		if w := f.do(method, path, body); w.Code != 400 || !strings.Contains(w.Body.String(), "one pattern too many") {
			t.Errorf("%s: %d %s", body, w.Code, w.Body)
		}
	}
	refused("POST", "/v1/suppressions/bulk", `{"action":"add","addresses":["*@new1.example","*@new2.example"]}`)
	if got, w := f.importFile("", "application/x-ndjson", "{\"address\":\"*@new1.example\"}\n{\"address\":\"*@new2.example\"}\n{\"address\":\"a@example.com\"}\n"); got.Accepted != 2 || got.RefusedTotal != 1 {
		t.Errorf("import: %d %s", w.Code, w.Body)
	}
	refused("PUT", "/v1/suppressions", `{"address":"*@new2.example"}`)
	refused("PUT", "/v1/suppressions", `{"address":"*@lifted7.example"}`)
	f.put(object{"address": "*@there7.example", "note": "it is there"})
	f.put(object{"address": "a@new2.example"})
	f.ok("GET", "/v1/suppressions/history?address=*@nobody.example", nil, nil)
	f.ok("POST", "/v1/suppressions/remove", object{"address": "*@nobody.example", "note": "none"}, nil)
	f.ok("POST", "/v1/suppressions/bulk", object{"action": "lift", "addresses": []string{"*@nobody.example", "*@there7.example"}, "note": "over"}, nil)
	f.put(object{"address": "*@new2.example"})
}
