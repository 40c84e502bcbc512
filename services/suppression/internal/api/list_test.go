package api_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestAPI_ListPages(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	want := map[string]bool{}
	for i := range 120 {
		addr := fmt.Sprintf("u%d@example.com", i)
		f.put(object{"address": addr})
		want[addr+" manual account"] = true
		if i%3 == 0 {
			f.put(object{"address": addr, "reason": "unsubscribe", "list": "1"})
			want[addr+" unsubscribe list:1"] = true
		}
	}
	for _, limit := range []int{1, 7, 1000} {
		got, cursor, pages := map[string]bool{}, "", 0
		for more := true; more; pages++ {
			var a answer
			f.ok("GET", fmt.Sprintf("/v1/suppressions?limit=%d&cursor=%s", limit, cursor), nil, &a)
			if len(a.Suppressions) > limit {
				t.Fatalf("%d rows, limit %d", len(a.Suppressions), limit)
			}
			for _, r := range a.Suppressions {
				id := r.Address + " " + r.Reason + " " + r.Scope
				if got[id] {
					t.Errorf("%s is there twice", id)
				}
				got[id] = true
			}
			// Writes between two pages: one that comes, one that goes and comes back.
			f.put(object{"address": fmt.Sprintf("new%d-%d@example.com", limit, pages), "reason": "provider_suppressed"})
			cursor, more = a.NextCursor, a.NextCursor != ""
		}
		for id := range want {
			if !got[id] {
				t.Errorf("limit %d: %s is missing", limit, id)
			}
		}
	}
	var only answer
	f.ok("GET", "/v1/suppressions?reason=unsubscribe&limit=1000", nil, &only)
	if len(only.Suppressions) != 40 {
		t.Errorf("%d unsubscribes, want 40", len(only.Suppressions))
	}
}

func FuzzAPI(f *testing.F) {
	f.Add("POST", "/v1/suppressions/check", `{"addresses":["a@example.com","x"],"stream":"marketing","list":"1","explain":true}`)
	f.Add("POST", "/v1/suppressions/check", `{"addresses":["ä@exämple.com"],"min_token":"ffffffff:0@0,1@-1"}`)
	f.Add("PUT", "/v1/suppressions", `{"address":"a@example.com","reason":"manual","scope":"list:1","expires":"2999-01-01T00:00:00Z","note":"n"}`)
	f.Add("POST", "/v1/suppressions/remove", `{"address":"a@example.com","note":"n","consent":true,"stream":"s"}`)
	f.Add("GET", "/v1/suppressions?limit=3&reason=manual&cursor=AAAAAAAAAAAAAAAAAAAAAGFjY291bnQAbWFudWFs", ``)
	f.Fuzz(func(t *testing.T, method, path, body string) {
		r, err := http.NewRequest(method, path, strings.NewReader(body))
		if err != nil || !strings.HasPrefix(path, "/") || r.URL.Host != "" {
			return
		}
		x := newFixture(t)
		x.put(object{"address": "a@example.com"})
		w := httptest.NewRecorder()
		x.api.ServeHTTP(w, r)
		if w.Code >= 500 {
			t.Errorf("%d %s", w.Code, w.Body)
		}
		if w.Code != 200 && (w.Code < 300 || w.Code >= 400) && !json.Valid(w.Body.Bytes()) {
			t.Errorf("answer %d is not JSON: %s", w.Code, w.Body)
		}
		if w.Code == 200 && !json.Valid(w.Body.Bytes()) {
			t.Errorf("answer is not JSON: %s", w.Body)
		}
	})
}
