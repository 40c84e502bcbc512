package auth

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mailstream/mailstream/services/console/internal/oidctest"
	"github.com/mailstream/mailstream/services/internal/platform/config"
)

// organisation is a provider of OpenID Connect and a console that signs people in there.
type organisation struct {
	*oidctest.Provider
	console *httptest.Server
	now     time.Time
}

func newOrganisation(t *testing.T) *organisation {
	t.Helper()
	o := &organisation{now: time.Now()}
	var gate *Gate
	mux := http.NewServeMux()
	mux.HandleFunc("/login/oidc", func(w http.ResponseWriter, r *http.Request) {
		to, err := gate.BeginOIDC(w, r, r.FormValue("next"))
		if err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		http.Redirect(w, r, to, http.StatusSeeOther)
	})
	mux.HandleFunc("/login/oidc/callback", func(w http.ResponseWriter, r *http.Request) {
		user, next, err := gate.EndOIDC(w, r)
		if err != nil {
			http.Error(w, err.Error(), http.StatusForbidden)
			return
		}
		w.Header().Set("Next", next)
		_ = json.NewEncoder(w).Encode(user) // the client may have gone
	})
	o.console = httptest.NewTLSServer(mux)
	t.Cleanup(o.console.Close)
	back := o.console.URL + "/login/oidc/callback"
	o.Provider = oidctest.Start(t, back)
	cfg := Default()
	cfg.OIDC = OIDC{Issuer: o.Issuer, ClientID: oidctest.ClientID, ClientSecret: config.Literal(oidctest.ClientSecret), RedirectURL: back, GroupsClaim: "groups",
		Roles: map[string]string{"mail-ops": "operator", "everybody": "viewer"}}
	var err error
	if gate, err = New(cfg, func() time.Time { return o.now }); err != nil {
		t.Fatal(err)
	}
	return o
}

// browser is one with cookies of its own.
func (o *organisation) browser(t *testing.T) *http.Client {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	c := o.console.Client()
	return &http.Client{Transport: c.Transport, Jar: jar}
}

// get opens a page and returns its status and text, following redirects.
func get(t *testing.T, c *http.Client, url string) (int, string) {
	t.Helper()
	resp, err := c.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(text)
}

func TestOIDC_SignsInWithTheRoleOfTheGroup(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name   string
		groups any
		status int
		says   string
	}{
		{"the highest of several", []string{"everybody", "mail-ops", "golf"}, 200, `"Role":"operator"`},
		{"one", []string{"everybody"}, 200, `"Role":"viewer"`},
		{"one that is no list", "mail-ops", 200, `"Role":"operator"`},
		{"none with a role", []string{"golf"}, 403, "no group of this person has a role"},
		{"none", nil, 403, "no group of this person has a role"},
		{"a number", 7, 403, "no group of this person has a role"},
	} {
		for _, inToken := range []bool{true, false} {
			t.Run(tc.name, func(t *testing.T) {
				t.Parallel()
				o := newOrganisation(t)
				o.Groups, o.InToken = tc.groups, inToken
				status, text := get(t, o.browser(t), o.console.URL+"/login/oidc")
				if status != tc.status || !strings.Contains(text, tc.says) || status == 200 && !strings.Contains(text, `"Name":"test-user2"`) {
					t.Errorf("in the token %t: %d %s", inToken, status, text)
				}
				if o.Asked.Get("code_challenge_method") != "S256" || len(o.Asked.Get("code_challenge")) != 43 || o.Asked.Get("response_type") != "code" || len(o.Asked.Get("nonce")) < 20 || len(o.Asked.Get("state")) < 20 {
					t.Errorf("the provider was asked with %v", o.Asked)
				}
			})
		}
	}
}

// TestOIDC_LeadsToThePageThatWasWanted signs in on the way to a page; an address that would
// make the cookie larger than browsers take is not kept.
func TestOIDC_LeadsToThePageThatWasWanted(t *testing.T) {
	t.Parallel()
	o := newOrganisation(t)
	o.Groups = []string{"mail-ops"}
	for next, want := range map[string]string{
		"": "", "/deliverability?by=domain&range=7d": "/deliverability?by=domain&range=7d",
		"/" + strings.Repeat("x", nextBytesMax-1): "/" + strings.Repeat("x", nextBytesMax-1), "/" + strings.Repeat("x", nextBytesMax): "",
	} {
		resp, err := o.browser(t).Get(o.console.URL + "/login/oidc?next=" + url.QueryEscape(next))
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close() // only the header is wanted
		if got := resp.Header.Get("Next"); resp.StatusCode != http.StatusOK || got != want {
			t.Errorf("%.60q (%d bytes): %d, leads to %.60q, want %.60q", next, len(next), resp.StatusCode, got, want)
		}
	}
}

