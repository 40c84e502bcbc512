package page

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"testing/iotest"
)

// TestInput_ThatIsWrongIsAPageAndChangesNothing has each answer say what is wrong and
// what to do.
func TestInput_ThatIsWrongIsAPageAndChangesNothing(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 5000)
	for _, tc := range []struct {
		name   string
		r      *http.Request
		status int
		says   string
	}{
		{"page", httptest.NewRequest(http.MethodGet, "/no-such-page", nil), 404, "There is no such page"},
		{"method", httptest.NewRequest(http.MethodPut, "/rules", nil), 405, "takes GET only"},
		{"form that is looked at", httptest.NewRequest(http.MethodGet, "/suppressions/add", nil), 405, "takes POST only"},
		{"page that is sent to", form("/deliverability", "a", "b"), 405, "takes GET only"},
		{"file", httptest.NewRequest(http.MethodGet, "/static/no-such.js", nil), 404, "There is no such file"},
		{"parameter of a page that takes none", httptest.NewRequest(http.MethodGet, "/rules?page=-1", nil), 400, "This page takes none"},
		{"range in the future", httptest.NewRequest(http.MethodGet, "/deliverability?from=2026-03-05T00:00:00Z&to=2026-03-06T00:00:00Z", nil), 400, "begins in the future"},
		{"range before all events", httptest.NewRequest(http.MethodGet, "/deliverability?from=0001-01-01T00:00:00Z&to=0001-02-01T00:00:00Z", nil), 400, "ends more than 400 days ago"},
		{"zone that is none", httptest.NewRequest(http.MethodGet, "/deliverability?from=2026-03-01T00:00:00%2B25:00&to=2026-03-02T00:00:00Z", nil), 400, "not both times"},
		{"domain of a book", httptest.NewRequest(http.MethodGet, "/deliverability?domain="+strings.Repeat("x", 8<<10), nil), 400, "is not a value of domain"},
		{"domain that is no text", httptest.NewRequest(http.MethodGet, "/deliverability?domain=%ff", nil), 400, "is not a value of domain"},
		{"source with NUL", httptest.NewRequest(http.MethodGet, "/deliverability?source=%00", nil), 400, "is not a value of source"},
		{"address in the address of a page", httptest.NewRequest(http.MethodGet, "/deliverability?domain=ana%40list.example", nil), 400, "An address of a person does not belong"},
		{"address as a mailbox provider", httptest.NewRequest(http.MethodGet, "/deliverability?mailbox_provider=ana@list.example", nil), 400, "An address of a person does not belong"},
		{"form in the address", form("/suppressions/add?address=a%40list.example", "address", "b@list.example"), 400, "does not belong in the address"},
		{"search in the address of a form", form("/search?q=ana%40list.example", "q", "x"), 400, "does not belong in the address"},
		{"text that is no form", body("/suppressions/add", "text/plain", "address=a%40list.example"), 415, "content type &#34;text/plain&#34; is not known"},
		{"form of no type", body("/suppressions/add", "", "address=a%40list.example"), 415, "is not known here"},
		{"form that is packed", packedForm(), 415, "content encoding &#34;gzip&#34; is not known"},
		{"form that does not come", lateForm(), 408, "did not arrive whole in time"},
		{"field that is none", form("/suppressions/add", "address", "a@list.example", "reason", "x"), 400, "is not one of this form"},
		{"field of a form without any", form("/rules/backtest", "days", "7"), 400, "This form takes none"},
		{"field that is no text", form("/suppressions/add", "address", "a@list.example", "note", "\xff"), 400, "not text in UTF-8"},
		{"JSON with a field twice", body("/suppressions/add", "application/json", `{"address":"a@list.example","address":"b@list.example"}`), 400, "is there 2 times"},
		{"JSON with a field that is none", body("/suppressions/lift", "application/json", `{"address":"a@list.example","note":"x","concent":"yes"}`), 400, "is not one of this form"},
		{"JSON with a number", body("/suppressions/add", "application/json", `{"address":7}`), 400, "not a JSON object of texts"},
		{"JSON in JSON", body("/suppressions/add", "application/json", `{"address":{"a":"b"}}`), 400, "not a JSON object of texts"},
		{"JSON that ends in the middle", body("/suppressions/add", "application/json", `{"address":"a@list.example"`), 400, "not a JSON object of texts"},
		{"consent that may be any", form("/suppressions/lift", "address", "a@list.example", "note", "x", "consent", "no"), 400, "is not a value of consent"},
		{"dry run that may be any", form("/dead-letters/redrive", "service", "ingress", "reason", "no_type", "dry_run", "yes"), 400, "is not a value of dry_run"},
		{"dry run of a discard", form("/dead-letters/discard", "service", "ingress", "reason", "no_type", "note", "x", "dry_run", "1"), 400, "is not a value of dry_run"},
		{"dry run of an upload", upload(t, "address\na@list.example\n", "dry_run", "1"), 400, "is not a value of dry_run"},
		{"upload of two files", upload(t, "address\na@list.example\n", "file"), 400, "is there 2 times"},
		{"message of a book", httptest.NewRequest(http.MethodGet, "/messages/shop/"+long, nil), 404, "not the id of a message"},
		{"message that is no text", httptest.NewRequest(http.MethodGet, "/messages/shop/%ff", nil), 404, "not the id of a message"},
		{"field twice", body("/suppressions/add", "application/x-www-form-urlencoded", "address=a%40list.example&address=b%40list.example"), 400, "is there 2 times"},
		{"JSON with more behind it", body("/suppressions/add", "application/json", `{"address":"a@list.example"}{"address":"b@list.example"}`), 400, "not a JSON object of texts"},
		{"empty range", httptest.NewRequest(http.MethodGet, "/deliverability?range=", nil), 400, "is not a value of range"},
		{"empty reason", httptest.NewRequest(http.MethodGet, "/suppressions?reason=", nil), 400, "no such reason"},
		{"word about a form that no page has", httptest.NewRequest(http.MethodGet, "/rules?done=added", nil), 400, "This page takes none"},
		{"export of a part", httptest.NewRequest(http.MethodGet, "/suppressions/export?reason=manual", nil), 400, "This page takes none"},
		{"method of a page with a form", httptest.NewRequest(http.MethodPut, "/search", nil), 405, "takes GET and POST only"},
		{"form that ends in the middle", body("/suppressions/import", "multipart/form-data; boundary=x", "--x\r\nContent-Disp"), 400, "not complete"},
		{"upload of a disk", upload(t, "address\n"+strings.Repeat("a@list.example\n", 1<<20)), 413, "A form may have 8 MiB"},
		{"upload of UTF-16 without a mark", upload(t, "a\x00@\x00b\x00"), 400, "not a CSV file of addresses"},
		{"upload of UTF-16 without an address", upload(t, "\xff\xfea\x00b\x00"), 400, "not a CSV file of addresses"},
		{"upload of a zip", upload(t, "PK\x03\x04@\x00\x00"), 400, "not a CSV file of addresses"},
		{"query that is none", httptest.NewRequest(http.MethodGet, "/rules?%zz", nil), 400, "not URL-encoded"},
		{"parameter", httptest.NewRequest(http.MethodGet, "/?a=b", nil), 400, "has a parameter"},
		{"parameter twice", httptest.NewRequest(http.MethodGet, "/incidents?range=7d&range=30d", nil), 400, "takes once"},
		{"range", httptest.NewRequest(http.MethodGet, "/deliverability?range=1y", nil), 400, "is not a value of range"},
		{"range of incidents", httptest.NewRequest(http.MethodGet, "/incidents?range=x", nil), 400, "is not a value of range"},
		{"range that ends before it begins", httptest.NewRequest(http.MethodGet, "/deliverability?from=2026-03-02T00:00:00Z&to=2026-03-01T00:00:00Z", nil), 400, "ends before it begins"},
		{"range that is empty", httptest.NewRequest(http.MethodGet, "/deliverability?from=2026-03-02T00:00:00Z&to=2026-03-02T00:00:00Z", nil), 400, "ends before it begins"},
		{"half a range", httptest.NewRequest(http.MethodGet, "/deliverability?from=2026-03-02T00:00:00Z", nil), 400, "not both times"},
		{"range beyond all events", httptest.NewRequest(http.MethodGet, "/deliverability?from=1970-01-01T00:00:00Z&to=2026-03-02T00:00:00Z", nil), 400, "longer than 400 days"},
		{"format", httptest.NewRequest(http.MethodGet, "/deliverability?format=xls", nil), 400, "is not a value of format"},
		{"search in the address", httptest.NewRequest(http.MethodGet, "/search?q=ana@example.com", nil), 400, "does not belong in the address"},
		{"person that is no hash", httptest.NewRequest(http.MethodGet, "/people/ana@example.com", nil), 404, "not a recipient hash"},
		{"nothing to search", form("/search", "q", "  "), 400, "Nothing was searched"},
		{"search of a book", form("/search", "q", long), 400, "Nothing was searched"},
		{"range of the audit", httptest.NewRequest(http.MethodGet, "/audit?range=1y", nil), 400, "is not a value of range"},
		{"action that is none", httptest.NewRequest(http.MethodGet, "/audit?action=%27+OR+1", nil), 400, "not the name of an action"},
		{"address in the address of the audit", httptest.NewRequest(http.MethodGet, "/audit?object=ana@example.com", nil), 400, "an address does not belong here"},
		{"reason", httptest.NewRequest(http.MethodGet, "/suppressions?reason=boredom", nil), 400, "no such reason"},
		{"page of the list", httptest.NewRequest(http.MethodGet, "/suppressions?cursor=zz", nil), 400, "no such page of the list"},
		{"check of no address", form("/suppressions/check", "address", "ana"), 400, "This is not an address"},
		{"add of no address", form("/suppressions/add", "address", "ana"), 400, "This is not an address"},
		{"lift of no address", form("/suppressions/lift", "address", ""), 400, "This is not an address"},
		{"pattern of a top-level domain", form("/suppressions/add", "address", "*@com"), 400, "stands for no addresses"},
		{"pattern of no domain", form("/suppressions/lift", "address", "*@", "note", "x"), 400, "stands for no addresses"},
		{"lift of an entry that is none", form("/suppressions/lift", "address", "*@list.example", "note", "x", "only", "boredom account"), 400, "names no entry"},
		{"lift of an entry without a scope", form("/suppressions/lift", "address", "*@list.example", "note", "x", "only", "manual"), 400, "names no entry"},
		{"lift without a note", form("/suppressions/lift", "address", "ana@example.com", "note", " "), 400, "A lift needs a note"},
		{"note of a book", form("/suppressions/add", "address", "ana@example.com", "note", long), 400, "longer than 1,000 bytes"},
		{"silence without an end", form("/incidents/inc-1/silence", "comment", "x"), 400, "between a minute and 30 days"},
		{"silence of a moment", form("/incidents/inc-1/silence", "comment", "x", "for", "59s"), 400, "between a minute and 30 days"},
		{"silence for ever", form("/incidents/inc-1/silence", "comment", "x", "for", "9000h"), 400, "between a minute and 30 days"},
		{"silence that ends before it begins", form("/incidents/inc-1/silence", "comment", "x", "for", "-1h"), 400, "between a minute and 30 days"},
		{"upload without a file", form("/suppressions/import"), 400, "No file was sent"},
		{"upload of a picture", upload(t, "\x89PNG\r\n\x1a\n\x00\x00"), 400, "not a CSV file of addresses"},
		{"upload of a text", upload(t, "dear all,\nplease stop"), 400, "not a CSV file of addresses"},
		{"upload of nothing", upload(t, ""), 400, "not a CSV file of addresses"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			d := newDesk(t)
			w := d.ask(tc.r, "admin")
			if text := w.Body.String(); w.Code != tc.status || !strings.Contains(text, tc.says) || !strings.Contains(text, "What now?") {
				t.Errorf("%d, want %d and %q: %s", w.Code, tc.status, tc.says, text[strings.Index(text, "<main"):])
			}
			if changed := d.changed(); len(changed) > 0 || len(d.notes) > 0 {
				t.Errorf("changed %v, noted %v", changed, d.notes)
			}
		})
	}
}

