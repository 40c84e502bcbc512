package api_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// imported is the answer of an import.
type imported struct {
	Accepted, Changed int
	Refused           []struct {
		Line  int
		Error string
	}
	RefusedTotal int    `json:"refused_total"`
	DryRun       bool   `json:"dry_run"`
	Token        string `json:"token"`
}

func (f *fixture) importFile(query, media, body string) (imported, *httptest.ResponseRecorder) {
	f.tb.Helper()
	r := httptest.NewRequest("POST", "/v1/suppressions/import"+query, strings.NewReader(body))
	r.Header.Set("Content-Type", media)
	w := httptest.NewRecorder()
	f.api.ServeHTTP(w, r)
	var got imported
	if w.Code == 200 {
		if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
			f.tb.Fatal(err)
		}
	}
	return got, w
}

func TestAPI_ImportNamesEveryBadLineAndTakesTheRest(t *testing.T) {
	t.Parallel()
	const file = "address,reason,scope,expires,note\n" +
		"Ana@Example.com,hard_bounce,,9999-12-31,gone\n" + // 2
		"nonsense,manual,,,\n" + // 3
		"bo@example.com,because,,,\n" + // 4
		"cy@example.com,manual,galaxy,,\n" + // 5
		"di@example.com,unsubscribe,list:17,2100-01-01,\n" + // 6
		"ed@example.com,manual,,2001-01-01,\n" + // 7
		"\"*@com\",manual,,,\n" // 8
	f := newFixture(t)
	for _, step := range []struct {
		query   string
		changed int
		dry     bool
	}{{"?dry_run=true", 2, true}, {"", 2, false}, {"", 0, false}, {"?dry_run=1", 0, true}} {
		got, w := f.importFile(step.query, "text/csv", file)
		if w.Code != 200 || got.Accepted != 2 || got.Changed != step.changed || got.DryRun != step.dry || got.RefusedTotal != 5 {
			t.Fatalf("%q: %d %s", step.query, w.Code, w.Body)
		}
		var lines []int
		for _, r := range got.Refused {
			lines = append(lines, r.Line)
		}
		if diff := cmp.Diff([]int{3, 4, 5, 7, 8}, lines); diff != "" {
			t.Errorf("%q refused (-want +got):\n%s", step.query, diff)
		}
		if (got.Token != "") != !step.dry {
			t.Errorf("%q: token %q", step.query, got.Token)
		}
		listed := f.check(object{"addresses": []string{"ana@example.com", "bo@example.com", "di@example.com"}}).Suppressed
		if want := map[bool]int{true: 0, false: 2}[step.dry && step.changed > 0]; len(listed) != want {
			t.Errorf("%q: %d are suppressed, want %d", step.query, len(listed), want)
		}
	}
}

