// Package suppressions asks Mailstream's suppression service who must not be mailed.
//
// Check is for one mail or a page of addresses: it repeats what failed, keeps answers
// for seconds where that is wanted, and asks about 10,000 addresses at once. Stream is
// for a send of any length over one connection. When the service cannot be asked, both
// do what the Policy says.
//
// The package needs the standard library alone. Its tests and those of the service run
// against each other, and its module has versions of its own.
package suppressions

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Policy is what becomes of addresses when the service cannot be asked.
type Policy int

// The policies. A request that is wrong, such as one with a wrong token, is an error
// under each of them: it would be wrong for ever.
const (
	// FailWithError returns the error: the sender decides, or sends later.
	FailWithError Policy = iota
	// FailOpen allows mail to whoever could not be asked about.
	FailOpen
	// FailClosed forbids mail to whoever could not be asked about.
	FailClosed
)

// Config says whom to ask and how. The zero value of a field takes its default.
type Config struct {
	// URL is the base of the service, such as http://suppression:8082. Required.
	URL string
	// Token is a bearer token of the service. Required unless it wants none.
	Token string
	// Policy says what happens when the service cannot be asked. Default FailWithError.
	Policy Policy
	// Timeout bounds a check with its repetitions, and in a stream the wait for the next
	// answer. Default 5s. Range [10ms, 1m].
	Timeout time.Duration
	// Attempts bounds how often a request is sent. Default 3. Range [1, 10].
	Attempts int
	// CacheFor is how long an answer to Check is kept: for as long an address that was
	// listed meanwhile may still be mailed. Default 0s, not at all. Range [0s, 1m].
	CacheFor time.Duration
	// CacheMax bounds the answers that are kept, each about 300 bytes. Default 100,000.
	// Range [2, 10,000,000].
	CacheMax int
	// HTTP sends the requests. Default a client of its own with the transport of
	// http.DefaultTransport. It must have no Timeout where Stream is used.
	HTTP *http.Client
}

// The bounds of a Config.
const (
	timeoutMin  = 10 * time.Millisecond
	timeoutMax  = time.Minute
	attemptsMax = 10
	cacheForMax = time.Minute
	cacheMaxMin = 2
	cacheMaxMax = 10_000_000
)

// Client asks one service. It is safe for concurrent use. Make it with New.
type Client struct {
	cfg   Config
	cache *cache // nil: answers are not kept
}

// New checks cfg. It connects nowhere.
func New(cfg Config) (*Client, error) {
	cfg.Timeout = cmp.Or(cfg.Timeout, 5*time.Second)
	cfg.Attempts = cmp.Or(cfg.Attempts, 3)
	cfg.CacheMax = cmp.Or(cfg.CacheMax, 100_000)
	if cfg.HTTP == nil {
		cfg.HTTP = &http.Client{}
	}
	base, err := url.Parse(cfg.URL)
	switch {
	case err != nil || base.Scheme != "http" && base.Scheme != "https" || base.Host == "" || base.RawQuery != "":
		return nil, errors.New("suppressions: URL is not an http or https URL without a query")
	case cfg.Policy < FailWithError || cfg.Policy > FailClosed:
		return nil, fmt.Errorf("suppressions: Policy %d is unknown", cfg.Policy)
	case cfg.Timeout < timeoutMin || cfg.Timeout > timeoutMax:
		return nil, fmt.Errorf("suppressions: Timeout %s is not in [%s, %s]", cfg.Timeout, timeoutMin, timeoutMax)
	case cfg.Attempts < 1 || cfg.Attempts > attemptsMax:
		return nil, fmt.Errorf("suppressions: Attempts %d is not in [1, %d]", cfg.Attempts, attemptsMax)
	case cfg.CacheFor < 0 || cfg.CacheFor > cacheForMax:
		return nil, fmt.Errorf("suppressions: CacheFor %s is not in [0s, %s]", cfg.CacheFor, cacheForMax)
	case cfg.CacheMax < cacheMaxMin || cfg.CacheMax > cacheMaxMax:
		return nil, fmt.Errorf("suppressions: CacheMax %d is not in [%d, %d]", cfg.CacheMax, cacheMaxMin, cacheMaxMax)
	}
	cfg.URL = strings.TrimSuffix(cfg.URL, "/")
	c := &Client{cfg: cfg}
	if cfg.CacheFor > 0 {
		c.cache = newCache(cfg.CacheFor, cfg.CacheMax)
	}
	return c, nil
}

