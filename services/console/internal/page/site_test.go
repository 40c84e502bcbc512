package page

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/mailstream/mailstream/services/console/internal/auth"
	"github.com/mailstream/mailstream/services/internal/audit"
)

// TestRoutes_AnswerNobodyWhoseRoleDoesNotReach tries each page and form as each role
// below the one it needs, and as nobody: nothing is asked of a service, or written down.
func TestRoutes_AnswerNobodyWhoseRoleDoesNotReach(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	for pattern, r := range d.routes {
		method, target := addressOf(pattern)
		if w := d.ask(httptest.NewRequest(method, target, nil), ""); w.Code != http.StatusUnauthorized && w.Code != http.StatusSeeOther {
			t.Errorf("%s answers nobody with %d", pattern, w.Code)
		}
		for role := auth.Viewer; role < r.needs; role++ {
			w := d.ask(httptest.NewRequest(method, target, nil), role.String())
			if w.Code != http.StatusForbidden || !strings.Contains(w.Body.String(), "Your role does not reach here") {
				t.Errorf("%s answers %s with %d", pattern, role, w.Code)
			}
		}
	}
	if d.mu.Lock(); len(d.calls)+len(d.notes) > 0 {
		t.Errorf("asked %v, noted %v", d.calls, d.notes)
	}
	d.mu.Unlock()
}

// TestRoutes_HaveNoWayAroundTheRole tries each page and form in the ways that frameworks
// and proxies take for the same: as a viewer and as nobody nothing is asked or written down.
func TestRoutes_HaveNoWayAroundTheRole(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	for pattern, r := range d.routes {
		if r.needs <= auth.Viewer {
			continue
		}
		method, target := addressOf(pattern)
		for name, change := range map[string]func(*http.Request){
			"HEAD":           func(r *http.Request) { r.Method = http.MethodHead },
			"OPTIONS":        func(r *http.Request) { r.Method = http.MethodOptions },
			"PUT":            func(r *http.Request) { r.Method = http.MethodPut },
			"DELETE":         func(r *http.Request) { r.Method = http.MethodDelete },
			"lower case":     func(r *http.Request) { r.Method = strings.ToLower(method) },
			"override":       func(r *http.Request) { r.Method = http.MethodGet; r.Header.Set("X-HTTP-Method-Override", method) },
			"twin":           func(r *http.Request) { r.Header.Set("Accept", "application/json") },
			"fragment":       func(r *http.Request) { r.Header.Set("HX-Request", "true") },
			"slash behind":   func(r *http.Request) { r.URL.Path += "/" },
			"two slashes":    func(r *http.Request) { r.URL.Path = "/" + r.URL.Path },
			"dots":           func(r *http.Request) { r.URL.Path = "/rules/.." + r.URL.Path },
			"dots of static": func(r *http.Request) { r.URL.Path = "/static/.." + r.URL.Path },
			"upper case":     func(r *http.Request) { r.URL.Path = strings.ToUpper(r.URL.Path) },
			"rewritten":      func(r *http.Request) { r.Header.Set("X-Original-URL", target); r.Header.Set("X-Rewrite-URL", target) },
			"a proxy's word": func(r *http.Request) {
				r.Header.Set("X-Forwarded-User", "ada")
				r.Header.Set("X-Forwarded-Groups", "admin")
			},
			"a service's":     func(r *http.Request) { r.Header.Set(audit.HeaderBy, "ada"); r.Header.Set(audit.HeaderRole, "admin") },
			"role in address": func(r *http.Request) { r.URL.RawQuery = "role=admin&token=admin" + tokenOf },
		} {
			for _, role := range []string{"viewer", ""} {
				r := httptest.NewRequest(method, target, nil)
				change(r)
				if w := d.ask(r, role); w.Code < 300 {
					t.Errorf("%s, %s, is answered %d to %q: %.200s", pattern, name, w.Code, role, w.Body)
				}
			}
		}
	}
	if d.mu.Lock(); len(d.calls)+len(d.notes) > 0 {
		t.Errorf("asked %v, noted %v", d.calls, d.notes)
	}
	d.mu.Unlock()
}

// TestForms_OfOtherSitesChangeNothing sends every form as a browser does for a page of
// another site.
func TestForms_OfOtherSitesChangeNothing(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	for pattern := range d.routes {
		method, target := addressOf(pattern)
		if method != http.MethodPost {
			continue
		}
		for _, header := range [][2]string{{"Sec-Fetch-Site", "cross-site"}, {"Sec-Fetch-Site", "same-site"}, {"Origin", "https://evil.example"}} {
			r := form(target, "address", "ana@example.com", "note", "x", "comment", "x", "for", "1h")
			r.Header.Del("Sec-Fetch-Site")
			r.Header.Set(header[0], header[1])
			if w := d.ask(r, "admin"); w.Code != http.StatusForbidden || !strings.Contains(w.Body.String(), "another site") {
				t.Errorf("%s with %v is answered %d", pattern, header, w.Code)
			}
		}
	}
	if changed := d.changed(); len(changed) > 0 {
		t.Errorf("changed %v", changed)
	}
}

