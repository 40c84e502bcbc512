package page

import (
	"errors"
	"net/http"
	"net/url"
	"strings"

	"github.com/mailstream/mailstream/services/console/internal/auth"
	"github.com/mailstream/mailstream/services/internal/platform/telemetry"
)

// loginView is the form of names and passwords.
type loginView struct {
	Next      string
	Passwords bool
	OIDC      bool
	Proxy     bool   // people come through one that has signed them in
	Open      bool   // nobody has to
	Name      string // that was typed; a password is never filled in
	Wrong     string
	Over      bool // there was a session
}

func (s *Site) loginView(r *http.Request) loginView {
	return loginView{Next: local(r.FormValue("next")), Passwords: s.Gate.HasPasswords(), OIDC: s.Gate.HasOIDC(), Proxy: len(s.Gate.Proxies()) > 0, Open: s.Gate.Open()}
}

// local keeps a form from leading elsewhere.
func local(next string) string {
	u, err := url.Parse(next)
	if err != nil || u.IsAbs() || u.Host != "" || !strings.HasPrefix(next, "/") || strings.HasPrefix(next, "//") || strings.ContainsAny(next, "\\\r\n\t") {
		return "/"
	}
	return next
}

func (s *Site) loginForm(w http.ResponseWriter, r *http.Request) {
	shown := s.loginView(r)
	shown.Over = s.Gate.Over(r)
	s.render(w, http.StatusOK, "login", frame{Title: "Sign in", Data: shown})
}

// formBytesMax bounds a form of who is not signed in: a name, a password and an address, or a
// text that was typed before the session was over.
const formBytesMax = 64 << 10

func (s *Site) login(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, formBytesMax)
	if err := r.ParseForm(); err != nil {
		s.fail(w, r, badInput("The form is not complete, or larger than a name and a password.", "Sign in again."))
		return
	}
	if err := (&visit{Request: r}).check([]string{"name", "password", "next"}); err != nil {
		s.fail(w, r, err)
		return
	}
	user, err := s.Gate.Password(r, r.PostForm.Get("name"), r.PostForm.Get("password"))
	if err != nil {
		shown, status := s.loginView(r), http.StatusUnauthorized
		shown.Name = r.PostForm.Get("name")
		shown.Wrong = "Name and password do not belong together."
		if errors.Is(err, auth.ErrTooOften) {
			status, shown.Wrong = http.StatusTooManyRequests, "Too many wrong passwords. Wait five minutes."
		}
		s.Log.Warn("sign-in was refused", telemetry.Err(err))
		s.render(w, status, "login", frame{Title: "Sign in", Data: shown})
		return
	}
	s.signIn(w, r, user, local(r.PostForm.Get("next")))
}

func (s *Site) signIn(w http.ResponseWriter, r *http.Request, user auth.User, next string) {
	if err := s.Gate.SignIn(w, user); err != nil {
		s.fail(w, r, err)
		return
	}
	http.Redirect(w, r, next, http.StatusSeeOther)
}

func (s *Site) logout(w http.ResponseWriter, r *http.Request) {
	s.Gate.SignOut(w)
	http.Redirect(w, r, "/login", http.StatusSeeOther)
}

func (s *Site) loginOIDC(w http.ResponseWriter, r *http.Request) {
	if !s.Gate.HasOIDC() {
		s.fail(w, r, notFound("Nobody signs in this way here."))
		return
	}
	to, err := s.Gate.BeginOIDC(w, r, local(r.FormValue("next")))
	if err != nil {
		s.Log.Warn("sign-in did not begin", telemetry.Err(err))
		s.fail(w, r, providerAway())
		return
	}
	http.Redirect(w, r, to, http.StatusSeeOther)
}

func providerAway() fault {
	return fault{Status: http.StatusServiceUnavailable, Title: "The provider of sign-ins is away", Detail: "It does not answer, so you are not signed in.", Next: "Sign in again in a minute.", SignIn: true}
}

func (s *Site) loginOIDCEnd(w http.ResponseWriter, r *http.Request) {
	if !s.Gate.HasOIDC() {
		s.fail(w, r, notFound("Nobody signs in this way here."))
		return
	}
	user, next, err := s.Gate.EndOIDC(w, r)
	if err != nil {
		s.Log.Warn("sign-in was refused", telemetry.Err(err))
		if errors.Is(err, auth.ErrProvider) {
			s.fail(w, r, providerAway())
			return
		}
		s.fail(w, r, fault{Status: http.StatusForbidden, Title: "You are not signed in", Detail: "The provider's answer does not belong to a sign-in of this browser, or no group of yours has a role.", Next: "Sign in again, or ask an admin of the console for a role."})
		return
	}
	s.signIn(w, r, user, local(next))
}
