package api_test

import (
	"encoding/hex"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/mailstream/mailstream/services/internal/audit"
)

// TestLooks_AreNotedBeforeAnybodyIsShown asks for addresses in each way there is, as a
// person does; without the audit no address is shown. Senders check without a name, and who
// sees masked addresses looks at no person.
func TestLooks_AreNotedBeforeAnybodyIsShown(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for _, who := range []string{"ana", "bob"} {
		f.put(object{"address": who + "@example.com", "note": "for " + who + "@example.com"})
	}
	key := f.hasher.Key("ana@example.com")
	one := hex.EncodeToString(key[:])
	for _, tc := range []struct{ method, path, body, action, object, note string }{
		{"GET", "/v1/suppressions?domain=example.com&limit=10", "", "suppression.list", "domain=example.com", "2 addresses"},
		{"GET", "/v1/suppressions/export?format=csv&reason=manual", "", "suppression.export", "reason=manual", ""},
		{"GET", "/v1/suppressions/history?address=ana@example.com", "", "suppression.history", one, ""},
		{"POST", "/v1/suppressions/check", `{"addresses":["ana@example.com"]}`, "suppression.check", one, ""},
		{"POST", "/v1/suppressions/check", `{"addresses":["ana@example.com","bob@example.com"]}`, "suppression.check", "", "2 addresses"},
		{"POST", "/v1/suppressions/check/stream", `{"address":"ana@example.com"}`, "suppression.check", "", "a list of addresses"},
	} {
		ask := func() *httptest.ResponseRecorder {
			w, r := httptest.NewRecorder(), httptest.NewRequest(tc.method, tc.path, strings.NewReader(tc.body))
			audit.SayFor(r, "José", "operator")
			f.api.ServeHTTP(w, r)
			return w
		}
		f.trail.entries, f.trail.away = nil, true
		if w := ask(); w.Code != 503 || strings.Contains(w.Body.String(), "ana@") || !strings.Contains(w.Body.String(), "no address is shown") {
			t.Errorf("%s without the audit: %d %s", tc.path, w.Code, w.Body)
		}
		f.trail.away = false
		if w := ask(); w.Code != 200 || len(f.trail.entries) != 1 {
			t.Errorf("%s: %d %s, noted %+v", tc.path, w.Code, w.Body, f.trail.entries)
			continue
		}
		if got, want := f.trail.entries[0], (audit.Entry{By: "José", Role: "operator", Action: tc.action, Object: tc.object, Note: tc.note}); got != want {
			t.Errorf("%s: noted %+v, want %+v", tc.path, got, want)
		}
	}
	f.trail.entries, f.trail.away = nil, true
	f.check(object{"addresses": []string{"ana@example.com"}})
	w := f.do("GET", "/v1/suppressions?addresses=masked", "")
	if text := w.Body.String(); w.Code != 200 || strings.Contains(text, "ana@") || !strings.Contains(text, "a•••@example.com") {
		t.Errorf("masked: %d %s", w.Code, text)
	}
	f.trail.away = false
	if w := f.do("GET", "/v1/suppressions?reason=complaint", ""); w.Code != 200 || len(f.trail.entries) > 0 {
		t.Errorf("a page of nobody: %d, noted %+v", w.Code, f.trail.entries)
	}
	if w := f.do("GET", "/v1/suppressions", ""); w.Code != 200 || len(f.trail.entries) != 1 || f.trail.entries[0].By != "api" {
		t.Errorf("a caller without a name: %d, noted %+v", w.Code, f.trail.entries)
	}
	if w := f.do("GET", "/v1/suppressions?addresses=whole", ""); w.Code != 400 {
		t.Errorf("addresses=whole: %d", w.Code)
	}
}
