package api_test

import (
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/suppression/internal/store"
)

func TestAPI_RefusesWhatItCannotUse(t *testing.T) {
	t.Parallel()
	many := `{"addresses":["a@example.com"` + strings.Repeat(`,"a@example.com"`, 10_000) + `]}`
	const check, listing, remove = "/v1/suppressions/check", "/v1/suppressions", "/v1/suppressions/remove"
	tests := []struct {
		name, method, path, body string
		status                   int
		title, detail            string
	}{
		{"empty body", "POST", check, ``, 400, "bad request", "ends before"},
		{"not JSON", "POST", check, `{"addresses":[}`, 400, "bad request", "not JSON in what follows byte 13"},
		{"cut off", "POST", check, `{"addresses":["a@`, 400, "bad request", "ends before"},
		{"no addresses", "POST", check, `{"stream":"marketing"}`, 400, "bad request", "addresses is missing"},
		{"addresses null", "POST", check, `{"addresses":null}`, 400, "bad request", "addresses is missing"},
		{"addresses no array", "POST", check, `{"addresses":"a@example.com"}`, 400, "bad request", "wrong type"},
		{"addresses of numbers", "POST", check, `{"addresses":[1]}`, 400, "bad request", "wrong type"},
		{"an array", "POST", check, `["a@example.com"]`, 400, "bad request", "not a JSON object"},
		{"null", "POST", check, `null`, 400, "bad request", "not a JSON object"},
		{"field in another case", "POST", check, `{"Addresses":[]}`, 400, "bad request", `unknown field "Addresses"`},
		{"field given twice", "POST", check, `{"addresses":[],"addresses":["a@example.com"]}`, 400, "bad request", `"addresses" is given twice`},
		{"check with a parameter", "POST", check + "?explain=true", `{"addresses":[]}`, 400, "bad request", `unknown parameter "explain"`},
		{"put with a parameter", "PUT", listing + "?dry_run=1", `{"address":"a@example.com"}`, 400, "bad request", `unknown parameter "dry_run"`},
		{"remove with a parameter", "POST", remove + "?x", `{"address":"a@example.com","note":"x"}`, 400, "bad request", `unknown parameter "x"`},
		{"check of a pattern", "PUT", listing, `{"address":"a*@example.com"}`, 400, "bad request", "only a pattern has a *"},
		{"put of a top-level domain", "PUT", listing, `{"address":"*@com"}`, 400, "bad request", "has no dot"},
		{"put of a pattern with two stars", "PUT", listing, `{"address":"*@*.*.com"}`, 400, "bad request", "only a pattern has a *"},
		{"put of a mailbox provider nobody knows", "PUT", listing, `{"address":"mailbox_provider:gogle"}`, 400, "bad request", "would match no address"},
		{"put for a source without a name", "PUT", listing, `{"address":"a@example.com","scope":"source:"}`, 400, "bad request", "no name after the colon"},
		{"check of too long a source", "POST", check, `{"addresses":[],"source":"` + strings.Repeat("x", 255) + `"}`, 400, "bad request", "source is longer than 254 bytes"},
		{"put of a mailto URL", "PUT", listing, `{"address":"mailto:a@example.com"}`, 400, "bad request", "mailto: URL"},
		{"put of two addresses", "PUT", listing, `{"address":"a@example.com, b@example.com"}`, 400, "bad request", "more than one address"},
		{"put of a comment", "PUT", listing, `{"address":"a(b)@example.com"}`, 400, "bad request", "comments are not supported"},
		{"remove of a mailto URL", "POST", remove, `{"address":"mailto:a@example.com","note":"x"}`, 400, "bad request", "mailto: URL"},
		{"put beyond what SQL holds", "PUT", listing, `{"address":"a@example.com","expires":"2106-02-07T06:28:16Z"}`, 400, "bad request", "is after 2106-02-07T06:28:15Z"},
		{"put of year 10000", "PUT", listing, `{"address":"a@example.com","expires":"9998-12-31T23:59:59Z"}`, 400, "bad request", "is after 2106"},
		{"put of a past date", "PUT", listing, `{"address":"a@example.com","expires":"2020-01-01"}`, 400, "bad request", "expires is not in the future"},
		{"put of a number as time", "PUT", listing, `{"address":"a@example.com","expires":1767225600}`, 400, "bad request", `field "expires"`},
		{"put of a note with NUL", "PUT", listing, `{"address":"a@example.com","note":"a\u0000b"}`, 400, "bad request", "control characters"},
		{"put of a stream with a newline", "PUT", listing, `{"address":"a@example.com","stream":"a\nb"}`, 400, "bad request", "control characters"},
		{"unknown field", "POST", check, `{"addresses":[],"adresses":[]}`, 400, "bad request", `unknown field "adresses"`},
		{"something after it", "POST", check, `{"addresses":[]}{}`, 400, "bad request", "something follows"},
		{"too many addresses", "POST", check, many, 400, "bad request", "10001 entries, the limit is 10000"},
		{"too large", "POST", check, `{"addresses":["` + strings.Repeat("x", 9<<20) + `"]}`, 413, "body too large", "8388608"},
		{"overlong stream", "POST", check, `{"addresses":[],"stream":"` + strings.Repeat("x", 255) + `"}`, 400, "bad request", "stream is longer"},
		{"no token", "POST", check, `{"addresses":[],"min_token":"rubbish"}`, 400, "bad token", "not a token"},
		{"foreign token", "POST", check, `{"addresses":[],"min_token":"00000000:1@2"}`, 400, "bad token", "another deployment"},
		{"GET check", "GET", check, ``, 405, "method not allowed", "POST"},
		{"DELETE list", "DELETE", listing, ``, 405, "method not allowed", "GET, PUT"},
		{"other path", "GET", "/v1/other", ``, 404, "not found", ""},
		{"put without address", "PUT", listing, `{}`, 400, "bad request", "address is not"},
		{"put of no address", "PUT", listing, `{"address":"nobody"}`, 400, "bad request", "address is not"},
		{"put of unknown reason", "PUT", listing, `{"address":"a@example.com","reason":"dislike"}`, 400, "bad request", "reason must be"},
		{"put of bad scope", "PUT", listing, `{"address":"a@example.com","scope":"world"}`, 400, "bad request", "scope must be"},
		{"put of two scopes", "PUT", listing, `{"address":"a@example.com","scope":"account","list":"1"}`, 400, "bad request", "one of scope"},
		{"put of an empty stream", "PUT", listing, `{"address":"a@example.com","stream":""}`, 400, "bad request", "\"stream\" is empty"},
		{"put of an empty list", "PUT", listing, `{"address":"a@example.com","list":""}`, 400, "bad request", "\"list\" is empty"},
		{"put of an empty scope", "PUT", listing, `{"address":"a@example.com","scope":""}`, 400, "bad request", "\"scope\" is empty"},
		{"put of an empty reason", "PUT", listing, `{"address":"a@example.com","reason":""}`, 400, "bad request", "\"reason\" is empty"},
		{"remove of an empty stream", "POST", remove, `{"address":"a@example.com","note":"n","stream":""}`, 400, "bad request", "\"stream\" is empty"},
		{"remove of an empty reason", "POST", remove, `{"address":"a@example.com","note":"n","reason":""}`, 400, "bad request", "\"reason\" is empty"},
		{"lift of an empty source", "POST", listing + "/lift", `{"reason":"hard_bounce","added_from":"2026-01-01T00:00:00Z","added_to":"2026-01-02T00:00:00Z","note":"n","source":""}`, 400, "bad request", "\"source\" is empty"},
		{"put of the past", "PUT", listing, `{"address":"a@example.com","expires":"2020-01-01T00:00:00Z"}`, 400, "bad request", "expires is not"},
		{"put of no time", "PUT", listing, `{"address":"a@example.com","expires":"tomorrow"}`, 400, "bad request", "RFC 3339"},
		{"list with a limit given twice", "GET", listing + "?limit=1&limit=2", ``, 400, "bad request", `"limit" is given 2 times`},
		{"list with an empty limit", "GET", listing + "?limit=", ``, 400, "bad request", "limit is not in"},
		{"list with a broken query", "GET", listing + "?limit=%zz", ``, 400, "bad request", "not URL-encoded"},
		{"put of a long note", "PUT", listing, `{"address":"a@example.com","note":"` + strings.Repeat("x", 1001) + `"}`, 400, "bad request", "note is longer"},
		{"put too large", "PUT", listing, `{"address":"a@example.com","note":"` + strings.Repeat("x", 17<<10) + `"}`, 413, "body too large", ""},
		{"remove without a note", "POST", remove, `{"address":"a@example.com"}`, 400, "bad request", "note is missing"},
		{"remove with a blank note", "POST", remove, `{"address":"a@example.com","note":"  "}`, 400, "bad request", "note is missing"},
		{"list with limit 0", "GET", listing + "?limit=0", ``, 400, "bad request", "limit is not in"},
		{"list with limit 1001", "GET", listing + "?limit=1001", ``, 400, "bad request", "limit is not in"},
		{"list with a rubbish cursor", "GET", listing + "?cursor=@@", ``, 400, "bad request", "cursor"},
		{"list with a short cursor", "GET", listing + "?cursor=QUJD", ``, 400, "bad request", "cursor"},
		{"list of an empty reason", "GET", listing + "?reason=", ``, 400, "bad request", "reason must be"},
		{"put of the year 1, our zero value", "PUT", listing, `{"address":"a@example.com","expires":"0001-01-01T00:00:00Z"}`, 400, "bad request", "is not in the future"},
		{"list of unknown reason", "GET", listing + "?reason=dislike", ``, 400, "bad request", "reason must be"},
		{"list with an unknown parameter", "GET", listing + "?offset=3", ``, 400, "bad request", "unknown parameter"},
	}
	f := newFixture(t)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := f.do(tt.method, tt.path, tt.body)
			var p struct {
				Title, Detail string
				Status        int
			}
			if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil {
				t.Fatalf("%d %s: %v", w.Code, w.Body, err)
			}
			if w.Code != tt.status || p.Status != tt.status || p.Title != tt.title || !strings.Contains(p.Detail, tt.detail) {
				t.Errorf("%d %+v, want %d %q with %q", w.Code, p, tt.status, tt.title, tt.detail)
			}
			if got := w.Header().Get("Content-Type"); got != "application/problem+json" {
				t.Errorf("content type %q", got)
			}
			if strings.Contains(p.Detail, "example.com") {
				t.Errorf("detail repeats an address: %q", p.Detail)
			}
		})
	}
	if n := f.store.Len(); n != 0 {
		t.Errorf("%d addresses are listed after refusals only", n)
	}
}