func TestAPI_ImportTakesJSONLinesAndDefaults(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	got, w := f.importFile("?reason=complaint&note=from%20the%20old%20system", "application/x-ndjson", "{\"address\":\"ana@example.com\"}\n{\"address\":\"bo@example.com\",\"reason\":\"manual\",\"stream\":\"marketing\",\"note\":\"own\"}\n{\"adress\":\"x\"}\n")
	if w.Code != 200 || got.Accepted != 2 || got.RefusedTotal != 1 || got.Refused[0].Line != 3 || !strings.Contains(got.Refused[0].Error, `"adress"`) {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	rows := f.check(object{"addresses": []string{"ana@example.com", "bo@example.com"}}).Suppressed
	if len(rows) != 2 || rows[0].Reason != "complaint" || rows[0].Note != "from the old system" || rows[1].Scope != "stream:marketing" || rows[1].Note != "own" {
		t.Errorf("rows %+v", rows)
	}
	for query, want := range map[string]string{"?dry_run=maybe": "dry_run", "?reason=x": "reason must be", "?dryrun=1": "dryrun", "?note=%00": "control"} {
		if _, w := f.importFile(query, "text/csv", "ana@example.com\n"); w.Code != 400 || !strings.Contains(w.Body.String(), want) {
			t.Errorf("%s: %d %s", query, w.Code, w.Body)
		}
	}
	if _, w := f.importFile("", "text/csv", "name,age\nAna,7\n"); w.Code != 400 || !strings.Contains(w.Body.String(), "column of addresses") {
		t.Errorf("no addresses: %d %s", w.Code, w.Body)
	}
}

// A part that is not acknowledged is said, with how far it came; the whole file sent once
// more changes nothing of what was added.
func TestAPI_ImportSaysHowFarItCame(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	var file strings.Builder
	for i := range 1200 {
		fmt.Fprintf(&file, "u%d@example.com\n", i)
	}
	f.topic.refuse = errors.New("kafka is away")
	if _, w := f.importFile("", "text/csv", file.String()); w.Code != 503 || !strings.Contains(w.Body.String(), "0 lines were added before") || w.Header().Get("Retry-After") == "" {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	f.topic.refuse = nil
	if got, w := f.importFile("", "text/csv", file.String()); got.Accepted != 1200 || got.Changed != 1200 {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if got, w := f.importFile("", "text/csv", file.String()+strings.Repeat("nonsense\n", 1500)); got.Changed != 0 || got.RefusedTotal != 1500 || len(got.Refused) != 1000 {
		t.Errorf("%d, %d refused of which %d are named, %d", w.Code, got.RefusedTotal, len(got.Refused), got.Changed)
	}
}

// What is exported is imported by another list as it is.
func TestAPI_ExportIsAnImport(t *testing.T) {
	t.Parallel()
	from := newFixture(t)
	from.put(object{"address": "ana@example.com", "reason": "hard_bounce", "note": "she said \"no, thanks\"\nby phone"})
	from.put(object{"address": "bo@other.example", "reason": "unsubscribe", "list": "17", "expires": "2100-01-01T00:00:00Z"})
	from.put(object{"address": "cy@example.com"})
	from.ok("POST", "/v1/suppressions/remove", object{"address": "cy@example.com", "note": "asked"}, nil)
	for _, format := range []string{"csv", "ndjson"} {
		file := from.do("GET", "/v1/suppressions/export?format="+format, "")
		if file.Code != 200 || file.Result().Trailer.Get("Mailstream-Entries") != "2" {
			t.Fatalf("%s: %d %s, trailer %v", format, file.Code, file.Body, file.Result().Trailer)
		}
		if format == "ndjson" {
			if n := strings.Count(file.Body.String(), "\n"); n != 2 {
				t.Errorf("%d lines", n)
			}
			continue
		}
		to := newFixture(t)
		if got, w := to.importFile("", "text/csv", file.Body.String()); got.Accepted != 2 || got.RefusedTotal != 0 {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
		again := to.do("GET", "/v1/suppressions/export?format="+format, "")
		columns := func(text string) (out []string) { // all but evidence and since, which are of the import
			for line := range strings.Lines(text) {
				out = append(out, strings.SplitN(line, ",", 5)[0]+strings.SplitN(line, ",", 5)[2])
			}
			return out
		}
		if diff := cmp.Diff(columns(file.Body.String()), columns(again.Body.String())); diff != "" {
			t.Errorf("(-exported +exported after the import):\n%s", diff)
		}
	}
	for query, want := range map[string]int{"reason=hard_bounce": 1, "scope=list:17": 1, "domain=Example.com": 1, "source=acme": 0, "added_from=2100-01-01T00:00:00Z": 0, "added_to=2100-01-01T00:00:00Z": 2} {
		if w := from.do("GET", "/v1/suppressions/export?"+query, ""); w.Code != 200 || strings.Count(w.Body.String(), "@") != want {
			t.Errorf("%s: %d %s", query, w.Code, w.Body)
		}
	}
	for _, query := range []string{"format=xml", "reason=x", "scope=galaxy", "scope=", "added_from=yesterday", "added_from=2026-01-02T00:00:00Z&added_to=2026-01-01T00:00:00Z", "x=1"} {
		if w := from.do("GET", "/v1/suppressions/export?"+query, ""); w.Code != 400 {
			t.Errorf("%s: %d %s", query, w.Code, w.Body)
		}
	}
}

func TestAPI_HistoryHasAddAndLift(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.put(object{"address": "ana@example.com", "note": "asked"})
	f.ok("POST", "/v1/suppressions/remove", object{"address": "ana@example.com", "note": "changed her mind"}, nil)
	var got struct {
		Steps []struct {
			Action, Reason, Scope, Note string
			Active                      bool
			Evidence                    struct {
				RequestID string `json:"request_id"`
			}
		}
	}
	f.ok("GET", "/v1/suppressions/history?address=Ana%40example.com", nil, &got)
	if len(got.Steps) != 2 || got.Steps[0].Action != "added" || got.Steps[1].Action != "lifted" || got.Steps[1].Note != "changed her mind" || got.Steps[1].Active || got.Steps[0].Evidence.RequestID == "" {
		t.Errorf("steps %+v", got.Steps)
	}
	f.ok("GET", "/v1/suppressions/history?address=new%40example.com", nil, &got)
	if len(got.Steps) != 0 {
		t.Errorf("of a new address: %+v", got.Steps)
	}
	for _, query := range []string{"", "?address=", "?address=nonsense", "?adress=a%40b.c", "?address=a%40b.c&address=b%40b.c"} {
		if w := f.do("GET", "/v1/suppressions/history"+query, ""); w.Code != 400 {
			t.Errorf("%q: %d %s", query, w.Code, w.Body)
		}
	}
}
