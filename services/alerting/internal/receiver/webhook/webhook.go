// Package webhook posts incidents as JSON, signed as Standard Webhooks says, to an
// address of the operator's own.
//
// It does not retry by itself: the outbox does, with the same webhook-id.
package webhook

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/alerting/internal/outbox"
	"github.com/mailstream/mailstream/services/alerting/internal/receiver/httppost"
	"github.com/mailstream/mailstream/services/alerting/internal/wording"
	"github.com/mailstream/mailstream/services/internal/platform/config"
	"github.com/mailstream/mailstream/services/internal/platform/fate"
	"github.com/mailstream/mailstream/services/internal/webhooksign"
)

// Config is an address that takes Standard Webhooks.
type Config struct {
	// URL is the address. Required.
	URL config.Secret `yaml:"url"`
	// Secret signs each message: whsec_ and base64 of 24 to 64 bytes. Required.
	Secret config.Secret `yaml:"secret"`
}

const (
	// secretMin and secretMax bound the key, in bytes (Standard Webhooks, symmetric).
	secretMin, secretMax = 24, 64
	// pace keeps a flood from being one burst; the address is for machines.
	pace = 100 * time.Millisecond
	// alsoMax bounds the further keys of a message, which Standard Webhooks wants below
	// 20 KiB.
	alsoMax = 50
)

// Validate reports every fault to p.
func (c Config) Validate(p *config.Problems) {
	httppost.CheckURL(p, "url", c.URL.Reveal())
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(c.Secret.Reveal(), webhooksign.StandardSecretPrefix))
	p.Check(err == nil && len(key) >= secretMin && len(key) <= secretMax, "secret", "is not %s and base64 of %d to %d bytes",
		webhooksign.StandardSecretPrefix, secretMin, secretMax)
}

// Client posts to one address.
type Client struct {
	cfg   Config
	post  *httppost.Client
	words wording.Writer
	now   func() time.Time
}

// New returns a client for the address.
func New(cfg Config, links wording.Links, transport http.RoundTripper) *Client {
	return &Client{cfg: cfg, post: httppost.New("webhook", transport), words: wording.Writer{Markup: wording.Text{}, Links: links}, now: time.Now}
}

// Terms wants each incident in a message of its own.
func (*Client) Terms() outbox.Terms { return outbox.Terms{Pace: pace, DigestMax: 1} }

// payload is the body: type, timestamp and data, as Standard Webhooks recommends.
type payload struct {
	Type      string    `json:"type"` // "alert.firing", .repeat, .no_traffic, .resolved
	Timestamp time.Time `json:"timestamp"`
	Data      data      `json:"data"`
}

type data struct {
	Incident  string                `json:"incident"`
	Rule      string                `json:"rule"`
	Metric    string                `json:"metric,omitempty"`
	Severity  schemas.AlertSeverity `json:"severity"`
	Labels    map[string]string     `json:"labels"`
	Threshold float64               `json:"threshold"`
	Window    string                `json:"window,omitempty"`
	Facts     schemas.AlertFacts    `json:"facts"`
	Title     string                `json:"title"`
	Text      string                `json:"text"`
	Links     map[string]string     `json:"links,omitempty"`
}

// Deliver posts the first notice; by its terms there is only one.
func (c *Client) Deliver(ctx context.Context, notices []outbox.Notice) error {
	n := &notices[0]
	body, err := json.Marshal(c.payload(n))
	if err != nil {
		return fate.Wrap(fate.DeadLetter, fmt.Errorf("encode webhook: %w", err))
	}
	id := fmt.Sprintf("msg_%s_%s_%d", n.Alert.Fingerprint, n.Facts.Incident, n.Seq)
	timestamp := strconv.FormatInt(c.now().Unix(), 10)
	signature, err := webhooksign.StandardWebhooks(c.cfg.Secret.Reveal(), id, timestamp, body)
	if err != nil {
		return c.post.Refuse(fate.Halt, "bad_secret")
	}
	a, err := c.post.Post(ctx, c.cfg.URL.Reveal(), body, http.Header{
		"Webhook-Id": {id}, "Webhook-Timestamp": {timestamp}, "Webhook-Signature": {signature},
	})
	if err != nil {
		return err
	}
	return c.post.Judge(a)
}

func (c *Client) payload(n *outbox.Notice) payload {
	m := c.words.Of([]outbox.Notice{*n})
	d := data{
		Incident: n.Facts.Incident, Rule: n.Alert.Rule, Metric: n.Alert.Metric, Severity: m.Severity, Labels: n.Alert.Labels,
		Threshold: n.Alert.Threshold, Window: n.Alert.Window, Facts: n.Facts, Title: m.Title, Text: m.Summary,
	}
	d.Facts.Also = d.Facts.Also[:min(len(d.Facts.Also), alsoMax)]
	for _, l := range m.Links {
		if d.Links == nil {
			d.Links = make(map[string]string)
		}
		d.Links[strings.ToLower(l.Name)] = l.URL
	}
	return payload{Type: "alert." + n.Kind, Timestamp: n.At.UTC(), Data: d}
}
