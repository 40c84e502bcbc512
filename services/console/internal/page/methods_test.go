package page

import (
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
)

// TestHead_IsAnsweredAsGet asks for each page in both ways, as somebody and as nobody, for
// people and for programs.
func TestHead_IsAnsweredAsGet(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	targets := []string{"/static/console.css", "/login", "/no-such-page", "/suppressions/add", "/deliverability?format=csv", "/deliverability?range=x"}
	for pattern := range d.routes {
		if method, target := addressOf(pattern); method == http.MethodGet {
			targets = append(targets, target)
		}
	}
	for _, target := range targets {
		for _, role := range []string{"", "viewer", "admin"} {
			for _, accept := range []string{"text/html", "application/json"} {
				var got [2]string
				for i, method := range []string{http.MethodGet, http.MethodHead} {
					r := httptest.NewRequest(method, target, nil)
					r.Header.Set("Accept", accept)
					w := d.ask(r, role)
					got[i] = fmt.Sprint(w.Code, w.Header().Get("Content-Type"), w.Header().Get("Location"), w.Header().Get("WWW-Authenticate"), w.Header().Get("Allow"))
				}
				if got[0] != got[1] {
					t.Errorf("%s as %q, %s: GET %s, HEAD %s", target, role, accept, got[0], got[1])
				}
			}
		}
	}
}

// TestPaths_OfFormsLeadToPages has the answer to each form lead to a page that can be read.
func TestPaths_OfFormsLeadToPages(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	for pattern := range d.routes {
		method, target := addressOf(pattern)
		path := pathOf(httptest.NewRequest(method, target, nil))
		if _, page := d.mux.Handler(httptest.NewRequest(http.MethodGet, path, nil)); !strings.HasPrefix(page, "GET ") {
			t.Errorf("%s leads to %s, which is no page", pattern, path)
		}
	}
}

// TestAllow_NamesEveryMethodThatIsTaken tries the methods that an answer of 405 names.
func TestAllow_NamesEveryMethodThatIsTaken(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	targets := map[string]bool{"/login": true, "/logout": true, "/static/console.css": true}
	for pattern := range d.routes {
		_, target := addressOf(pattern)
		targets[target] = true
	}
	for _, target := range slices.Sorted(maps.Keys(targets)) {
		allow := d.ask(httptest.NewRequest(http.MethodOptions, target, nil), "admin").Header().Get("Allow")
		for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodDelete, http.MethodPatch} {
			takes := d.ask(httptest.NewRequest(method, target, nil), "admin").Code != http.StatusMethodNotAllowed
			if named := slices.Contains(strings.Split(allow, ", "), method); named != takes {
				t.Errorf("%s takes %s: %t, Allow is %q", target, method, takes, allow)
			}
		}
	}
}
