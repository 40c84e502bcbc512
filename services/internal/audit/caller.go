package audit

import (
	"cmp"
	"context"
	"net/http"
	"net/url"
	"slices"
)

// The headers by which a caller of an API says for which person it asks, as the console
// does: the token says who calls, and these who wanted it. The name is URL-encoded.
const (
	HeaderBy   = "Mailstream-By"
	HeaderRole = "Mailstream-Role"
)

// roles are those that a caller may name; see auth.Role of the console.
func roles() []string { return []string{"viewer", "support", "operator", "admin", RoleCommand} }

// SayFor has a request say for whom it is made.
func SayFor(r *http.Request, name, role string) {
	r.Header.Set(HeaderBy, url.QueryEscape(name))
	r.Header.Set(HeaderRole, role)
}

// By returns who wants the request, with by of its body where no header says it; the
// token that let the caller in is trusted to say the truth.
func By(r *http.Request, by string) Entry {
	name, err := url.QueryUnescape(r.Header.Get(HeaderBy))
	if err != nil {
		name = ""
	}
	e := Entry{By: cmp.Or(name, by, RoleAPI), Role: RoleAPI}
	if role := r.Header.Get(HeaderRole); slices.Contains(roles(), role) {
		e.Role = role
	}
	return e
}

// Named says whether a request is made for a person. A sender and a replica name none.
func Named(r *http.Request) bool { return r.Header.Get(HeaderBy) != "" }

// Noter keeps an entry for good before it returns: *Trail.
type Noter interface {
	Note(ctx context.Context, e Entry) error
}
