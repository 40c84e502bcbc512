package page

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strings"

	"github.com/mailstream/mailstream/services/console/internal/auth"
	"github.com/mailstream/mailstream/services/console/internal/peer"
	"github.com/mailstream/mailstream/services/internal/platform/telemetry"
)

// fault is an error that is a page of its own: what is wrong and what to do now.
type fault struct {
	Status        int
	Title, Detail string
	Next          string
	SignIn        bool         // whoever asks may sign in
	Back          string       // where to go on after signing in, "" for the overview
	Field         string       // of a form, that is wrong; "" where none alone is
	Typed         []typedField // in a form that is not on the page
}

func (f fault) Error() string { return f.Title }

// of says which field of a form is wrong.
func (f fault) of(field string) fault {
	f.Field = field
	return f
}

func notFound(detail string) fault {
	return fault{Status: http.StatusNotFound, Title: "Not found", Detail: detail, Next: "Check the address, or start from the overview."}
}

func badInput(detail, next string) fault {
	return fault{Status: http.StatusBadRequest, Title: "This cannot be done as it was asked", Detail: detail, Next: next}
}

// fail shows an error as a page, or as RFC 9457 to a program.
func (s *Site) fail(w http.ResponseWriter, r *http.Request, err error) {
	f := s.meaning(err)
	if wantsJSON(r) {
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(f.Status)
		problem := map[string]any{"type": "about:blank", "title": f.Title, "status": f.Status, "detail": f.Detail + " " + f.Next}
		if f.Field != "" {
			problem["field"] = f.Field
		}
		_ = json.NewEncoder(w).Encode(problem) // the client may have gone
		return
	}
	user := s.userOf(r)
	s.render(w, f.Status, "error", frame{Title: f.Title, Path: "", User: user, SignOut: user.Browser, Data: f})
}

// meaning is an error as a page says it.
func (s *Site) meaning(err error) fault {
	if f, ok := errors.AsType[fault](err); ok {
		return f
	}
	return s.faultOf(err)
}

// faultOf says what an error of a change means to the person who asked for it.
func (s *Site) faultOf(err error) fault {
	if refused, ok := errors.AsType[*peer.Refused](err); ok {
		return refusal(refused)
	}
	if errors.Is(err, peer.ErrLong) {
		return fault{Status: http.StatusUnprocessableEntity, Title: "This is too much for a page", Detail: "The answer is longer than the console holds.", Next: "The commands have no such limit: mailstream suppressions export > list.csv."}
	}
	s.Log.Warn("request was not answered", telemetry.Err(err))
	if errors.Is(err, peer.ErrUnsure) {
		return fault{Status: http.StatusServiceUnavailable, Title: "No answer came", Detail: "The change was sent to the service that makes it, and no answer that says so came back: it may have been made or not.", Next: "Look at the page whether it was, then try again."}
	}
	if errors.Is(err, peer.ErrAway) {
		return fault{Status: http.StatusServiceUnavailable, Title: "A service is away", Detail: "The service that would do it does not answer, so nothing was changed.", Next: "Try again in a minute. `mailstream healthcheck` says how it is."}
	}
	return fault{Status: http.StatusServiceUnavailable, Title: "This cannot be answered now", Detail: "A part that is needed does not answer.", Next: "Try again in a minute; the log of the console says what is missing."}
}

// refusal says what a service that refuses means: what was asked is wrong, or the console is
// not let in there, or what is there is no such service.
func refusal(r *peer.Refused) fault {
	says := r.Says()
	if r.Title == "bad request" && r.Detail != "" { // the status says so
		says = r.Detail
	}
	f := fault{Status: http.StatusBadGateway, Title: "The service refused it", Detail: "The service says: " + strings.TrimSuffix(says, ".") + "."}
	switch {
	case r.Status == http.StatusUnauthorized, r.Status == http.StatusForbidden:
		f.Next = "The console is not let in there: compare the token of the service in the section console with that of the service. Nothing was changed."
	case r.Status >= 400 && r.Status <= 499:
		f.Status, f.Next = r.Status, "Correct it and try again; nothing was changed."
	default:
		f.Next = "Try again in a minute; the log of the service says more. Nothing was changed."
	}
	return f
}

// turnAway sends people to the form and programs away; typed is what is not lost by it.
func (s *Site) turnAway(w http.ResponseWriter, r *http.Request, err error, typed []typedField) {
	switch {
	case errors.Is(err, auth.ErrHost):
		s.fail(w, r, fault{Status: http.StatusMisdirectedRequest, Title: "Not known by that name", Detail: "Without a login the console answers on this host only.", Next: "Open it at http://127.0.0.1 with its port, or configure console.auth."})
	case errors.Is(err, auth.ErrWrong):
		w.Header().Set("WWW-Authenticate", `Bearer realm="mailstream console"`)
		s.fail(w, r, fault{Status: http.StatusUnauthorized, Title: "Sign in first", Detail: "The token, or the name and password, that came along let nobody in.", Next: "Send a token of console.auth.tokens, or sign in; nothing was changed.", SignIn: true})
	case errors.Is(err, auth.ErrNoRole):
		s.fail(w, r, fault{Status: http.StatusForbidden, Title: "You have no role here", Detail: "The proxy in front of the console has signed you in, and none of your groups has a role.", Next: "Ask an admin of the console to give one of them a role in console.auth.proxy.roles; nothing was changed.", SignIn: s.Gate.HasPasswords() || s.Gate.HasOIDC()})
	case errors.Is(err, auth.ErrTooOften):
		w.Header().Set("Retry-After", "300")
		s.fail(w, r, fault{Status: http.StatusTooManyRequests, Title: "Too many wrong passwords", Detail: "From here, or for this name, there were too many of them.", Next: "Wait five minutes."})
	case !wantsJSON(r) && (r.Method == http.MethodGet || r.Method == http.MethodHead) && r.Header.Get("Authorization") == "":
		http.Redirect(w, r, "/login?next="+url.QueryEscape(r.URL.RequestURI()), http.StatusSeeOther)
	default:
		w.Header().Set("WWW-Authenticate", `Bearer realm="mailstream console"`)
		s.fail(w, r, fault{Status: http.StatusUnauthorized, Title: "Sign in first", Detail: "Nobody is signed in, or the session is over.", Next: "Sign in at /login, or send a bearer token; nothing was changed.", SignIn: true, Back: pathOf(r), Typed: typed})
	}
}
