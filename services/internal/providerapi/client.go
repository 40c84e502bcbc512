package providerapi

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/mailstream/mailstream/services/internal/platform/lifecycle"
)

const (
	// requestTimeout bounds one try.
	requestTimeout = 60 * time.Second
	// triesMax bounds the tries of one page, with a wait that doubles from retryMin:
	// about four minutes.
	triesMax = 8
	retryMin = 2 * time.Second
	// retryMax bounds what a Retry-After may ask for; SparkPost asks for 30 s.
	retryMax = 2 * time.Minute
	// answerBytesMax bounds an answer. Postmark and Mandrill send a whole list at once:
	// 200 bytes an entry.
	answerBytesMax = 256 << 20
	// faultBytesMax bounds what is read of a fault.
	faultBytesMax = 4 << 10
	// pagesMax bounds the pages of one list, so that a provider that repeats a page for
	// ever is noticed: ten million entries at 100 a page.
	pagesMax = 100_000
)

// Options are for tests.
type Options struct {
	// Transport carries the requests; nil is http.DefaultTransport.
	Transport http.RoundTripper
	// Sleep waits; nil is a real wait.
	Sleep func(context.Context, time.Duration) error
	// Clock is for signatures; nil is time.Now.
	Clock func() time.Time
}

// client asks one account.
type client struct {
	Account
	base *url.URL
	http *http.Client
	opt  Options
}