func TestAPI_TakesJSONUnderItsContentTypes(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for kind, want := range map[string]int{
		"": 200, "application/json": 200, "application/json; charset=utf-8": 200, "application/x-www-form-urlencoded": 200, "application/merge-patch+json": 200,
		"text/plain": 400, "application/xml": 400, "multipart/form-data; boundary=x": 400, "application/json, text/plain": 400, "json": 400,
	} {
		r := httptest.NewRequest("POST", "/v1/suppressions/check", strings.NewReader(`{"addresses":[]}`))
		r.Header.Set("Content-Type", kind)
		w := httptest.NewRecorder()
		f.api.ServeHTTP(w, r)
		if w.Code != want || want == 400 && !strings.Contains(w.Body.String(), "content type") {
			t.Errorf("content type %q = %d %s, want %d", kind, w.Code, w.Body, want)
		}
	}
}

func TestPut_TakesEveryWayToSayNever(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for i, expires := range []string{`"9999-12-31"`, `"9999-12-31T23:59:59Z"`, `"9999-12-31T23:59:59.999-12:00"`, `"9999-12-31T00:00:00+14:00"`, `null`} {
		address := fmt.Sprintf("p%d@example.com", i)
		if w := f.do("PUT", "/v1/suppressions", `{"address":"`+address+`","expires":`+expires+`}`); w.Code != 200 {
			t.Fatalf("%s: %d %s", expires, w.Code, w.Body)
		}
		if w := f.do("POST", "/v1/suppressions/check", `{"addresses":["`+address+`"]}`); !strings.Contains(w.Body.String(), `"expires":null`) {
			t.Errorf("%s: %s", expires, w.Body)
		}
	}
	w := f.do("PUT", "/v1/suppressions", `{"address":"d@example.com","expires":"2100-03-01"}`)
	if got := f.do("POST", "/v1/suppressions/check", `{"addresses":["d@example.com"]}`); w.Code != 200 || !strings.Contains(got.Body.String(), `"expires":"2100-03-01T00:00:00Z"`) {
		t.Errorf("a date: %d, %s", w.Code, got.Body)
	}
}