// lateForm ends as one whose sender is too slow for the server.
func lateForm() *http.Request {
	r := form("/suppressions/add", "address", "a@list.example")
	r.Body = io.NopCloser(io.MultiReader(strings.NewReader("address=a%40list"), iotest.ErrReader(os.ErrDeadlineExceeded)))
	return r
}

// packedForm says that it is packed.
func packedForm() *http.Request {
	r := form("/suppressions/add", "address", "a@list.example")
	r.Header.Set("Content-Encoding", "gzip")
	return r
}

// TestInput_ThatIsWrongIsAProblemToPrograms has the twin of each page of an error be one
// of RFC 9457.
func TestInput_ThatIsWrongIsAProblemToPrograms(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	for _, tc := range []struct {
		r      *http.Request
		role   string
		status int
	}{
		{httptest.NewRequest(http.MethodGet, "/no-such-page", nil), "admin", 404},
		{httptest.NewRequest(http.MethodGet, "/static/nothing", nil), "admin", 404},
		{httptest.NewRequest(http.MethodPost, "/rules", nil), "admin", 405},
		{httptest.NewRequest(http.MethodGet, "/deliverability?range=999999d", nil), "admin", 400},
		{httptest.NewRequest(http.MethodGet, "/people/..%2f", nil), "admin", 404},
		{form("/suppressions/add", "address", "ana"), "admin", 400},
		{form("/suppressions/add", "address", "ana@list.example"), "support", 403},
		{form("/suppressions/add", "address", "ana@list.example"), "", 401},
		{form("/suppressions/add", "address", "ana@list.example"), "nobody", 401},
		{upload(t, "address\n"+strings.Repeat("a@list.example\n", 1<<20)), "admin", 413},
	} {
		tc.r.Header.Set("Accept", "application/json")
		w := d.ask(tc.r, tc.role)
		var problem struct {
			Status        int
			Title, Detail string
		}
		err := json.Unmarshal(w.Body.Bytes(), &problem)
		if err != nil || w.Header().Get("Content-Type") != "application/problem+json" || w.Code != tc.status || problem.Status != tc.status || problem.Title == "" || problem.Detail == "" {
			t.Errorf("%s %s as %q is answered %d %s: %s", tc.r.Method, tc.r.URL, tc.role, w.Code, w.Header().Get("Content-Type"), w.Body)
		}
	}
	if changed := d.changed(); len(changed) > 0 {
		t.Errorf("changed %v", changed)
	}
}

