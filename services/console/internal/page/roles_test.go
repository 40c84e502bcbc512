package page

import (
	"io"
	"maps"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/mailstream/mailstream/services/console/internal/auth"
	"github.com/mailstream/mailstream/services/console/internal/oidctest"
	"github.com/mailstream/mailstream/services/internal/platform/config"
)

// TestRoutes_NeedTheRoleOfWhatTheyDo names the role of each page and form again: rates are
// for viewers, people for support, changes for operators, files and what cannot be undone
// for admins.
func TestRoutes_NeedTheRoleOfWhatTheyDo(t *testing.T) {
	t.Parallel()
	want := map[auth.Role][]string{
		auth.Viewer:   {"GET /{$}", "GET /sources/{name}", "GET /deliverability", "GET /incidents", "GET /incidents/{id}", "GET /suppressions", "GET /dead-letters", "GET /rules"},
		auth.Support:  {"GET /search", "POST /search", "GET /people/{hash}", "GET /messages/{source}/{id}", "POST /suppressions/check"},
		auth.Operator: {"POST /suppressions/add", "POST /suppressions/lift", "POST /incidents/{id}/ack", "POST /incidents/{id}/notes", "POST /incidents/{id}/silence", "POST /silences/{id}/end", "POST /rules/backtest", "POST /dead-letters/redrive", "POST /dead-letters/operations/{id}/stop"},
		auth.Admin:    {"GET /suppressions/export", "POST /suppressions/import", "POST /dead-letters/discard", "GET /audit"},
	}
	routes := newDesk(t).routes
	for role, patterns := range want {
		for _, pattern := range patterns {
			if r, ok := routes[pattern]; !ok || r.needs != role {
				t.Errorf("%s needs %s, want %s", pattern, r.needs, role)
			}
			delete(routes, pattern)
		}
	}
	if len(routes) > 0 {
		t.Errorf("nobody has said which role %v need", slices.Sorted(maps.Keys(routes)))
	}
	if roleWhole != auth.Operator {
		t.Errorf("whole addresses are for %s, want operator", roleWhole)
	}
}

// hashOfHorse is that of "correct horse battery", of the lowest cost that is taken.
const hashOfHorse = "$2b$10$rizgzLFhTB5CuAu2xyGPcutb1c/TtJSOPUntS7s14wMFozuoY8z9m"

// TestLogin_LeadsNowhereElse signs in with addresses of other sites to go on to.
func TestLogin_LeadsNowhereElse(t *testing.T) {
	t.Parallel()
	d := newDeskWith(t, func(c *auth.Config) {
		c.Users = config.Literal("ana:viewer:" + hashOfHorse)
		c.OIDC = auth.OIDC{Issuer: "http://127.0.0.1:1", ClientID: "console", ClientSecret: config.Literal("secret"), RedirectURL: "https://console.example/login/oidc/callback", GroupsClaim: "groups", Roles: map[string]string{"ops": "viewer"}}
	})
	for next, want := range map[string]string{
		"": "/", "/incidents?range=7d": "/incidents?range=7d", "/people/" + strings.Repeat("a1", 16): "/people/" + strings.Repeat("a1", 16),
		"https://evil.example/": "/", "//evil.example": "/", "///evil.example": "/", `/\evil.example`: "/", `\\evil.example`: "/", "/\t/evil.example": "/", "/\n/evil.example": "/",
		"evil.example": "/", "javascript:alert(1)": "/", "http:evil.example": "/", "/%zz": "/", " //evil.example": "/", "?next=//evil.example": "/",
	} {
		w := d.ask(form("/login", "name", "ana", "password", "correct horse battery", "next", next), "")
		if to := w.Header().Get("Location"); w.Code != http.StatusSeeOther || to != want {
			t.Errorf("%q leads to %q with %d, want %q", next, to, w.Code, want)
		}
		if c := w.Result().Cookies(); len(c) != 1 || !strings.HasPrefix(c[0].Name, "__Host-") {
			t.Errorf("%q: cookies %v", next, c)
		}
		w = d.ask(httptest.NewRequest(http.MethodGet, "/login?"+url.Values{"next": {next}}.Encode(), nil), "")
		if want == "/" && strings.Contains(w.Body.String(), "evil") {
			t.Errorf("the form keeps %q", next)
		}
		if link := `href="/login/oidc?next=` + url.QueryEscape(want) + `"`; !strings.Contains(strings.ToUpper(w.Body.String()), strings.ToUpper(link)) { // %2f or %2F
			t.Errorf("%q: the way to the provider is not %s", next, link)
		}
	}
	if w := d.ask(form("/login", "name", "ana", "password", "wrong", "next", "//evil.example"), ""); w.Code != http.StatusUnauthorized || strings.Contains(w.Body.String(), "evil") || len(w.Result().Cookies()) > 0 {
		t.Errorf("a wrong password is answered %d %s", w.Code, w.Body)
	}
}

