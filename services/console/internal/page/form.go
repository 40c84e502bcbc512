package page

import (
	"errors"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/mailstream/mailstream/services/console/internal/auth"
	"github.com/mailstream/mailstream/services/console/internal/peer"
)

// typedBytesMax bounds what is filled in again: a person who pastes a book has it elsewhere.
const typedBytesMax = 1 << 20

// refused is a form that was not taken: why, and what was typed, for the same form again.
// It is only what this request has brought, and passwords are never in it.
type refused struct {
	fault
	path   string // of the route
	typed  url.Values
	TooBig bool // what was typed is not filled in
	File   bool // a file was chosen, which a browser does not keep
	placed bool // the form is on the page
	marked bool // so is its field that is wrong
}

// refusal has what v sent to a form.
func (v *visit) refusal(f fault) *refused {
	sent := v.PostForm
	if v.Method != http.MethodPost {
		sent = v.URL.Query()
	}
	_, path, _ := strings.Cut(v.Pattern, " ")
	r := &refused{fault: f, path: path, typed: url.Values{}, File: v.MultipartForm != nil && len(v.MultipartForm.File) > 0}
	size := 0
	for name := range sent {
		text := strings.ToValidUTF8(sent.Get(name), "\uFFFD")
		size += len(text)
		r.typed.Set(name, text)
	}
	if r.TooBig = size > typedBytesMax; r.TooBig {
		for name, texts := range r.typed {
			if len(texts[0]) > textBytesMax { // what says which form it is is short
				r.typed.Del(name)
			}
		}
	}
	return r
}

// refuse answers a form that was not taken with the page that it is on, filled in again, and
// with the status of the error. Where that page is not to be had, or has no such form any
// more, it is the page of the error with what was typed.
func (s *Site) refuse(w http.ResponseWriter, v *visit, to route, err error) {
	f := s.meaning(err)
	if f.Field == "" {
		f.Field = fieldNamed(err, to.takes)
	}
	if !v.read || to.again == nil || wantsJSON(v.Request) {
		s.fail(w, v.Request, f)
		return
	}
	r := v.refusal(f)
	if shown, err := to.again(v); err == nil {
		page := s.frameOf(v, shown)
		page.Refused = r
		text, ok := s.fill(shown.name, page)
		if ok && r.placed && r.Field != "" && !r.marked { // what a program sends may have no field there
			r.Field, r.placed = "", false
			text, ok = s.fill(shown.name, page)
		}
		if ok && (r.placed || len(to.takes) == 0) {
			w.Header().Add("Vary", "Accept")
			sendPage(w, f.Status, text)
			return
		}
	}
	f.Typed = typedOf(r.typed)
	s.fail(w, v.Request, f)
}

// formState is what a form of a page has in it: what was typed where it was refused, else
// nothing.
type formState struct{ of *refused }

// Form is the form of a route. Several of one route on a page differ by pairs of a
// hidden field and its value.
func (f frame) Form(path string, hidden ...string) formState {
	r := f.Refused
	if r == nil || r.placed || r.path != path {
		return formState{}
	}
	for i := 0; i+1 < len(hidden); i += 2 {
		if r.typed.Get(hidden[i]) != hidden[i+1] {
			return formState{}
		}
	}
	r.placed = true
	return formState{r}
}

// Refused says whether this is the form that was not taken.
func (f formState) Refused() bool { return f.of != nil }

// Value is what was typed in a field, "" in a form that is new.
func (f formState) Value(name string) string {
	if f.of == nil {
		return ""
	}
	return f.of.typed.Get(name)
}

// Chosen says whether a value is that of a field with few: what was chosen, or what is usual
// in a form that is new.
func (f formState) Chosen(name, value string, usual bool) bool {
	if f.of == nil {
		return usual
	}
	return f.of.typed.Get(name) == value
}

// At is name where the field of that name is wrong, else "".
func (f formState) At(name string) string {
	if f.of == nil || f.of.Field != name {
		return ""
	}
	f.of.marked = true
	return name
}

// Why is what is wrong with a field, nil where nothing is.
func (f formState) Why(name string) *refused {
	if f.At(name) == "" {
		return nil
	}
	return f.of
}

// typedField is what was typed in a field, under the name that people know.
type typedField struct{ Name, Text string }

// typedOf is what people wrote in their own words: what they chose is soon chosen again.
func typedOf(sent url.Values) (list []typedField) {
	for _, f := range []typedField{{"q", "Search"}, {"address", "Address"}, {"note", "Note"}, {"comment", "Why"}, {"scope", "Only for"}, {"expires", "Until"}} {
		if text := sent.Get(f.Name); text != "" {
			list = append(list, typedField{f.Text, text})
		}
	}
	return list
}

// namedForm is how the services begin what they say of a field: expires is not…, comment: is
// missing, field "expires" is not…
var namedForm = regexp.MustCompile(`^(?:field "([a-z_]+)"|([a-z_]+)(?::| (?:is|has|must|name|"))) ?`)

// fieldNamed is the field of a form that a service names in a refusal, "" for none.
func fieldNamed(err error, takes []string) string {
	said, ok := errors.AsType[*peer.Refused](err)
	if !ok {
		return ""
	}
	name := ""
	if found := namedForm.FindStringSubmatch(said.Detail); found != nil {
		name = found[1] + found[2]
	}
	switch {
	case said.Title == "consent_required":
		name = "consent"
	case name == "until": // of a silence
		name = "for"
	}
	if !slices.Contains(takes, name) {
		return ""
	}
	return name
}

// unsent is what somebody typed whose session is over: the form was not looked at, and its
// text is not lost. It is text of a form alone, and little of it.
func unsent(w http.ResponseWriter, r *http.Request, to route, err error) []typedField {
	over := errors.Is(err, auth.ErrExpired) || errors.Is(err, auth.ErrNotSignedIn)
	if !over || r.Method != http.MethodPost || len(to.takes) == 0 || r.URL.RawQuery != "" || wantsJSON(r) {
		return nil
	}
	r.Body = http.MaxBytesReader(w, r.Body, formBytesMax)
	v := &visit{Request: r}
	if r.ParseForm() != nil || v.check(to.takes) != nil {
		return nil
	}
	return typedOf(r.PostForm)
}