// TestLift_OfNothingSaysSo has the list say that nothing was there to lift.
func TestLift_OfNothingSaysSo(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	d.says = `{"token":"x","changed":0}`
	w := d.ask(form("/suppressions/lift", "address", "nobody@list.example", "note", "asked for it"), "operator")
	if w.Code != http.StatusNotFound || !strings.Contains(w.Body.String(), "not on the list") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

// TestExport_HasNoFormula exports a list with a note and an address that a spreadsheet
// would run.
func TestExport_HasNoFormula(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	d.says = "address,note\n=1+1@list.example,\"=cmd|'/c calc'!A1\"\n+a@list.example,\"fine, isn't it\"\n@b,\"\tx\"\n＝1+1@list.example,-2+3\n"
	w := d.ask(httptest.NewRequest(http.MethodGet, "/suppressions/export", nil), "admin")
	want := "address,note\n'=1+1@list.example,'=cmd|'/c calc'!A1\n'+a@list.example,\"fine, isn't it\"\n'@b,'\tx\n'＝1+1@list.example,'-2+3\n"
	if w.Code != http.StatusOK || w.Body.String() != want || !strings.HasPrefix(w.Header().Get("Content-Type"), "text/csv") {
		t.Errorf("%d %q, want %q", w.Code, w.Body, want)
	}
}

// TestGuess_CountsOnce has a wrong password be looked at once, also for the page that says
// that it is wrong.
func TestGuess_CountsOnce(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	const slowedAfter = 10
	for i := range slowedAfter + 1 {
		r := httptest.NewRequest(http.MethodGet, "/rules", nil)
		want := http.StatusUnauthorized
		if i == slowedAfter {
			want = http.StatusTooManyRequests
		}
		if w := d.ask(r, "nobody"); w.Code != want || !strings.Contains(w.Body.String(), "What now?") {
			t.Errorf("guess %d is answered %d", i+1, w.Code)
		}
	}
	if w := d.ask(httptest.NewRequest(http.MethodGet, "/rules", nil), "viewer"); w.Code != http.StatusOK {
		t.Errorf("the right token beside wrong ones is answered %d", w.Code)
	}
}

// TestSession_ThatIsOverIsSaid asks with a cookie that does not hold any more.
func TestSession_ThatIsOverIsSaid(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	for cookie, over := range map[string]bool{"": false, "__Host-mailstream-console=AAAA": true, "__Host-mailstream-console=" + strings.Repeat("A", 4_000): true} {
		r := httptest.NewRequest(http.MethodGet, "/incidents", nil)
		r.Header.Set("Cookie", cookie)
		w := d.ask(r, "")
		if to := w.Header().Get("Location"); w.Code != http.StatusSeeOther || to != "/login?next=%2Fincidents" {
			t.Errorf("%.40s is answered %d, to %s", cookie, w.Code, to)
		}
		r = httptest.NewRequest(http.MethodGet, "/login", nil)
		r.Header.Set("Cookie", cookie)
		if w := d.ask(r, ""); strings.Contains(w.Body.String(), "Your session is over") != over {
			t.Errorf("%.40s: the form says %s", cookie, w.Body)
		}
	}
}

// FuzzTexts reads any body as an object of texts: what is read is what encoding/json reads,
// and what that refuses is refused.
func FuzzTexts(f *testing.F) {
	for _, text := range []string{`{"address":"a@list.example","note":""}`, `{}`, `{"a":"b","a":"c"}`, `{"a":{"b":"c"}}`, `{"a":null}`, `[]`, `{"a":"b"} x`, `{"\ud800":"\xff"}`, ` {"a" : "b"} `} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		got, err := textsOf(text)
		var want map[string]string
		wrong := json.Unmarshal(text, &want) != nil
		if err != nil {
			// A null is no text here, and no object is none.
			if !wrong && len(want) > 0 && !strings.Contains(string(text), "null") {
				t.Errorf("%q is refused", text)
			}
			return
		}
		if wrong {
			t.Errorf("%q is read as %v", text, got)
		}
		for name, values := range got {
			if want[name] != values[len(values)-1] {
				t.Errorf("%q: %q is %q, want %q", text, name, values, want[name])
			}
		}
	})
}

// TestForms_WithoutFieldsNeedNoBody sends one as a proxy does that says no length.
func TestForms_WithoutFieldsNeedNoBody(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	for text, want := range map[string]int{"": http.StatusSeeOther, "x": http.StatusUnsupportedMediaType} {
		r := httptest.NewRequest(http.MethodPost, "/silences/sil-1/end", strings.NewReader(text))
		r.ContentLength = -1
		if w := d.ask(r, "admin"); w.Code != want {
			t.Errorf("%q is answered %d: %s", text, w.Code, w.Body)
		}
	}
}

// TestLogin_TakesItsFieldsAlone has a form of sign-in be refused like every other.
func TestLogin_TakesItsFieldsAlone(t *testing.T) {
	t.Parallel()
	if w := newDesk(t).ask(form("/login", "name", "ana", "password", "x", "colour", "red"), ""); w.Code != http.StatusBadRequest {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}
