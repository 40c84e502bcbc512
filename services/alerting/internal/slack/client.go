// Package slack posts alert messages to an incoming webhook of Slack and says
// what a refusal means.
//
// It never retries by itself: the outbox does, by the fate of the error. It never
// puts the webhook's address, which is a secret, or a response body into an
// error. It does not keep or order messages.
package slack

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/mailstream/mailstream/services/alerting/internal/outbox"
	"github.com/mailstream/mailstream/services/internal/platform/config"
	"github.com/mailstream/mailstream/services/internal/platform/fate"
)

const (
	// postTimeout bounds one attempt: Slack answers in well under a second, and a
	// webhook that hangs must not hold back the alerts behind it for long.
	postTimeout = 10 * time.Second
	// answerBytesMax is how much of an answer is read: error names are short.
	answerBytesMax = 4 << 10
	// retryAfterMax bounds what an answer may ask us to wait.
	retryAfterMax = 15 * time.Minute
	// connectionsMax is enough for one message at a time.
	connectionsMax = 2
)

// postError says why a message was not posted.
type postError struct {
	fate       fate.Fate     // retry: it passes; dead letter: our message is at fault; halt: somebody must mend the webhook
	status     int           // HTTP; 0 when there was no answer
	code       string        // Slack's word for it, of the list we know; else ""
	retryAfter time.Duration // > 0 when the answer asked for it
	err        error         // the fault of the connection; nil when there was an answer
}

// Error names status and code, never the address.
func (e *postError) Error() string {
	switch {
	case e.err != nil:
		return "post to slack: " + e.err.Error()
	case e.status == 0:
		return "post to slack: " + e.code
	case e.code != "":
		return fmt.Sprintf("post to slack: status %d, %s", e.status, e.code)
	default:
		return fmt.Sprintf("post to slack: status %d", e.status)
	}
}

// Unwrap returns the fault of the connection.
func (e *postError) Unwrap() error { return e.err }

// reason is one word for why it was not posted, for records and people.
func (e *postError) reason() string {
	switch {
	case e.code != "":
		return e.code
	case e.status != 0:
		return fmt.Sprintf("status_%d", e.status)
	default:
		return connectionFault(e.err)
	}
}