// consoleAtProvider is the address of a console whose people sign in at a provider that does
// not answer at the path away, "" for all. Each get is of a browser of its own, in which
// somebody of a group signs in; the caller closes the body.
func consoleAtProvider(t *testing.T, away string) (base string, get func(path string) *http.Response) {
	t.Helper()
	console := httptest.NewUnstartedServer(nil)
	base = "https://" + console.Listener.Addr().String()
	back := base + "/login/oidc/callback"
	provider := oidctest.Start(t, back)
	provider.Groups, provider.Away = []string{"ops"}, away
	console.Config.Handler = newDeskWith(t, func(c *auth.Config) {
		c.OIDC = auth.OIDC{Issuer: provider.Issuer, ClientID: oidctest.ClientID, ClientSecret: config.Literal(oidctest.ClientSecret), RedirectURL: back, GroupsClaim: "groups", Roles: map[string]string{"ops": "viewer"}}
	}).handler
	console.StartTLS()
	t.Cleanup(console.Close)
	return base, func(path string) *http.Response {
		t.Helper()
		jar, err := cookiejar.New(nil)
		if err != nil {
			t.Fatal(err)
		}
		browser := http.Client{Transport: console.Client().Transport, Jar: jar}
		resp, err := browser.Get(base + path)
		if err != nil {
			t.Fatal(err)
		}
		return resp
	}
}

// TestLogin_ByOpenIDConnectLeadsWhereItWasWanted signs in at a provider on the way to a page,
// and to addresses of other sites.
func TestLogin_ByOpenIDConnectLeadsWhereItWasWanted(t *testing.T) {
	t.Parallel()
	base, get := consoleAtProvider(t, "")
	for next, want := range map[string]string{"": "/", "/incidents?range=7d": "/incidents?range=7d", "https://evil.example/": "/", "//evil.example": "/"} {
		resp := get("/login/oidc?" + url.Values{"next": {next}}.Encode())
		_ = resp.Body.Close() // only where it is from is wanted
		if at := resp.Request.URL.String(); resp.StatusCode != http.StatusOK || at != base+want {
			t.Errorf("%q leads to %s with %d, want %s", next, at, resp.StatusCode, base+want)
		}
	}
}

// TestLogin_SaysWhyAProxyOrProviderLetsNobodyIn has a proxy name a person without a role, and
// a provider that does not answer at either end of a sign-in.
func TestLogin_SaysWhyAProxyOrProviderLetsNobodyIn(t *testing.T) {
	t.Parallel()
	for _, another := range []bool{false, true} {
		d := newDeskWith(t, func(c *auth.Config) {
			c.Proxy.Networks, c.Proxy.Roles = []string{"192.0.2.0/24"}, map[string]string{"ops": "viewer"} // httptest is there
			if another {
				c.OIDC = auth.OIDC{Issuer: "http://127.0.0.1:1", ClientID: "console", RedirectURL: "https://console.example/login/oidc/callback"}
			}
		})
		r := httptest.NewRequest(http.MethodGet, "/rules", nil)
		r.Header.Set("X-Forwarded-User", "pat")
		r.Header.Set("X-Forwarded-Groups", "sales")
		w := d.ask(r, "")
		if text := w.Body.String(); w.Code != http.StatusForbidden || !strings.Contains(text, "none of your groups has a role") || strings.Contains(text, `href="/login"`) != another {
			t.Errorf("another way in %t: %d %s", another, w.Code, text)
		}
		if !another {
			continue
		}
		w = d.ask(httptest.NewRequest(http.MethodGet, "/login/oidc", nil), "")
		if w.Code != http.StatusServiceUnavailable || !strings.Contains(w.Body.String(), "The provider of sign-ins is away") {
			t.Errorf("a sign-in begins with %d %s", w.Code, w.Body)
		}
	}
}

// TestLogin_AtAProviderThatGoesAwayIsNoRefusal has the provider go away between the password
// and the answer to the console.
func TestLogin_AtAProviderThatGoesAwayIsNoRefusal(t *testing.T) {
	t.Parallel()
	_, get := consoleAtProvider(t, "/oauth/token")
	resp := get("/login/oidc")
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode != http.StatusServiceUnavailable || !strings.Contains(string(text), "The provider of sign-ins is away") || !strings.Contains(string(text), `href="/login"`) {
		t.Errorf("%d %s", resp.StatusCode, text)
	}
}

// TestLogin_SaysWhoMaySignInWhere reads the page to sign in of each kind of console, and that
// its foot speaks of no times, as it has none.
func TestLogin_SaysWhoMaySignInWhere(t *testing.T) {
	t.Parallel()
	says := []string{"Nobody has to sign in here", "at the proxy in front", "No way to sign in is configured for people", `name="password"`, "Sign in with your organisation"}
	for want, change := range map[string]func(*auth.Config){
		says[0]: func(c *auth.Config) { c.Tokens = nil },
		says[1]: func(c *auth.Config) { c.Tokens, c.Proxy.Networks = nil, []string{"10.0.0.0/8"} },
		says[2]: func(*auth.Config) {},
		says[3]: func(c *auth.Config) {
			c.Users = config.Literal("ana:viewer:$2y$10$abcdefghijklmnopqrstuuW1nTgXbLZ0pDqC7W2l4m3T9Yk6Y5b7S")
		},
		says[4]: func(c *auth.Config) { c.OIDC = auth.OIDC{Issuer: "http://127.0.0.1:1", ClientID: "console"} },
	} {
		r := httptest.NewRequest(http.MethodGet, "http://127.0.0.1/login", nil)
		text := newDeskWith(t, change).ask(r, "").Body.String()
		for _, one := range says {
			if strings.Contains(text, one) != (one == want) {
				t.Errorf("%q is said where %q should be: %s", one, want, text[strings.Index(text, "<main"):])
			}
		}
		if strings.Contains(text, "Times are in") {
			t.Error("it speaks of times")
		}
	}
}
