// Package provider says what the code of one email provider has to do: turn the
// bytes of one request into items, each an event draft or a bad item with its
// bytes and the reason. A provider package sits below this one, is listed in
// registry, and is proven by providertest.Run.
//
// A provider package knows the provider's words and shapes. It does not read
// the request, check who sent it, hash addresses, classify failures, make event
// ids or publish: that is the same for all and happens elsewhere.
package provider

import (
	"net/http"
	"time"

	"github.com/mailstream/mailstream/services/internal/jsontext"
)

// Provider turns the requests of one email provider into items. It is safe for
// concurrent use and keeps no state between requests.
type Provider interface {
	// Name is the provider's name in the configuration and in events.
	Name() string
	// Answers is which HTTP status this provider understands as what.
	Answers() Answers
	// Decode appends every item of req to out: as many as the request has, bad
	// ones included. An error says that the request as a whole is not of the
	// provider's form; nothing of out counts then. It is a *jsontext.SyntaxError,
	// a *jsontext.LimitError or a *FormError, and holds nothing of the body.
	Decode(req *Request, out *Batch) error
}

// Request is one authenticated request.
type Request struct {
	Header http.Header
	// Query is the URL's query as it was sent, without the parameter that proves
	// who sent it.
	Query string
	// Body is whole and decompressed. It is read-only from here on, so items may
	// share its memory.
	Body   []byte
	Limits jsontext.Limits
	// Item says that Body is made of the bytes of one item, by Reopen.
	Item bool
}

// Answers are the HTTP statuses that make a provider do what it should. No fault
// of ours or of a passing kind may get a status that the provider takes as final.
type Answers struct {
	OK              int // events are stored: the provider must not resend them
	Unauthenticated int // wrong or missing credentials
	Malformed       int // not a request of this provider
	TooLarge        int // beyond a limit
	Slow            int // the body did not arrive in time
	Unavailable     int // a transient fault: the provider should resend
	// ChallengeFirst says that the provider gives a password only when a 401 asks for it,
	// so that this is the answer to a request with none.
	ChallengeFirst bool
	// ResponseTimeout is how long the provider waits for an answer; 0 where it waits for
	// 10 s and more, or this is not documented. It resends a request that was not
	// answered in time.
	ResponseTimeout time.Duration
}

// Retried returns the answers for a provider that repeats everything but a 200,
// as most do.
func Retried() Answers {
	return Answers{
		OK:              http.StatusOK,
		Unauthenticated: http.StatusUnauthorized,
		Malformed:       http.StatusBadRequest,
		TooLarge:        http.StatusRequestEntityTooLarge,
		Slow:            http.StatusRequestTimeout,
		Unavailable:     http.StatusServiceUnavailable,
	}
}

// Refused returns the answers for a provider that drops events at most refusals:
// one status, at which it repeats, for everything but done.
func Refused(status int) Answers {
	return Answers{
		OK:              http.StatusOK,
		Unauthenticated: status,
		Malformed:       status,
		TooLarge:        status,
		Slow:            status,
		Unavailable:     status,
	}
}

// FormError says that a request is well-formed but of no form the provider
// sends. What is a constant phrase.
type FormError struct {
	What   string
	Offset int // where the unexpected value starts, bytes
}

// Error returns the phrase.
func (e *FormError) Error() string { return e.What }