// connectionFault names what kept an answer from coming.
func connectionFault(err error) string {
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

// Client posts to one incoming webhook.
type Client struct {
	url  config.Secret
	http *http.Client
}

// New returns a client for the webhook. transport is http.DefaultTransport's
// settings when nil.
func New(webhook config.Secret, transport http.RoundTripper) *Client {
	if transport == nil {
		transport = &http.Transport{
			Proxy:               http.ProxyFromEnvironment,
			MaxIdleConnsPerHost: connectionsMax,
			MaxConnsPerHost:     connectionsMax,
			IdleConnTimeout:     time.Minute,
			ForceAttemptHTTP2:   true,
		}
	}
	return &Client{url: webhook, http: &http.Client{
		Transport: transport,
		Timeout:   postTimeout,
		// A message goes where the operator said, nowhere else.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// Validate reports a webhook address no client could use; it does not show it.
func Validate(webhook config.Secret, p *config.Problems, field string) {
	if !webhook.IsSet() {
		return
	}
	u, err := url.Parse(webhook.Reveal())
	ok := err == nil && (u.Scheme == "https" || u.Scheme == "http") && u.Host != ""
	p.Check(ok, field, "is not an http or https URL")
}

// Deliver posts one message about the notices. A message that Slack finds
// malformed is tried once more without its blocks.
func (c *Client) Deliver(ctx context.Context, notices []outbox.Notice) error {
	m := render(notices)
	err := c.post(ctx, m)
	if err != nil && err.fate == fate.DeadLetter {
		err = c.post(ctx, m.plain())
	}
	if err == nil {
		return nil
	}
	return fate.Wrap(err.fate, &outbox.Fault{Reason: err.reason(), RetryAfter: err.retryAfter, Err: err})
}

func (c *Client) post(ctx context.Context, m message) *postError {
	body, err := json.Marshal(m)
	if err != nil {
		return &postError{fate: fate.DeadLetter, err: err}
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url.Reveal(), bytes.NewReader(body))
	if err != nil {
		return &postError{fate: fate.Halt, code: "bad_url"}
	}
	req.Header.Set("Content-Type", "application/json; charset=utf-8")
	req.Header.Set("User-Agent", "mailstream-alerting/1")
	resp, err := c.http.Do(req)
	if err != nil {
		return &postError{fate: fate.Retry, err: withoutURL(err)}
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, answerBytesMax))
	if err != nil && resp.StatusCode/100 != 2 {
		return &postError{fate: fate.Retry, status: resp.StatusCode, err: withoutURL(err)}
	}
	return judge(resp, text)
}

// withoutURL drops the address that net/http adds to its errors.
func withoutURL(err error) error {
	if ue, ok := errors.AsType[*url.Error](err); ok {
		return ue.Err
	}
	return err
}

// judge reads an answer: a webhook says its error in plain text with a status,
// the Web API in JSON with 200.
func judge(resp *http.Response, body []byte) *postError {
	var api struct {
		OK         *bool   `json:"ok"`
		Error      string  `json:"error"`
		RetryAfter float64 `json:"retry_after"`
	}
	code := strings.TrimSpace(string(body))
	if json.Unmarshal(body, &api) == nil && api.Error != "" {
		code = api.Error
	}
	denied := api.OK != nil && !*api.OK || api.Error != ""
	f, known := fateOf(code)
	e := &postError{status: resp.StatusCode, fate: byStatus(resp.StatusCode)}
	switch page := strings.HasPrefix(code, "<"); {
	case known:
		e.fate, e.code = f, code
	case resp.StatusCode/100 != 2:
	case page: // of a proxy or of a login: Slack's webhook says ok
		e.fate, e.code = fate.Halt, notSlack
	case denied: // a word that we do not know yet
		e.code = unknownError
	default:
		return nil
	}
	if resp.StatusCode == http.StatusTooManyRequests {
		e.fate = fate.Retry
	}
	if e.fate == fate.Retry {
		e.retryAfter = retryAfter(resp.Header.Get("Retry-After"), api.RetryAfter)
	}
	return e
}

// Our words for answers that Slack has none for.
const (
	notSlack     = "not_slack"
	unknownError = "unknown_error"
)

// fateOf knows the errors that Slack documents for webhooks and
// chat.postMessage.
func fateOf(code string) (f fate.Fate, known bool) {
	switch code {
	case "rate_limited", "ratelimited", "message_limit_exceeded", "rollup_error", "internal_error",
		"fatal_error", "service_unavailable", "request_timeout":
		return fate.Retry, true
	case "no_service", "no_service_id", "no_team", "team_disabled", "invalid_token", "action_prohibited",
		"channel_not_found", "channel_is_archived", "is_archived", "posting_to_general_channel_denied",
		"not_in_channel", "account_inactive", "token_revoked", "token_expired", "invalid_auth", "not_authed",
		"missing_scope", "restricted_action", "ekm_access_denied", "no_permission", "user_not_found":
		return fate.Halt, true
	case "invalid_payload", "invalid_blocks", "invalid_blocks_format", "msg_too_long", "msg_blocks_too_long",
		"no_text", "too_many_attachments", "invalid_attachments", "invalid_json":
		return fate.DeadLetter, true
	default:
		return fate.Retry, false
	}
}

// byStatus judges an answer whose words we do not know. A proxy in between may
// say anything, so only what plainly asks for somebody's hand is a refusal.
func byStatus(status int) fate.Fate {
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

// retryAfter reads the wait an answer asks for: a header of seconds or a date
// (RFC 9110, section 10.2.3), or the field of the JSON body.
func retryAfter(header string, field float64) time.Duration {
	var d time.Duration
	if s, err := strconv.ParseFloat(header, 64); err == nil {
		field = s
	} else if at, err := http.ParseTime(header); err == nil {
		return min(max(time.Until(at), 0), retryAfterMax)
	}
	if field > 0 && field < retryAfterMax.Seconds() {
		d = time.Duration(field * float64(time.Second))
	} else if field > 0 {
		d = retryAfterMax
	}
	return d
}
