package api

import (
	"errors"
	"fmt"
	"strings"
	"unicode"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/internal/address"
	"github.com/mailstream/mailstream/services/internal/platform/httpserver"
	"github.com/mailstream/mailstream/services/suppression/internal/list"
	"github.com/mailstream/mailstream/services/suppression/internal/store"
)

const (
	// addressesMax bounds one check; a sender of millions asks in parallel.
	addressesMax = 10_000

	// checkBytesMax is addressesMax of the longest addresses there are, escaped
	// where they need it, and the rest of the request.
	checkBytesMax = 8 << 20

	// writeBytesMax is one address, one note and a few words.
	writeBytesMax = 16 << 10

	// noteBytesMax keeps a record with many entries below Kafka's limit.
	noteBytesMax = 1000

	// nameBytesMax bounds a stream or list in a request, the same as in a scope.
	nameBytesMax = 254

	// tokenBytesMax bounds min_token: 64 positions of 31 bytes at most.
	tokenBytesMax = 2048
)

// target is the mail a request is about.
type target struct {
	Scope  httpserver.Given `json:"scope"`
	Stream httpserver.Given `json:"stream"`
	List   httpserver.Given `json:"list"`
}

// errTarget says that more than one of three was given.
var errTarget = errors.New("give one of scope, stream and list")

// errControl says that a name is not one of a stream or a list.
var errControl = errors.New("scope, stream and list have no control characters")

// scope returns the scope that t names; named is false when it names none.
func (t target) scope() (scope string, named bool, err error) {
	count := 0
	for _, s := range []httpserver.Given{t.Scope, t.Stream, t.List} {
		if s != "" {
			count++
		}
	}
	switch {
	case count == 0:
		return "", false, nil
	case count > 1:
		return "", false, errTarget
	case t.Stream != "":
		scope = list.StreamScope(string(t.Stream))
	case t.List != "":
		scope = list.ListScope(string(t.List))
	default:
		scope = string(t.Scope)
	}
	if !readable(scope, false) {
		return "", true, errControl
	}
	return scope, true, list.ValidateScope(scope)
}

// person is whom an address is about. A mailbox with two domains had a hash for
// each of them once, and what was written then is under the former one.
type person struct {
	asked     string // as the caller wrote it
	canonical string
	key       store.Key
	former    store.Key
	hasFormer bool
	many      bool // a pattern: it stands for many addresses
}

// subjectOf reads an address as written, or what stands for many: *@example.com,
// *@*.example.com, mailbox_provider:google.
func (a *API) subjectOf(text string) (p person, err error) {
	name, provider := strings.CutPrefix(text, schemas.MailboxProviderPrefix)
	switch {
	case provider && !a.opt.KnownMailboxProvider(name):
		return p, fmt.Errorf("not a mailbox provider of the table of domains: %q would match no address; use one such as google", clip(name))
	case provider:
		p.canonical = text
	case address.IsPattern(text):
		if p.canonical, err = address.Pattern(text); err != nil {
			return p, err
		}
	default:
		return a.personOf(text)
	}
	p.asked, p.many = text, true
	p.key = a.opt.Key(p.canonical)
	return p, nil
}

// personOf reads an address as written.
func (a *API) personOf(text string) (p person, err error) {
	p.asked = text
	if p.canonical, err = address.One(text); err != nil {
		return p, err
	}
	p.key = a.opt.Key(p.canonical)
	if a.opt.FormerKey != nil {
		p.former, p.hasFormer = a.opt.FormerKey(p.canonical)
	}
	return p, nil
}

// statesOf returns all that is known of each of people, in their order; the state of one
// that is unknown has no hash.
func statesOf(r Reader, people []person) ([]schemas.Suppression, error) {
	keys := make([]store.Key, 0, len(people))
	for i := range people {
		keys = append(keys, people[i].key)
	}
	for i := range people {
		if people[i].hasFormer {
			keys = append(keys, people[i].former)
		}
	}
	found, err := r.GetAll(keys)
	if err != nil {
		return nil, err
	}
	states, formers := found[:len(people)], found[len(people):]
	for i := range people {
		if !people[i].hasFormer {
			continue
		}
		former := formers[0]
		formers = formers[1:]
		if former.Hash == "" {
			continue
		}
		former.Hash = people[i].key.String()
		if states[i].Hash == "" {
			states[i] = former
			continue
		}
		states[i] = list.Merge(states[i], former)
	}
	return states, nil
}

// readable says whether text is what a person may have written in one line, or
// in several.
func readable(text string, lines bool) bool {
	return !strings.ContainsFunc(text, func(r rune) bool {
		return unicode.IsControl(r) && !(lines && (r == '\n' || r == '\r' || r == '\t'))
	})
}