// TestOIDC_AnswersOfAnotherSignInAreRefused has a code come to a browser that did not
// ask for it, come twice, with another state, and too late.
func TestOIDC_AnswersOfAnotherSignInAreRefused(t *testing.T) {
	t.Parallel()
	o := newOrganisation(t)
	o.Groups = []string{"mail-ops"}
	answer := func(c *http.Client) string {
		t.Helper()
		stopped := *c
		var at string
		stopped.CheckRedirect = func(r *http.Request, _ []*http.Request) error {
			if at = r.URL.String(); strings.HasPrefix(at, o.console.URL) {
				return http.ErrUseLastResponse
			}
			return nil
		}
		if status, text := get(t, &stopped, o.console.URL+"/login/oidc"); status != http.StatusFound {
			t.Fatalf("the provider answered %d %s", status, text)
		}
		return at
	}
	refused := func(what string, c *http.Client, at string) {
		t.Helper()
		if status, text := get(t, c, at); status != http.StatusForbidden {
			t.Errorf("%s is answered %d %s", what, status, text)
		}
	}
	victim, thief := o.browser(t), o.browser(t)
	at := answer(victim)
	refused("a stolen answer", thief, at)
	answer(thief)
	refused("a stolen answer in a sign-in of the thief", thief, at)
	refused("another state", victim, strings.Replace(at, "state=", "state=x", 1))

	mine := o.browser(t)
	at = answer(mine)
	if status, text := get(t, mine, at); status != http.StatusOK {
		t.Errorf("the answer is answered %d %s", status, text)
	}
	refused("the same answer twice", mine, at)

	o.Nonce = "of-another-sign-in"
	swapped := o.browser(t)
	refused("a token of another sign-in", swapped, answer(swapped))
	o.Nonce = ""
	late := o.browser(t)
	at = answer(late)
	o.now = o.now.Add(flowLife)
	refused("an answer that comes too late", late, at)
}

// TestOIDC_AnswersAboutAnotherPersonAreRefused has the provider say the groups of somebody
// else when it is asked, whether or not the token has some.
func TestOIDC_AnswersAboutAnotherPersonAreRefused(t *testing.T) {
	t.Parallel()
	for _, inToken := range []bool{true, false} {
		o := newOrganisation(t)
		o.Groups, o.InToken, o.Other = []string{"mail-ops"}, inToken, "somebody-else"
		if status, text := get(t, o.browser(t), o.console.URL+"/login/oidc"); status != http.StatusForbidden || !strings.Contains(text, "about another one") {
			t.Errorf("groups in the token %t: %d %s", inToken, status, text)
		}
	}
}

// TestOIDC_TellsAProviderThatIsAwayFromARefusal has each part of the provider not answer.
func TestOIDC_TellsAProviderThatIsAwayFromARefusal(t *testing.T) {
	t.Parallel()
	for path, want := range map[string]bool{"": false, "/.well-known/openid-configuration": true, "/oauth/token": true, "/userinfo": true} {
		o := newOrganisation(t)
		o.Groups, o.Away = nil, path
		_, text := get(t, o.browser(t), o.console.URL+"/login/oidc")
		if got := strings.Contains(text, ErrProvider.Error()); got != want {
			t.Errorf("%q does not answer: %s", path, text)
		}
	}
}

// slow is a provider that says nothing until its caller has had enough.
type slow struct{ calls atomic.Int64 }

func (s *slow) RoundTrip(r *http.Request) (*http.Response, error) {
	s.calls.Add(1)
	<-r.Context().Done()
	return nil, r.Context().Err()
}

// TestOIDC_WaitsOnceForAProviderThatIsSilent has many sign in at once at one that says nothing.
func TestOIDC_WaitsOnceForAProviderThatIsSilent(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		cfg := Default()
		cfg.OIDC.Issuer = "https://login.example"
		g, err := New(cfg, time.Now)
		if err != nil {
			t.Fatal(err)
		}
		silent := &slow{}
		g.provider.transport = silent
		began := time.Now()
		var all sync.WaitGroup
		for range 20 {
			all.Go(func() {
				if _, err := g.BeginOIDC(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/login/oidc", nil), "/"); !errors.Is(err, ErrProvider) {
					t.Errorf("error %v", err)
				}
			})
		}
		all.Wait()
		if took := time.Since(began); took > oidcTimeout || silent.calls.Load() != 1 {
			t.Errorf("it took %s, and the provider was asked %d times", took, silent.calls.Load())
		}
	})
}
