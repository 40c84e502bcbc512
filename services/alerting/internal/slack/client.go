// Package slack posts alert messages to Slack, through an incoming webhook or as a
// bot, and says what a refusal means.
//
// It never retries by itself: the outbox does, by the fate of the error. It never
// puts the webhook's address, which is a secret, or a response body into an
// error. It does not keep or order messages.
package slack

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"github.com/mailstream/mailstream/services/alerting/internal/outbox"
	"github.com/mailstream/mailstream/services/alerting/internal/receiver/httppost"
	"github.com/mailstream/mailstream/services/alerting/internal/wording"
	"github.com/mailstream/mailstream/services/internal/platform/config"
	"github.com/mailstream/mailstream/services/internal/platform/fate"
)

// Webhook is an incoming webhook.
type Webhook struct {
	// WebhookURL is its address. Default none: alerts go to the other receivers only.
	WebhookURL config.Secret `yaml:"webhook_url"`
}

// Validate reports every fault to p.
func (w Webhook) Validate(p *config.Problems) {
	if p.Check(w.WebhookURL.IsSet(), "webhook_url", "is not set"); w.WebhookURL.IsSet() {
		httppost.CheckURL(p, "webhook_url", w.WebhookURL.Reveal())
	}
}

// Client posts to one incoming webhook.
type Client struct {
	url   config.Secret
	post  *httppost.Client
	links wording.Links
}

// New returns a client for the webhook.
func New(w Webhook, links wording.Links, transport http.RoundTripper) *Client {
	return &Client{url: w.WebhookURL, post: httppost.New("slack", transport), links: links}
}

// Deliver posts one message about the notices. A message that Slack finds
// malformed is tried once more without its blocks.
func (c *Client) Deliver(ctx context.Context, notices []outbox.Notice) error {
	m := render(notices, c.links)
	err := c.send(ctx, m)
	if fate.Of(err) == fate.DeadLetter {
		err = c.send(ctx, m.plain())
	}
	return err
}

func (c *Client) send(ctx context.Context, m message) error {
	body, err := json.Marshal(m)
	if err != nil {
		return fate.Wrap(fate.DeadLetter, fmt.Errorf("encode slack message: %w", err))
	}
	a, err := c.post.Post(ctx, c.url.Reveal(), body, nil)
	if err != nil {
		return err
	}
	return judge(c.post, a)
}

// judge reads an answer: a webhook says its error in plain text with a status,
// the Web API in JSON with 200.
func judge(c *httppost.Client, a httppost.Answer) error {
	var api struct {
		OK         *bool   `json:"ok"`
		Error      string  `json:"error"`
		RetryAfter float64 `json:"retry_after"`
	}
	code := strings.TrimSpace(string(a.Body))
	if json.Unmarshal(a.Body, &api) == nil && api.Error != "" {
		code = api.Error
	}
	denied := api.OK != nil && !*api.OK || api.Error != ""
	verdict, known := fateOf(code)
	reason := code
	switch page := strings.HasPrefix(code, "<"); {
	case known:
	case !a.OK():
		verdict, reason = httppost.ByStatus(a.Status), fmt.Sprintf("status_%d", a.Status)
	case page: // of a proxy or of a login: Slack's webhook says ok
		verdict, reason = fate.Halt, notSlack
	case denied: // a word that we do not know yet
		verdict, reason = fate.Retry, unknownError
	default:
		return nil
	}
	if a.Status == http.StatusTooManyRequests {
		verdict = fate.Retry
	}
	if a.Header.Get("Retry-After") == "" && api.RetryAfter > 0 {
		a.Header.Set("Retry-After", fmt.Sprint(api.RetryAfter))
	}
	return c.Fault(a, verdict, reason)
}

// Our words for answers that Slack has none for.
const (
	notSlack     = "not_slack"
	unknownError = "unknown_error"
)

// fateOf knows the errors that Slack documents for webhooks and
// chat.postMessage; the last three are of chat.update.
func fateOf(code string) (f fate.Fate, known bool) {
	switch code {
	case "rate_limited", "ratelimited", "message_limit_exceeded", "rollup_error", "internal_error",
		"fatal_error", "service_unavailable", "request_timeout":
		return fate.Retry, true
	case "no_service", "no_service_id", "no_team", "team_disabled", "invalid_token", "action_prohibited",
		"channel_not_found", "channel_is_archived", "is_archived", "posting_to_general_channel_denied",
		"not_in_channel", "account_inactive", "token_revoked", "token_expired", "invalid_auth", "not_authed",
		"missing_scope", "restricted_action", "ekm_access_denied", "no_permission", "user_not_found",
		"message_not_found", "cant_update_message", "edit_window_closed":
		return fate.Halt, true
	case "invalid_payload", "invalid_blocks", "invalid_blocks_format", "msg_too_long", "msg_blocks_too_long",
		"no_text", "too_many_attachments", "invalid_attachments", "invalid_json":
		return fate.DeadLetter, true
	default:
		return fate.Retry, false
	}
}