// Mail is what is about to be sent. What is left out could be anything, so then every
// entry of an address counts.
type Mail struct {
	Stream string // such as "marketing"
	List   string // the id of the mailing list
	Source string // the account at a provider that it goes out by
	// MinToken is what a write was answered with: answers have at least that. They are
	// never kept ones.
	MinToken string
}

// Verdict is what is known of one address.
type Verdict struct {
	Address string // as asked
	// Suppressed says that the mail must not be sent.
	Suppressed bool
	// Fault says why Address is not one address; then Suppressed is true.
	Fault string
	// Assumed says that the service could not be asked, and the Policy decided.
	Assumed bool
	// Stale says that the service is far behind, and may not know of the latest events.
	Stale bool

	// What suppresses; empty where nothing does.
	Reason, Scope, Note string
	Since               time.Time
	Expires             time.Time // zero: never
}

// Error is an answer of the service that is not a success.
type Error struct {
	Status int
	Title  string // constant for its kind of fault
	Detail string
	after  time.Duration // Retry-After
}

// Error says what the service says.
func (e *Error) Error() string {
	return fmt.Sprintf("suppressions: the service answers %d %s: %s", e.Status, e.Title, e.Detail)
}

// passing says whether the request may succeed later.
func passing(err error) bool {
	if answer, ok := errors.AsType[*Error](err); ok {
		switch answer.Status {
		case http.StatusRequestTimeout, http.StatusConflict, http.StatusTooManyRequests:
			return true
		}
		return answer.Status >= http.StatusInternalServerError
	}
	return true
}

const (
	// pauseMin is the wait before a request is sent once more; it doubles each time.
	pauseMin = 50 * time.Millisecond
	// answerBytesMax bounds an answer to a check: 10,000 entries with notes.
	answerBytesMax = 64 << 20
	// faultBytesMax bounds what is read of an error answer.
	faultBytesMax = 16 << 10
)

// pause waits before attempt is repeated; attempt 0 is one that got somewhere, and is not
// counted. It returns err when there is no repetition.
func (c *Client) pause(ctx context.Context, attempt int, err error) error {
	if attempt >= c.cfg.Attempts || !passing(err) || ctx.Err() != nil {
		return err
	}
	wait := pauseMin << max(0, attempt-1)
	wait = wait/2 + rand.N(wait/2) // else all senders come back at the same moment
	if answer, ok := errors.AsType[*Error](err); ok && answer.after > wait {
		wait = answer.after
	}
	if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) <= wait {
		return err
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return err
	}
}

// post sends body once and returns an answer of status 200.
func (c *Client) post(ctx context.Context, path, contentType string, body io.Reader) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.cfg.URL+path, body)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", contentType)
	if req.GetBody == nil { // a stream: a refusal comes before the first line, and is not lost while more is sent
		req.Header.Set("Expect", "100-continue")
	}
	if c.cfg.Token != "" {
		req.Header.Set("Authorization", "Bearer "+c.cfg.Token)
	}
	resp, err := c.cfg.HTTP.Do(req)
	if err != nil {
		return nil, fmt.Errorf("suppressions: ask the service: %w", err)
	}
	if resp.StatusCode == http.StatusOK {
		return resp, nil
	}
	defer func() { _ = resp.Body.Close() }() // it was read, or is not wanted
	answer := &Error{Status: resp.StatusCode, Title: http.StatusText(resp.StatusCode)}
	text, _ := io.ReadAll(io.LimitReader(resp.Body, faultBytesMax)) // what is cut off says no more
	_ = json.Unmarshal(text, answer)                                // a proxy answers something else
	answer.Status = resp.StatusCode
	if seconds, err := strconv.Atoi(resp.Header.Get("Retry-After")); err == nil && seconds > 0 {
		answer.after = time.Duration(min(seconds, int(timeoutMax/time.Second))) * time.Second
	}
	return nil, answer
}

// call posts in as JSON and reads the answer into out.
func (c *Client) call(ctx context.Context, path string, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, c.cfg.Timeout)
	defer cancel()
	for attempt := 1; ; attempt++ {
		err := c.try(ctx, path, body, out)
		if err == nil {
			return nil
		}
		if err := c.pause(ctx, attempt, err); err != nil {
			return err
		}
	}
}

func (c *Client) try(ctx context.Context, path string, body []byte, out any) error {
	resp, err := c.post(ctx, path, "application/json", bytes.NewReader(body))
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }() // it was read
	text, err := io.ReadAll(io.LimitReader(resp.Body, answerBytesMax))
	if err == nil {
		err = json.Unmarshal(text, out)
	}
	if err != nil {
		return fmt.Errorf("suppressions: read the answer: %w", err)
	}
	return nil
}
