package page

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/mailstream/mailstream/services/console/internal/history"
)

// TestImport_PassesFilesOnAsTheyAre has files in both encodings of spreadsheets reach the
// service, and whether it is a dry run.
func TestImport_PassesFilesOnAsTheyAre(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"address\na@list.example\n", "\ufeffaddress\r\na@list.example", "\xff\xfea\x00@\x00b\x00", "\xfe\xff\x00a\x00@\x00b"} {
		for _, dry := range []string{"true", "false"} {
			d := newDesk(t)
			d.says = `{"accepted":1}`
			w := d.ask(upload(t, text, "dry_run", dry), "admin")
			if calls := d.changed(); w.Code != http.StatusOK || len(calls) != 1 || calls[0] != "POST /v1/suppressions/import" || d.bodies[0] != text || d.queries[0] != "dry_run="+dry {
				t.Errorf("%q, dry run %s: %d, calls %v with %q, the first query %q", text, dry, w.Code, calls, d.bodies, d.queries[0])
			}
		}
	}
}

// TestImport_OfNoAddressSaysSo has a file that is text, with an @ in it, and no list.
func TestImport_OfNoAddressSaysSo(t *testing.T) {
	t.Parallel()
	for dry, want := range map[string]int{"true": http.StatusOK, "false": http.StatusUnprocessableEntity} {
		for _, accept := range []string{"text/html", "application/json"} {
			d := newDesk(t)
			d.says = `{"accepted":0,"refused":[{"line":1,"error":"address is not an email address"}]}`
			r := upload(t, "write to us @ home\n", "dry_run", dry)
			r.Header.Set("Accept", accept)
			if w := d.ask(r, "admin"); w.Code != want || !strings.Contains(w.Body.String(), "is not an email address") || accept == "text/html" && strings.Contains(w.Body.String(), "Nothing was imported") != (dry == "false") {
				t.Errorf("dry run %s, %s: %d %s", dry, accept, w.Code, w.Body)
			}
		}
	}
}

// TestSuppressions_EndWithAWayBack opens the page behind the last one.
func TestSuppressions_EndWithAWayBack(t *testing.T) {
	t.Parallel()
	w := newDesk(t).ask(httptest.NewRequest(http.MethodGet, "/suppressions?reason=manual&cursor="+cursorOfEnd, nil), "viewer")
	if text := w.Body.String(); w.Code != http.StatusOK || !strings.Contains(text, "behind the last entry") || !strings.Contains(text, `href="/suppressions?reason=manual"`) {
		t.Errorf("%d %s", w.Code, text)
	}
	if text := newDesk(t).ask(httptest.NewRequest(http.MethodGet, "/suppressions", nil), "viewer").Body.String(); !strings.Contains(text, "come by themselves") {
		t.Errorf("the first page says %s", text)
	}
}

// TestSuppressions_ComeMaskedToWhoMayNotSeeThem has the service mask addresses, so that a
// look at them is none.
func TestSuppressions_ComeMaskedToWhoMayNotSeeThem(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	for role, want := range map[string]string{"viewer": "addresses=masked&limit=50", "support": "addresses=masked&limit=50", "operator": "limit=50", "admin": "limit=50"} {
		d.ask(httptest.NewRequest(http.MethodGet, "/", nil), role)
		if d.listed != "limit=1&addresses=masked" {
			t.Errorf("%s: the overview, which shows nobody, asked for %s", role, d.listed)
		}
		d.ask(httptest.NewRequest(http.MethodGet, "/suppressions", nil), role)
		if d.listed != want {
			t.Errorf("%s: asked for %s, want %s", role, d.listed, want)
		}
		if role == "viewer" {
			continue
		}
		d.listed = ""
		d.ask(form("/suppressions/check", "address", "ana@example.com"), role)
		if d.listed != want {
			t.Errorf("%s, after a check: asked for %s, want %s", role, d.listed, want)
		}
	}
}