func TestCheck_WhatIsNotOneAddressIsNamed(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.do("PUT", "/v1/suppressions", `{"address":"a@example.com"}`)
	for written, suppressed := range map[string]bool{
		"a@example.com": true, "A <a@example.com>": true, "<A@EXAMPLE.COM>": true, "mailto:a@example.com": false, "a@example.com (x)": false,
		"*@example.com": false, "a@example.com,b@example.com": false, "<a@example.com> <b@example.com>": false,
	} {
		asked, err := json.Marshal(map[string]any{"addresses": []string{written}})
		if err != nil {
			t.Fatal(err)
		}
		var got struct {
			Suppressed, Invalid []struct{ Address, Error string }
			Checked             int
		}
		w := f.do("POST", "/v1/suppressions/check", string(asked))
		if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
			t.Fatal(err)
		}
		if suppressed != (len(got.Suppressed) == 1) || suppressed == (len(got.Invalid) == 1) || got.Checked != len(got.Suppressed) {
			t.Errorf("%q: %s", written, w.Body)
		}
		if !suppressed && !strings.HasPrefix(got.Invalid[0].Error, "not an email address: ") {
			t.Errorf("%q: error %q", written, got.Invalid[0].Error)
		}
	}
}

// TestFormerHash_IsFoundAndLifted has an entry that was written when googlemail.com
// had a hash of its own.
func TestFormerHash_IsFoundAndLifted(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	former, err := store.ParseKey(f.hasher.Former("ana@googlemail.com"))
	if err != nil {
		t.Fatal(err)
	}
	at := time.Now().Add(-time.Hour).UTC().Truncate(time.Millisecond)
	if err := f.store.Merge(store.Batch{Updates: []store.Update{{Key: former, State: schemas.Suppression{
		Hash: former.String(), Address: "ana@googlemail.com", UpdatedAt: at,
		Entries: []schemas.SuppressionEntry{{Scope: "account", Reason: schemas.SuppressComplaint, AddedAt: at, Evidence: "e-1"}},
	}}}}); err != nil {
		t.Fatal(err)
	}
	suppressed := func(want int) {
		t.Helper()
		w := f.do("POST", "/v1/suppressions/check", `{"addresses":["ana@gmail.com","Ana@GoogleMail.com"]}`)
		if got := strings.Count(w.Body.String(), `"reason":"complaint"`); got != want {
			t.Fatalf("%d suppressed, want %d: %s", got, want, w.Body)
		}
	}
	suppressed(2)
	if w := f.do("POST", "/v1/suppressions/remove", `{"address":"ana@gmail.com","note":"asked"}`); w.Code != 409 {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	suppressed(2)
	w := f.do("POST", "/v1/suppressions/remove", `{"address":"ana@gmail.com","note":"asked","consent":true}`)
	if w.Code != 200 || !strings.Contains(w.Body.String(), `"changed":1`) {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	suppressed(0)
}
