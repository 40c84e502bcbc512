// Package peer calls the APIs of the other services for the console: what they say of
// now, and every change. It keeps nothing, and it tells a service that is away from one
// that refuses.
package peer

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/mailstream/mailstream/services/internal/audit"
	"github.com/mailstream/mailstream/services/internal/platform/config"
)

// Config is how to reach one service.
type Config struct {
	// URL is the base of its API. Default by service, on this host.
	URL string `yaml:"url"`
	// Token lets the console in. Default none: the service is not asked.
	Token config.Secret `yaml:"token"`
}

// Validate reports every fault to p.
func (c Config) Validate(p *config.Problems) {
	u, err := url.Parse(c.URL)
	p.Check(err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != "" && u.User == nil && u.RawQuery == "",
		"url", "%q is not http://host:port or https://host:port", c.URL)
}

const (
	// callTimeout bounds one call: a page that waits longer says what it knows.
	callTimeout = 5 * time.Second
	// lookTimeout bounds one call that only looks: analytics plans for up to 20 s.
	lookTimeout = 25 * time.Second
	// fileTimeout bounds one call that carries a list, of some 100,000 addresses.
	fileTimeout = time.Minute
	// answerBytesMax bounds an answer: a thousand alerts with their steps.
	answerBytesMax = 16 << 20
)

// ErrAway says that a service does not answer, or answers that it cannot now.
var ErrAway = errors.New("the service does not answer")

// ErrUnsure says that a change was sent and no answer came: it may have been made.
var ErrUnsure = errors.New("no answer came to a change that was sent")

// ErrLong says that an answer is longer than the console holds.
var ErrLong = errors.New("the answer is too long for a page")

// Refused is an answer of a service that is no success.
type Refused struct {
	Status        int
	Title, Detail string
}

// Error says what the service said.
func (r *Refused) Error() string {
	return strings.TrimSpace(fmt.Sprintf("the service answered %d %s: %s", r.Status, r.Title, r.Detail))
}

// Client calls one service.
type Client struct {
	name string
	cfg  Config
	http *http.Client
}

// New returns a client of the service called name; it connects on first use.
func New(name string, cfg Config) *Client {
	return &Client{name, cfg, &http.Client{CheckRedirect: noRedirect}}
}

// noRedirect keeps the token where it is meant for.
func noRedirect(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// Configured says whether the service can be asked at all.
func (c *Client) Configured() bool { return c.cfg.Token.IsSet() }

// Close ends idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Get reads the answer of path into into.
func (c *Client) Get(ctx context.Context, path string, into any) error {
	return c.Send(ctx, http.MethodGet, path, nil, into)
}

// Ask posts body as JSON to what only looks, and reads the answer into into.
func (c *Client) Ask(ctx context.Context, path string, body, into any) error {
	sent, err := jsonBody(body)
	if err != nil {
		return fmt.Errorf("ask %s: %w", c.name, err)
	}
	sent.Looks = true
	return c.Deliver(ctx, path, sent, into)
}

// Send sends body as JSON, nil for none, and reads the answer into into, nil for none.
func (c *Client) Send(ctx context.Context, method, path string, body, into any) error {
	sent, err := jsonBody(body)
	if err != nil {
		return fmt.Errorf("ask %s: %w", c.name, err)
	}
	answer, err := c.Pass(ctx, method, path, sent)
	if err != nil || into == nil {
		return err
	}
	return c.read(answer, into)
}

// jsonBody is v as JSON, nothing for nil.
func jsonBody(v any) (Body, error) {
	if v == nil {
		return Body{}, nil
	}
	text, err := json.Marshal(v)
	return Body{Text: bytes.NewReader(text), Kind: "application/json"}, err
}

func (c *Client) read(answer []byte, into any) error {
	if err := json.Unmarshal(answer, into); err != nil {
		return fmt.Errorf("read answer of %s: %w", c.name, err)
	}
	return nil
}

// person is for whom calls are made.
type person struct{ name, role string }

// For returns a context whose calls say for whom they are made: the service that makes a
// change writes that to the audit.
func For(ctx context.Context, name, role string) context.Context {
	return context.WithValue(ctx, person{}, person{name, role})
}

// Body is what a call sends.
type Body struct {
	Text io.Reader
	Kind string // the content type
	File bool   // it, or its answer, is a list of addresses, which takes longer
	// Looks says that the call changes nothing: it is a question, or a dry run.
	Looks bool
}

// timeout bounds a call with this body.
func (b Body) timeout() time.Duration {
	switch {
	case b.File:
		return fileTimeout
	case b.Looks:
		return lookTimeout
	}
	return callTimeout
}

// Pass sends a body as it is and returns the answer as it is.
func (c *Client) Pass(ctx context.Context, method, path string, body Body) ([]byte, error) {
	if !c.Configured() {
		return nil, fmt.Errorf("ask %s: %w: no token is configured (console.%s.token)", c.name, ErrAway, c.name)
	}
	ctx, cancel := context.WithTimeout(ctx, body.timeout())
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, strings.TrimSuffix(c.cfg.URL, "/")+path, body.Text)
	if err != nil {
		return nil, fmt.Errorf("ask %s: the path is malformed", c.name)
	}
	if body.Kind != "" {
		req.Header.Set("Content-Type", body.Kind)
	}
	req.Header.Set("Authorization", "Bearer "+c.cfg.Token.Reveal())
	if who, ok := ctx.Value(person{}).(person); ok {
		audit.SayFor(req, who.name, who.role)
	}
	var connected atomic.Bool
	req = req.WithContext(httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) { connected.Store(true) }}))
	resp, err := c.http.Do(req)
	silent := ErrUnsure
	if body.Looks || method == http.MethodGet || !connected.Load() {
		silent = ErrAway
	}
	if err != nil {
		return nil, fmt.Errorf("ask %s: %w", c.name, silent) // its own text has the path
	}
	defer func() { _ = resp.Body.Close() }() // it was read
	text, err := io.ReadAll(io.LimitReader(resp.Body, answerBytesMax+1))
	switch {
	case len(text) > answerBytesMax: // what is cut must not be taken for all
		return nil, fmt.Errorf("ask %s: %w", c.name, ErrLong)
	case err != nil:
		return nil, fmt.Errorf("ask %s: %w", c.name, silent)
	case resp.StatusCode == http.StatusServiceUnavailable && errors.Is(silent, ErrUnsure) && notAcknowledged(text):
		return nil, fmt.Errorf("ask %s: %w", c.name, ErrUnsure)
	case resp.StatusCode == http.StatusServiceUnavailable, resp.StatusCode == http.StatusBadGateway, resp.StatusCode == http.StatusGatewayTimeout:
		return nil, fmt.Errorf("ask %s: %w", c.name, ErrAway)
	case resp.StatusCode >= http.StatusMultipleChoices:
		var problem struct{ Title, Detail string }
		_ = json.Unmarshal(text, &problem) // what is no problem has its status
		return nil, fmt.Errorf("ask %s: %w", c.name, &Refused{resp.StatusCode, problem.Title, problem.Detail})
	}
	return text, nil
}

// notAcknowledged says whether a service wrote a change and does not know whether it is kept.
func notAcknowledged(text []byte) bool {
	var problem struct{ Title string }
	return json.Unmarshal(text, &problem) == nil && problem.Title == "not_acknowledged"
}

// Deliver posts a body as it is and reads the JSON answer into into.
func (c *Client) Deliver(ctx context.Context, path string, body Body, into any) error {
	answer, err := c.Pass(ctx, http.MethodPost, path, body)
	if err != nil {
		return err
	}
	return c.read(answer, into)
}
