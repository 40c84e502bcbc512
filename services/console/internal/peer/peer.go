// Package peer calls the APIs of the other services for the console: what they say of
// now, and every change. It keeps nothing, and it tells a service that is away from one
// that refuses.
package peer

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"reflect"
	"strings"
	"sync/atomic"
	"time"

	"github.com/mailstream/mailstream/services/internal/address"
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
	// largeBytes is from where on an answer is large, and largeMax how many of them a client
	// reads at once: whoever else waits, and the console does not run out of memory.
	largeBytes = 1 << 20
	largeMax   = 4
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
	return fmt.Sprintf("the service answered %d: %s", r.Status, r.Says())
}

// Says is what the service said, in words.
func (r *Refused) Says() string {
	return cmp.Or(strings.Trim(r.Title+": "+r.Detail, ": "), fmt.Sprintf("it answers with the status %d and does not say why", r.Status))
}

// saidBytesMax bounds what is shown of what a service says of an error.
const saidBytesMax = 500

// said is what a service says of an error, bounded and without addresses: it is on pages of
// every role and in the log.
func said(text string) string {
	return address.Redact(strings.ToValidUTF8(text[:min(len(text), saidBytesMax)], ""))
}

// Client calls one service.
type Client struct {
	name string
	cfg  Config
	http *http.Client
	// large has a value for each large answer that is being read.
	large chan struct{}
}

// New returns a client of the service called name; it connects on first use.
func New(name string, cfg Config) *Client {
	return &Client{name, cfg, &http.Client{CheckRedirect: noRedirect}, make(chan struct{}, largeMax)}
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
	if err != nil {
		return err
	}
	return c.read(answer, into, sent.silence(method))
}

// jsonBody is v as JSON, nothing for nil.
func jsonBody(v any) (Body, error) {
	if v == nil {
		return Body{}, nil
	}
	text, err := json.Marshal(v)
	return Body{Text: bytes.NewReader(text), Kind: "application/json"}, err
}

// read reads the answer to a call into into, nil for none. What another program answers, such
// as the page of a proxy, or what is cut, is as good as no answer.
func (c *Client) read(answer []byte, into any, silence error) error {
	if answer == nil && into == nil {
		return nil
	}
	var members map[string]json.RawMessage
	if err := json.Unmarshal(answer, &members); err != nil || !takesAny(into, members) {
		return fmt.Errorf("read answer of %s: %w: it is not a JSON object with what was asked for", c.name, silence)
	}
	if into == nil {
		return nil
	}
	if err := json.Unmarshal(answer, into); err != nil {
		return fmt.Errorf("read answer of %s: %w: %w", c.name, silence, err)
	}
	return nil
}

// takesAny says whether into, a pointer to a struct, takes any of the members; nil takes all.
func takesAny(into any, members map[string]json.RawMessage) bool {
	if into == nil {
		return len(members) > 0
	}
	for _, field := range reflect.VisibleFields(reflect.TypeOf(into).Elem()) {
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		for member := range members {
			if strings.EqualFold(member, cmp.Or(name, field.Name)) {
				return true
			}
		}
	}
	return false
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

// silence is what no answer to a call with this body means.
func (b Body) silence(method string) error {
	if b.Looks || method == http.MethodGet {
		return ErrAway
	}
	return ErrUnsure
}

// Pass sends a body as it is and returns the answer as it is, nil for one without a body.
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
	silence := body.silence(method)
	if !connected.Load() {
		silence = ErrAway
	}
	if err != nil {
		return nil, fmt.Errorf("ask %s: %w", c.name, silence) // its own text has the path
	}
	defer func() { _ = resp.Body.Close() }() // it was read
	text, err := c.readAll(ctx, resp.Body)
	switch {
	case len(text) > answerBytesMax: // what is cut must not be taken for all
		return nil, fmt.Errorf("ask %s: %w", c.name, ErrLong)
	case err != nil:
		return nil, fmt.Errorf("ask %s: %w", c.name, silence)
	case resp.StatusCode == http.StatusNoContent:
		return nil, nil
	case resp.StatusCode >= http.StatusMultipleChoices:
		return nil, fmt.Errorf("ask %s: %w", c.name, failure(resp.StatusCode, text, silence))
	}
	return text, nil
}

// readAll reads an answer up to one byte more than it may have.
func (c *Client) readAll(ctx context.Context, answer io.Reader) ([]byte, error) {
	text, err := io.ReadAll(io.LimitReader(answer, largeBytes))
	if err != nil || len(text) < largeBytes {
		return text, err
	}
	select {
	case c.large <- struct{}{}:
		defer func() { <-c.large }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	rest := bytes.NewBuffer(text)
	_, err = rest.ReadFrom(io.LimitReader(answer, answerBytesMax-largeBytes+1))
	return rest.Bytes(), err
}

// failure says what an answer that is no success means, where silence is what no answer means.
func failure(status int, text []byte, silence error) error {
	var problem struct{ Title, Detail string }
	_ = json.Unmarshal(text, &problem) // what is no problem has its status
	switch {
	case status == http.StatusServiceUnavailable && problem.Title != notAcknowledged:
		return ErrAway // also of a proxy that reaches no service
	case status >= http.StatusInternalServerError && errors.Is(silence, ErrUnsure):
		return ErrUnsure // of a proxy that lost the answer, or of a service that failed on the way
	case status == http.StatusServiceUnavailable, status == http.StatusBadGateway, status == http.StatusGatewayTimeout:
		return ErrAway
	}
	return &Refused{status, said(problem.Title), said(problem.Detail)}
}

// notAcknowledged is the title of a service that wrote a change and does not know whether it is kept.
const notAcknowledged = "not_acknowledged"

// Deliver posts a body as it is and reads the JSON answer into into.
func (c *Client) Deliver(ctx context.Context, path string, body Body, into any) error {
	answer, err := c.Pass(ctx, http.MethodPost, path, body)
	if err != nil {
		return err
	}
	return c.read(answer, into, body.silence(http.MethodPost))
}
