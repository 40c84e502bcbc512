// Package pagerduty sends incidents to PagerDuty through Events API v2: one incident
// here is one there, joined by its dedup_key.
//
// It does not retry by itself: the outbox does, by the fate of the error.
package pagerduty

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/alerting/internal/outbox"
	"github.com/mailstream/mailstream/services/alerting/internal/receiver/httppost"
	"github.com/mailstream/mailstream/services/alerting/internal/wording"
	"github.com/mailstream/mailstream/services/internal/platform/config"
	"github.com/mailstream/mailstream/services/internal/platform/fate"
)

// Config is an integration of a service of PagerDuty.
type Config struct {
	// RoutingKey is the integration key of Events API v2, 32 characters. Required.
	RoutingKey config.Secret `yaml:"routing_key"`
	// URL is where events go; that of the EU region is
	// https://events.eu.pagerduty.com/v2/enqueue. Default
	// https://events.pagerduty.com/v2/enqueue.
	URL string `yaml:"url"`
}

// The limits of Events API v2.
const (
	enqueueURL   = "https://events.pagerduty.com/v2/enqueue"
	keyBytes     = 32
	summaryBytes = 1_024
	// pace is 120 events a minute and key, which PagerDuty takes.
	pace = 500 * time.Millisecond
	// crowdedWait is how long a 429 without Retry-After is waited out: PagerDuty asks for
	// minutes.
	crowdedWait = 2 * time.Minute
)

// WithDefaults returns c with what was left out.
func (c Config) WithDefaults() Config {
	c.URL = cmp.Or(c.URL, enqueueURL)
	return c
}

// Validate reports every fault to p.
func (c Config) Validate(p *config.Problems) {
	p.Check(len(c.RoutingKey.Reveal()) == keyBytes, "routing_key", "has %d characters, want %d", len(c.RoutingKey.Reveal()), keyBytes)
	httppost.CheckURL(p, "url", c.WithDefaults().URL)
}

// Client sends to one integration.
type Client struct {
	cfg   Config
	post  *httppost.Client
	words wording.Writer
}

// New returns a client for the integration.
func New(cfg Config, links wording.Links, transport http.RoundTripper) *Client {
	return &Client{cfg: cfg.WithDefaults(), post: httppost.New("pagerduty", transport), words: wording.Writer{Markup: wording.Text{}, Links: links}}
}

// Terms wants each incident in an event of its own.
func (*Client) Terms() outbox.Terms { return outbox.Terms{Pace: pace, DigestMax: 1} }

// Pages says that an incident calls people.
func (*Client) Pages() bool { return true }

type event struct {
	RoutingKey string   `json:"routing_key"`
	Action     string   `json:"event_action"` // trigger or resolve
	DedupKey   string   `json:"dedup_key"`
	Client     string   `json:"client"`
	Payload    *payload `json:"payload,omitempty"`
	Links      []link   `json:"links,omitempty"`
}

type payload struct {
	Summary   string            `json:"summary"`
	Source    string            `json:"source"`
	Severity  string            `json:"severity"`
	Timestamp time.Time         `json:"timestamp"`
	Component string            `json:"component,omitempty"`
	Group     string            `json:"group,omitempty"`
	Class     string            `json:"class,omitempty"`
	Details   map[string]string `json:"custom_details,omitempty"`
}

type link struct {
	Href string `json:"href"`
	Text string `json:"text"`
}

// Deliver sends the first notice; by its terms there is only one. The end of an
// incident that PagerDuty never heard of is sent as both, begin and end, and not as
// urgent: the record is there, and it says that it is over.
func (c *Client) Deliver(ctx context.Context, notices []outbox.Notice) error {
	n := &notices[0]
	e := event{RoutingKey: c.cfg.RoutingKey.Reveal(), DedupKey: n.Facts.Incident, Client: "Mailstream", Action: "trigger"}
	if n.Kind != schemas.NotifyResolved || n.Began != nil {
		e.Payload, e.Links = c.payload(n)
		if err := c.send(ctx, e); err != nil {
			return err
		}
	}
	if n.Kind != schemas.NotifyResolved {
		return nil
	}
	e.Action, e.Payload, e.Links = "resolve", nil, nil
	return c.send(ctx, e)
}

func (c *Client) payload(n *outbox.Notice) (*payload, []link) {
	m := c.words.Of([]outbox.Notice{*n})
	p := &payload{
		Summary: wording.CutBytes(m.Summary, summaryBytes), Source: wording.Target(n.Alert.Labels), Severity: string(m.Severity),
		Timestamp: n.Facts.Since.UTC(), Component: n.Alert.Labels[schemas.LabelSource], Group: n.Alert.Rule, Class: n.Alert.Metric,
		Details: make(map[string]string),
	}
	if n.Kind == schemas.NotifyResolved {
		p.Severity = string(schemas.SeverityInfo)
	}
	for _, f := range m.Facts {
		p.Details[f.Name] = f.Value
	}
	for _, s := range m.Sections {
		p.Details[cmp.Or(s.Title, "Note")] = strings.Join(s.Lines, "\n")
	}
	p.Details["Rule"] = n.Alert.Rule
	links := make([]link, 0, len(m.Links))
	for _, l := range m.Links {
		links = append(links, link{l.URL, l.Name})
	}
	return p, links
}

func (c *Client) send(ctx context.Context, e event) error {
	body, err := json.Marshal(e)
	if err != nil {
		return fate.Wrap(fate.DeadLetter, fmt.Errorf("encode pagerduty event: %w", err))
	}
	a, err := c.post.Post(ctx, c.cfg.URL, body, nil)
	if err != nil {
		return err
	}
	return c.judge(a)
}

// judge reads an answer: 202 is taken, 400 is an event or a key that no second try
// mends, 429 is too many.
func (c *Client) judge(a httppost.Answer) error {
	var said struct {
		Errors []string `json:"errors"`
	}
	_ = json.Unmarshal(a.Body, &said) // a proxy says no JSON, and then there are no words
	switch {
	case a.Status == http.StatusBadRequest && aboutKey(said.Errors):
		return c.post.Fault(a, fate.Halt, "invalid_routing_key")
	case a.Status == http.StatusBadRequest:
		return c.post.Fault(a, fate.DeadLetter, "invalid_event")
	case a.Status == http.StatusTooManyRequests && a.Header.Get("Retry-After") == "":
		a.Header.Set("Retry-After", fmt.Sprint(crowdedWait.Seconds()))
	}
	return c.post.Judge(a)
}

// aboutKey says whether PagerDuty finds fault with the routing key.
func aboutKey(faults []string) bool {
	for _, e := range faults {
		if text := strings.ToLower(e); strings.Contains(text, "routing_key") || strings.Contains(text, "routing key") {
			return true
		}
	}
	return false
}