// TestSuppressions_SayOfAPatternWhatItIs has the list, a check and a lift of what stands for
// many addresses: support reads why and lifts nothing, an operator has a form for each.
func TestSuppressions_SayOfAPatternWhatItIs(t *testing.T) {
	t.Parallel()
	const hash = `"recipient_hash":"b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2"`
	const entry = `"reason":"manual","scope":"account","since":"2026-03-01T09:00:00Z","note":"a pause, said ana@list.example"`
	d := newDesk(t)
	d.says = `{"suppressions":[{"address":"*@list.example",` + hash + `,` + entry + `}],
		"suppressed":[{"address":"ana@list.example","reason":"manual","entries":[{` + entry + `},{"matched":"*@list.example",` + entry + `},{"matched":"*@list.example","reason":"complaint","scope":"stream:news"}]}],
		"steps":[{"at":"2026-02-01T09:00:00Z","action":"added","active":false,"reason":"manual","scope":"account"},{"at":"2026-02-02T09:00:00Z","action":"lifted","active":false,"reason":"manual","scope":"account","note":"too early"},
			{"at":"2026-03-01T09:00:00Z","action":"added","active":true,` + entry + `},{"at":"2026-03-02T09:00:00Z","action":"added","active":true,"matched":"*@*.example","reason":"manual","scope":"stream:news"}]}`
	has := func(role, what, text string, want ...string) {
		t.Helper()
		for _, w := range want {
			if without, not := strings.CutPrefix(w, "!"); strings.Contains(text, without) == not {
				t.Errorf("%s, %s: %q is there: %t", role, what, without, not)
			}
		}
	}
	for role, lifts := range map[string]string{"support": "!", "operator": ""} {
		list := d.ask(httptest.NewRequest(http.MethodGet, "/suppressions", nil), role).Body.String()
		has(role, "the list", list, `<bdi>*@list.example</bdi>`, `value="*@list.example"><button`, "!/people/b2b2")
		pattern := d.ask(form("/suppressions/check", "address", "*@list.example"), role).Body.String()
		has(role, "the pattern", pattern, "*@list.example</bdi> is suppressed", "holds for everybody there", "<bdi>*@*.example</bdi></code>: <strong>manual", "too early", "lifted", "!The whole story",
			lifts+`name="address" value="*@list.example"><label>Why may everybody at`, lifts+`name="address" value="*@*.example"><label>Why may everybody at`)
		person := d.ask(form("/suppressions/check", "address", "ana@list.example"), role).Body.String()
		has(role, "an address", person, "is suppressed", "The whole story", lifts+`name="address" value="ana@list.example"><label>Why may it`, lifts+`name="address" value="*@list.example"><label>Why may everybody at`,
			lifts+`<option value="complaint stream:news">`)
		if role == "support" {
			has(role, "notes", list+pattern+person, "!ana@list.example")
		}
	}
	if w := d.ask(form("/suppressions/lift", "address", "*@list.example", "note", "x"), "support"); w.Code != http.StatusForbidden || len(d.changed()) > 0 {
		t.Errorf("a lift by support is answered %d, changed %v", w.Code, d.changed())
	}
}

// TestPerson_HasAFormForEachThatHolds has the entries of a person and of their domain.
func TestPerson_HasAFormForEachThatHolds(t *testing.T) {
	t.Parallel()
	list := []history.Suppression{
		{Reason: "manual", Scope: "account", Active: true}, {Reason: "manual", Scope: "account", Active: true, Matched: "*@list.example"},
		{Reason: "complaint", Scope: "stream:news", Active: true, Matched: "*@list.example"}, {Reason: "manual", Scope: "account", Matched: "*@*.example"},
	}
	for name, tc := range map[string]struct {
		d    personData
		want string
	}{
		"a person":            {personData{Typed: "ana@list.example", Suppressions: list}, "ana@list.example 1, *@list.example 2, "},
		"of no known address": {personData{Suppressions: list}, "*@list.example 2, "},
		"a message":           {personData{Typed: "ana@list.example", Message: "m", Suppressions: list}, "*@list.example 2, "},
		"nothing holds":       {personData{Typed: "ana@list.example", Suppressions: list[3:]}, ""},
	} {
		got := ""
		for _, l := range tc.d.Lifts() {
			got += fmt.Sprintf("%s %d, ", l.Address, len(l.Only))
		}
		if got != tc.want {
			t.Errorf("%s: %q, want %q", name, got, tc.want)
		}
	}
}
