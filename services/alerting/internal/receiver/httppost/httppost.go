// Package httppost posts to the addresses of receivers and says what came back, as
// all receivers over HTTP need it: bounded in time and size, without following a
// redirect, and without the address, which is often a secret, in any error.
//
// It does not retry: the outbox does, by the fate of the error.
package httppost

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/mailstream/mailstream/services/alerting/internal/outbox"
	"github.com/mailstream/mailstream/services/internal/platform/config"
	"github.com/mailstream/mailstream/services/internal/platform/fate"
)

const (
	// timeout bounds one attempt: a receiver answers in well under a second, and one
	// that hangs must not hold back the alerts behind it for long.
	timeout = 10 * time.Second
	// answerBytesMax is how much of an answer is read: error names are short, but
	// Slack's Web API repeats the message.
	answerBytesMax = 256 << 10
	// retryAfterMax bounds what an answer may ask us to wait.
	retryAfterMax = 15 * time.Minute
	// connectionsMax is enough for one message at a time.
	connectionsMax = 2
	userAgent      = "mailstream-alerting/1"
)

// Client posts for one receiver.
type Client struct {
	what string // "slack", for errors
	http *http.Client
}

// New returns a client for the receiver that errors call what. transport is
// http.DefaultTransport's settings when nil.
func New(what string, transport http.RoundTripper) *Client {
	if transport == nil {
		transport = &http.Transport{
			Proxy:               http.ProxyFromEnvironment,
			MaxIdleConnsPerHost: connectionsMax,
			MaxConnsPerHost:     connectionsMax,
			IdleConnTimeout:     time.Minute,
			ForceAttemptHTTP2:   true,
		}
	}
	return &Client{what: what, http: &http.Client{
		Transport: transport,
		Timeout:   timeout,
		// A message goes where the operator said, nowhere else.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// Answer is what came back.
type Answer struct {
	Status int
	Body   []byte // its first 256 KiB
	Header http.Header
}

// OK says whether the status is a success.
func (a Answer) OK() bool { return a.Status/100 == 2 }

// Post sends JSON. The error is a fault of the connection, with its fate.
func (c *Client) Post(ctx context.Context, to string, body []byte, header http.Header) (Answer, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, to, bytes.NewReader(body))
	if err != nil {
		return Answer{}, c.Refuse(fate.Halt, "bad_url")
	}
	for name, values := range header {
		req.Header[name] = values
	}
	if req.Header.Get("Content-Type") == "" {
		req.Header.Set("Content-Type", "application/json; charset=utf-8")
	}
	req.Header.Set("User-Agent", userAgent)
	resp, err := c.http.Do(req)
	if err != nil {
		return Answer{}, c.broken(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, answerBytesMax))
	if err != nil && resp.StatusCode/100 != 2 {
		return Answer{}, c.broken(err)
	}
	return Answer{Status: resp.StatusCode, Body: text, Header: resp.Header}, nil
}

// broken is the error of a connection, without the address that net/http adds.
func (c *Client) broken(err error) error {
	if ue, ok := errors.AsType[*url.Error](err); ok {
		err = ue.Err
	}
	return &outbox.Fault{Reason: Broken(err), Err: fmt.Errorf("post to %s: %w", c.what, err)}
}

// Broken is one word for what kept an answer from coming.
func Broken(err error) string {
	if _, ok := errors.AsType[*net.DNSError](err); ok {
		return "dns"
	}
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return "certificate"
	}
	if n, ok := errors.AsType[net.Error](err); ok && n.Timeout() {
		return "timeout"
	}
	return "connection"
}

// Refuse returns the error of an answer that was no: reason is one word of a set
// that we know, f what helps.
func (c *Client) Refuse(f fate.Fate, reason string) error {
	return fate.Wrap(f, &outbox.Fault{Reason: reason, Err: fmt.Errorf("post to %s: %s", c.what, reason)})
}

// Judge returns the error of an answer by its status alone, nil for success.
func (c *Client) Judge(a Answer) error {
	if a.OK() {
		return nil
	}
	return c.Fault(a, ByStatus(a.Status), "status_"+strconv.Itoa(a.Status))
}

// Fault returns the error of an answer; a passing one waits as the answer asks.
func (c *Client) Fault(a Answer, f fate.Fate, reason string) error {
	fault := &outbox.Fault{Reason: reason, Err: fmt.Errorf("post to %s: status %d, %s", c.what, a.Status, reason)}
	if f == fate.Retry {
		fault.RetryAfter = RetryAfter(a.Header.Get("Retry-After"), 0)
	}
	return fate.Wrap(f, fault)
}

// ByStatus judges an answer whose words we do not know. A proxy in between may say
// anything, so only what plainly asks for a person's hand is a refusal.
func ByStatus(status int) fate.Fate {
	switch {
	case status == http.StatusBadRequest, status == http.StatusRequestEntityTooLarge, status == http.StatusUnprocessableEntity:
		return fate.DeadLetter
	case status == http.StatusUnauthorized, status == http.StatusForbidden, status == http.StatusNotFound,
		status == http.StatusMethodNotAllowed, status == http.StatusGone:
		return fate.Halt
	case status/100 == 3:
		return fate.Halt
	default:
		return fate.Retry
	}
}

// RetryAfter reads the wait an answer asks for: a header of seconds or a date (RFC
// 9110, section 10.2.3), or seconds from a field of the body.
func RetryAfter(header string, field float64) time.Duration {
	if s, err := strconv.ParseFloat(header, 64); err == nil {
		field = s
	} else if at, err := http.ParseTime(header); err == nil {
		return min(max(time.Until(at), 0), retryAfterMax)
	}
	switch {
	case field > 0 && field < retryAfterMax.Seconds():
		return time.Duration(field * float64(time.Second))
	case field > 0:
		return retryAfterMax
	default:
		return 0
	}
}

// CheckURL reports to p an address that no client could use; it does not show it.
func CheckURL(p *config.Problems, field, address string) {
	u, err := url.Parse(address)
	p.Check(err == nil && (u.Scheme == "https" || u.Scheme == "http") && u.Host != "", field, "is not an http or https URL")
}
