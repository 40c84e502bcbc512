package page

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// TestChanges_ThatNoServiceConfirmsAreNotDone has a proxy answer in place of each service: no
// form says that something was done, and no page that a list is empty.
func TestChanges_ThatNoServiceConfirmsAreNotDone(t *testing.T) {
	t.Parallel()
	forms := map[string]func() *http.Request{
		"add": func() *http.Request { return form("/suppressions/add", "address", "ana@list.example") },
		"lift": func() *http.Request {
			return form("/suppressions/lift", "address", "ana@list.example", "note", "asked")
		},
		"import":  func() *http.Request { return upload(t, "address\nana@list.example\n") },
		"ack":     func() *http.Request { return form("/incidents/inc-1/ack") },
		"note":    func() *http.Request { return form("/incidents/inc-1/notes", "note", "x") },
		"silence": func() *http.Request { return form("/silences/sil-1/end") },
		"redrive": func() *http.Request { return form("/dead-letters/redrive", "service", "ingress", "reason", "x") },
		"discard": func() *http.Request {
			return form("/dead-letters/discard", "service", "ingress", "reason", "x", "note", "old")
		},
		"stop":  func() *http.Request { return form("/dead-letters/operations/op-1/stop") },
		"check": func() *http.Request { return form("/suppressions/check", "address", "ana@list.example") },
		"export": func() *http.Request {
			return httptest.NewRequest(http.MethodGet, "/suppressions/export", nil)
		},
	}
	for _, says := range []string{"<html>Sign in</html>", "null", "{}"} {
		d := newDesk(t)
		d.says = says
		for name, asked := range forms {
			w := d.ask(asked(), "admin")
			text := w.Body.String()
			if w.Code != http.StatusServiceUnavailable {
				t.Errorf("%s, answered %s: %d to %s", name, says, w.Code, w.Header().Get("Location"))
			}
			if unsure := strings.Contains(text, "may have been made or not"); unsure != (name != "check" && name != "export") {
				t.Errorf("%s, answered %s: it says that it may have been made: %t", name, says, unsure)
			}
		}
		for path, service := range map[string]string{"/suppressions": "suppression", "/incidents": "alerting", "/rules": "alerting", "/dead-letters": "analytics"} {
			w := d.ask(httptest.NewRequest(http.MethodGet, path, nil), "admin")
			if w.Code != http.StatusOK || !strings.Contains(w.Body.String(), "The "+service+" service: it does not answer") {
				t.Errorf("%s, answered %s: %d without a notice", path, says, w.Code)
			}
		}
	}
}

// TestRefusals_SayWhoseFaultItIs has the services refuse a change in several ways.
func TestRefusals_SayWhoseFaultItIs(t *testing.T) {
	t.Parallel()
	for answer, want := range map[int]struct {
		status int
		says   string
	}{
		http.StatusUnauthorized:        {http.StatusBadGateway, "The console is not let in there"},
		http.StatusForbidden:           {http.StatusBadGateway, "The console is not let in there"},
		http.StatusConflict:            {http.StatusConflict, "Correct it and try again"},
		http.StatusFound:               {http.StatusBadGateway, "it answers with the status 302"},
		http.StatusInternalServerError: {http.StatusServiceUnavailable, "may have been made or not"},
		http.StatusGatewayTimeout:      {http.StatusServiceUnavailable, "may have been made or not"},
	} {
		d := newDesk(t)
		d.answer, d.says = answer, "-"
		w := d.ask(form("/suppressions/add", "address", "ana@list.example"), "admin")
		if w.Code != want.status || !strings.Contains(w.Body.String(), want.says) {
			t.Errorf("a service answers %d: %d, %s", answer, w.Code, w.Body)
		}
	}
}