func newClient(a Account, opt Options) (*client, error) {
	base, err := a.base()
	if err != nil {
		return nil, err
	}
	if opt.Sleep == nil {
		opt.Sleep = lifecycle.Sleep
	}
	if opt.Clock == nil {
		opt.Clock = time.Now
	}
	return &client{Account: a, base: base, opt: opt, http: &http.Client{
		Transport: opt.Transport, Timeout: requestTimeout,
		// A redirect would carry the key elsewhere.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

// base is where the API is.
func (a Account) base() (*url.URL, error) {
	text := a.URL
	if text == "" {
		text = dialects()[a.Provider].url
		if strings.Contains(text, "%s") {
			text = fmt.Sprintf(text, a.Region)
		}
	}
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.User != nil || u.RawQuery != "" {
		return nil, errors.New("the URL of the API is not an http or https URL without user and query")
	}
	return u, nil
}

// refusedError is an answer that repeating does not change.
type refusedError struct {
	status   int
	changing bool // what was asked for was a change
}

// Error says what to do.
func (e *refusedError) Error() string {
	switch e.status {
	case http.StatusUnauthorized, http.StatusForbidden:
		may := "read"
		if e.changing {
			may = "change"
		}
		return fmt.Sprintf("the provider answers %d: the key is wrong, expired, or may not %s suppressions", e.status, may)
	case http.StatusNotFound:
		return "the provider answers 404: there is no such account, domain or stream, or it is in another region (url)"
	}
	return fmt.Sprintf("the provider answers %d %s", e.status, http.StatusText(e.status))
}

// notFound says that the provider knows no such thing.
func notFound(err error) bool {
	refused, ok := errors.AsType[*refusedError](err)
	return ok && refused.status == http.StatusNotFound
}

// badRequest says that the provider finds fault with what the request has in it.
func badRequest(err error) bool {
	refused, ok := errors.AsType[*refusedError](err)
	return ok && (refused.status == http.StatusBadRequest || refused.status == http.StatusUnprocessableEntity)
}

// call is one request: an escaped path below the base with its query, or a whole URL
// below it.
type call struct {
	method string // "": GET, or POST where there is a body
	path   string
	query  url.Values
	body   any // sent as JSON; nil for none
	signed func(*http.Request) error
}

// changes says whether r is one that a key that reads alone may not make.
func (r call) changes() bool { return r.method != "" }

// get reads the answer of r into out, nil for what is not wanted. What is passing is
// repeated.
func (c *client) get(ctx context.Context, r call, out any) error {
	target, err := c.target(r)
	if err != nil {
		return err
	}
	for try := 1; ; try++ {
		wait, err := c.try(ctx, target, r, out)
		if err == nil || wait == 0 || try == triesMax || ctx.Err() != nil {
			return err
		}
		if wait < 0 {
			wait = min(retryMin<<(try-1), retryMax)
		}
		if err := c.opt.Sleep(ctx, wait); err != nil {
			return err
		}
	}
}

// target is the URL of r. One that an answer has given must be of our host: the key goes
// there.
func (c *client) target(r call) (string, error) {
	u, err := url.Parse(r.path)
	if err != nil {
		return "", errors.New("the provider names a next page that is not a URL")
	}
	if u.Host != "" && (u.Host != c.base.Host || u.Scheme != c.base.Scheme) {
		return "", errors.New("the provider names a next page at another host, where the key must not go")
	}
	target := *c.base
	above := strings.TrimSuffix(c.base.Path, "/")
	if u.Host != "" {
		above = ""
	}
	target.Path, target.RawPath = above+u.Path, above+u.EscapedPath() // an address may have a slash
	target.RawQuery = u.RawQuery
	if r.query != nil {
		target.RawQuery = r.query.Encode()
	}
	return target.String(), nil
}

// try asks once. wait says when to ask once more: 0 never, below 0 when we like.
func (c *client) try(ctx context.Context, target string, r call, out any) (wait time.Duration, err error) {
	req, err := r.request(ctx, target)
	if err != nil {
		return 0, err
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return -1, withoutURL(err)
	}
	defer func() { _ = resp.Body.Close() }() // it was read, or is not wanted
	switch {
	case resp.StatusCode >= http.StatusOK && resp.StatusCode < http.StatusMultipleChoices:
		return c.answer(resp.Body, out)
	case resp.StatusCode == http.StatusTooManyRequests, resp.StatusCode >= http.StatusInternalServerError:
		why, _ := io.ReadAll(io.LimitReader(resp.Body, faultBytesMax)) // what is cut off says no more
		if bytes.Contains(why, []byte(`"Invalid_Key"`)) {              // Mandrill's 500
			return 0, &refusedError{http.StatusUnauthorized, r.changes()}
		}
		return c.retryAfter(resp.Header), &refusedError{resp.StatusCode, r.changes()}
	default:
		return 0, &refusedError{resp.StatusCode, r.changes()}
	}
}

// request makes the request that is r.
func (r call) request(ctx context.Context, target string) (*http.Request, error) {
	method, body := cmp.Or(r.method, http.MethodGet), io.Reader(nil)
	if r.body != nil {
		text, err := json.Marshal(r.body)
		if err != nil {
			return nil, err
		}
		method, body = cmp.Or(r.method, http.MethodPost), bytes.NewReader(text)
	}
	req, err := http.NewRequestWithContext(ctx, method, target, body)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "application/json")
	if r.body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	return req, r.signed(req)
}

// answer reads a success into out. wait is as of try.
func (c *client) answer(body io.Reader, out any) (wait time.Duration, err error) {
	if out == nil {
		return 0, nil
	}
	text, err := io.ReadAll(io.LimitReader(body, answerBytesMax+1))
	if err != nil {
		return -1, fmt.Errorf("read answer: %w", err)
	}
	if len(text) > answerBytesMax {
		return 0, fmt.Errorf("the answer is longer than %d bytes", answerBytesMax)
	}
	if err := json.Unmarshal(text, out); err != nil {
		return 0, errors.New("the answer is not the JSON that the provider documents")
	}
	return 0, nil
}

// withoutURL keeps the query of a request, which may name a person, out of messages.
func withoutURL(err error) error {
	if u, ok := errors.AsType[*url.Error](err); ok {
		return u.Err
	}
	return err
}

// retryAfter reads RFC 9110, section 10.2.3; below 0 where there is none.
func (c *client) retryAfter(h http.Header) time.Duration {
	text := h.Get("Retry-After")
	if seconds, err := strconv.Atoi(text); err == nil && seconds >= 0 {
		return min(max(time.Duration(min(seconds, int(retryMax/time.Second)))*time.Second, time.Second), retryMax)
	}
	if at, err := http.ParseTime(text); err == nil {
		return min(max(at.Sub(c.opt.Clock()), time.Second), retryMax)
	}
	return -1
}

// bearer signs with Authorization: Bearer.
func (c *client) bearer(r *http.Request) error {
	return c.header("Authorization", "Bearer "+c.Key.Reveal())(r)
}

// header signs with one header.
func (c *client) header(name, value string) func(*http.Request) error {
	return func(r *http.Request) error {
		r.Header.Set(name, value)
		return nil
	}
}

// basic signs with HTTP Basic (RFC 7617).
func (c *client) basic(user, password string) func(*http.Request) error {
	return func(r *http.Request) error {
		r.SetBasicAuth(user, password)
		return nil
	}
}

// errEndless says that a list does not end.
var errEndless = fmt.Errorf("the list has more than %d pages: the provider repeats itself", pagesMax)

// pages calls page with 0, 1, 2, ... until it says that there is no other.
func pages(page func(n int) (more bool, err error)) error {
	for n := range pagesMax {
		more, err := page(n)
		if err != nil || !more {
			return err
		}
	}
	return errEndless
}

// stamp reads a time in one of the forms of providers; zero for none of them.
func stamp(text string) time.Time {
	for _, layout := range []string{time.RFC3339Nano, time.RFC1123, time.RFC1123Z, "2006-01-02 15:04:05", "2006-01-02 15:04:05.999999999Z07", "2006-01-02T15:04:05"} {
		if t, err := time.Parse(layout, text); err == nil {
			return t.UTC()
		}
	}
	return time.Time{}
}
