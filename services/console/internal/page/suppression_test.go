package page

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
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