// TestPages_WithoutClickHouseAnswer200 has each page say that a part is missing.
func TestPages_WithoutClickHouseAnswer200(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	for pattern := range d.routes {
		method, target := addressOf(pattern)
		if method != http.MethodGet || pattern == "GET /suppressions/export" || strings.HasPrefix(pattern, "GET /incidents/{id}") || pattern == "GET /search" || pattern == "GET /rules" {
			continue
		}
		w := d.ask(httptest.NewRequest(method, target, nil), "admin")
		if w.Code != http.StatusOK || !strings.Contains(w.Body.String(), "ClickHouse: it does not answer") {
			t.Errorf("%s answers %d without ClickHouse: %.200s", pattern, w.Code, w.Body)
		}
	}
}

// TestLooks_AreRefusedWithoutTheirNote has Kafka away.
func TestLooks_AreRefusedWithoutTheirNote(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	d.noTrail = true
	for _, r := range []*http.Request{
		httptest.NewRequest(http.MethodGet, "/people/"+strings.Repeat("a1", 16), nil), httptest.NewRequest(http.MethodGet, "/messages/shop/1", nil),
	} {
		if w := d.ask(r, "admin"); w.Code != http.StatusServiceUnavailable || !strings.Contains(w.Body.String(), "cannot be noted now") {
			t.Errorf("%s is answered %d", r.URL, w.Code)
		}
	}
	if changed := d.changed(); len(changed) > 0 {
		t.Errorf("changed %v", changed)
	}
}

// TestChanges_AreMadeInTheNameOfTheirAuthor has each change reach its service once, with
// who wants it: the service writes that down, the console nothing beside it.
func TestChanges_AreMadeInTheNameOfTheirAuthor(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	letters := []string{"service", "ingress", "reason", "no_type", "note", "x"}
	for _, tc := range []struct {
		r    *http.Request
		call string
	}{
		{form("/suppressions/add", "address", "ana@example.com", "note", "x"), "PUT /v1/suppressions"},
		{form("/suppressions/lift", "address", "ana@example.com", "note", "x"), "POST /v1/suppressions/remove"},
		{form("/incidents/inc-1/ack", "note", "x"), "POST /v1/incidents/inc-1/ack"},
		{form("/incidents/inc-1/notes", "note", "x"), "POST /v1/incidents/inc-1/notes"},
		{form("/silences/sil-1/end"), "DELETE /v1/silences/sil-1"},
		{form("/dead-letters/redrive", letters...), "POST /v1/dead-letters/redrive"},
		{form("/dead-letters/discard", letters...), "POST /v1/dead-letters/discard"},
		{form("/dead-letters/operations/op-1/stop"), "POST /v1/dead-letters/operations/op-1/stop"},
	} {
		before := len(d.changed())
		if w := d.ask(tc.r, "admin"); w.Code != http.StatusSeeOther {
			t.Errorf("%s is answered %d: %s", tc.r.URL, w.Code, w.Body)
			continue
		}
		if calls := d.changed()[before:]; len(calls) != 1 || calls[0] != tc.call || d.who != (audit.Entry{By: "admin", Role: "admin"}) {
			t.Errorf("%s: calls %v, for %+v", tc.r.URL, calls, d.who)
		}
	}
	if len(d.notes) > 0 {
		t.Errorf("the console noted %+v", d.notes)
	}
}

// TestBacktest_EndsAtItsLimits has a page say which limit was reached and what to do; a
// viewer cannot start one, and one runs at a time.
func TestBacktest_EndsAtItsLimits(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		err    error
		status int
		says   string
	}{
		"limit": {&LimitError{"the history has more than 50000 keys"}, 422, "The history has more than 50000 keys."},
		"time":  {fmt.Errorf("play: %w", context.DeadlineExceeded), 422, "longer than 1m0s"},
		"away":  {errors.New("clickhouse is away"), 503, "cannot be answered now"},
	} {
		d := newDesk(t)
		running, end := make(chan struct{}), make(chan struct{})
		d.backtest = func(context.Context, time.Time, time.Time) ([]Trial, error) {
			close(running)
			<-end
			return nil, tc.err
		}
		if w := d.ask(form("/rules/backtest"), "viewer"); w.Code != http.StatusForbidden {
			t.Errorf("a viewer is answered %d", w.Code)
		}
		done := make(chan *httptest.ResponseRecorder)
		go func() { done <- d.ask(form("/rules/backtest"), "operator") }()
		<-running
		if w := d.ask(form("/rules/backtest"), "operator"); w.Code != http.StatusConflict || !strings.Contains(w.Body.String(), "tried already") {
			t.Errorf("%s: a second one is answered %d", name, w.Code)
		}
		close(end)
		if w := <-done; w.Code != tc.status || !strings.Contains(w.Body.String(), tc.says) {
			t.Errorf("%s: %d %s", name, w.Code, w.Body)
		}
	}
}

// TestTwin_IsForWhoWantsIt asks for a page as browsers and programs do.
func TestTwin_IsForWhoWantsIt(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	for accept, twin := range map[string]bool{
		"": false, "*/*": false, "text/html,application/json;q=0.9": false, "application/json": true, "application/problem+json, text/html": true,
		"application/json;q=0, text/html": false, "application/json;q=0.0": false, "application/json;q=0.5": true, ";;q=,": false,
		"text/html;q=0.1, application/json": true, "application/json;q=0.1, text/html": false, "application/json;q=0.5, text/html;q=0.5": true, "text/html;q=0, application/json;q=0.1": true, "application/json;q=x": true,
	} {
		r := httptest.NewRequest(http.MethodGet, "/rules", nil)
		r.Header.Set("Accept", accept)
		if w := d.ask(r, "viewer"); json.Valid(w.Body.Bytes()) != twin || w.Header().Get("Vary") == "" {
			t.Errorf("%q is answered with %s, varying by %q", accept, w.Header().Get("Content-Type"), w.Header().Values("Vary"))
		}
	}
}

// TestAnswers_KeepOtherPagesOut looks at the headers of every answer.
func TestAnswers_KeepOtherPagesOut(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	for _, target := range []string{"/", "/login", "/static/console.js", "/no-such-page", "/search", "/deliverability?format=csv"} {
		h := d.ask(httptest.NewRequest(http.MethodGet, target, nil), "admin").Header()
		policy := h.Get("Content-Security-Policy")
		if strings.Contains(policy, "unsafe") || !strings.Contains(policy, "default-src 'none'") || !strings.Contains(policy, "frame-ancestors 'none'") || !strings.Contains(policy, "form-action 'self'") || !strings.Contains(policy, "base-uri 'none'") {
			t.Errorf("%s has the policy %q", target, policy)
		}
		for name, want := range map[string]string{"X-Frame-Options": "DENY", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "Cross-Origin-Opener-Policy": "same-origin"} {
			if h.Get(name) != want {
				t.Errorf("%s has %s %q", target, name, h.Get(name))
			}
		}
	}
}

// FuzzRequests asks for any path and query: no answer is a fault of ours, and none can
// run a script.
func FuzzRequests(f *testing.F) {
	for _, target := range []string{"/", "/sources/%2e%2e", "/people/" + strings.Repeat("f", 32), "/messages/a%2Fb/%00", "/incidents/..%2f", "/deliverability?by=%3Cscript%3E", "/suppressions?cursor=%27", "/login?next=//evil.example", "/static/../site.go", "/dead-letters?source=%F0%9F%98%80"} {
		f.Add(target, "admin", false)
		f.Add(target, "viewer", true)
	}
	d := newDesk(f)
	f.Fuzz(func(t *testing.T, target, role string, post bool) {
		u, err := url.ParseRequestURI(target)
		if err != nil || u.Host != "" {
			return // a server hands on nothing of this kind
		}
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		if post {
			_, pattern := d.mux.Handler(&http.Request{Method: http.MethodPost, URL: u, Host: "example.com"})
			var fields []string
			for _, name := range d.routes[pattern].takes {
				fields = append(fields, name, target)
			}
			r = form("/", fields...)
		}
		r.URL, r.RequestURI = u, target
		if role != "" && role != "viewer" && role != "support" && role != "operator" {
			role = "admin"
		}
		w := d.ask(r, role)
		if w.Code >= 500 && w.Code != http.StatusServiceUnavailable {
			t.Errorf("%s is answered %d: %s", target, w.Code, w.Body)
		}
		if to := w.Header().Get("Location"); to != "" && (!strings.HasPrefix(to, "/") || strings.HasPrefix(to, "//") || strings.HasPrefix(to, `/\`)) {
			t.Errorf("%s leads to %s", target, to)
		}
		if w.Header().Get("Content-Security-Policy") == "" {
			t.Errorf("%s is answered without a policy", target)
		}
		if kind := w.Header().Get("Content-Type"); strings.HasPrefix(kind, "application/") && strings.Contains(kind, "json") && !json.Valid(w.Body.Bytes()) {
			t.Errorf("%s is answered with JSON that is none", target)
		}
	})
}
