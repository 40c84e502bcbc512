// Package teams posts adaptive cards to a workflow of Microsoft Teams. The workflow
// says that it accepted a card, and never whether anybody saw it.
//
// It does not retry by itself: the outbox does, by the fate of the error.
package teams

import (
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

// Config is a workflow that begins with a webhook.
type Config struct {
	// URL is the address that the workflow shows; who knows it can post. Required.
	URL config.Secret `yaml:"url"`
}

const (
	// cardBytesMax is the most a message may have: Teams drops what is above 28 KB.
	cardBytesMax = 28_000
	// textMax bounds one paragraph, in runes.
	textMax = 2_900
	// pace is far below the 4 requests a second that Teams takes.
	pace = time.Second
	// digestMin and digestMax are those of other receivers that people read.
	digestMin, digestMax = 8, 500
)

// Validate reports every fault to p.
func (c Config) Validate(p *config.Problems) { httppost.CheckURL(p, "url", c.URL.Reveal()) }

// Client posts to one workflow.
type Client struct {
	url   config.Secret
	post  *httppost.Client
	words wording.Writer
}

// New returns a client for the workflow.
func New(cfg Config, links wording.Links, transport http.RoundTripper) *Client {
	return &Client{url: cfg.URL, post: httppost.New("teams", transport), words: wording.Writer{Markup: wording.Text{}, Links: links}}
}

// Terms keeps the pace that Teams takes.
func (*Client) Terms() outbox.Terms {
	return outbox.Terms{Pace: pace, DigestMin: digestMin, DigestMax: digestMax}
}

// message is what the workflow takes (Adaptive Cards 1.2). Text is in RichTextBlocks,
// which know no markup: what others wrote cannot become a link.
type message struct {
	Type        string       `json:"type"`
	Attachments []attachment `json:"attachments"`
}

type attachment struct {
	ContentType string  `json:"contentType"`
	ContentURL  *string `json:"contentUrl"`
	Content     card    `json:"content"`
}

type card struct {
	Schema  string   `json:"$schema"`
	Type    string   `json:"type"`
	Version string   `json:"version"`
	Body    []block  `json:"body"`
	Actions []action `json:"actions,omitempty"`
}

type block struct {
	Type    string `json:"type"`
	Inlines []run  `json:"inlines"`
}

type run struct {
	Type   string `json:"type"`
	Text   string `json:"text"`
	Weight string `json:"weight,omitempty"`
	Size   string `json:"size,omitempty"`
	Color  string `json:"color,omitempty"`
	Subtle bool   `json:"isSubtle,omitempty"`
}

type action struct {
	Type  string `json:"type"`
	Title string `json:"title"`
	URL   string `json:"url"`
}

// Deliver posts one card about the notices.
func (c *Client) Deliver(ctx context.Context, notices []outbox.Notice) error {
	body, err := c.body(c.words.Of(notices))
	if err != nil {
		return err
	}
	a, err := c.post.Post(ctx, c.url.Reveal(), body, nil)
	if err != nil {
		return err
	}
	return c.judge(a)
}

// body encodes the card, without its last sections where it is too large.
func (c *Client) body(m wording.Message) ([]byte, error) {
	for {
		body, err := json.Marshal(wrap(cardOf(m)))
		if err != nil {
			return nil, fate.Wrap(fate.DeadLetter, fmt.Errorf("encode teams card: %w", err))
		}
		if len(body) <= cardBytesMax {
			return body, nil
		}
		if len(m.Sections) == 0 {
			return nil, c.post.Refuse(fate.DeadLetter, "too_large")
		}
		m.Sections = m.Sections[:len(m.Sections)-1]
	}
}

func wrap(c card) message {
	return message{Type: "message", Attachments: []attachment{{ContentType: "application/vnd.microsoft.card.adaptive", Content: c}}}
}

func cardOf(m wording.Message) card {
	c := card{Schema: "http://adaptivecards.io/schemas/adaptive-card.json", Type: "AdaptiveCard", Version: "1.2"}
	c.add(run{Text: m.Title, Weight: "Bolder", Size: "Large", Color: color(m)})
	for _, f := range m.Facts {
		c.add(run{Text: f.Name + ": ", Weight: "Bolder"}, run{Text: f.Value})
	}
	for _, s := range m.Sections {
		if s.Title != "" {
			c.add(run{Text: s.Title, Weight: "Bolder"})
		}
		c.add(run{Text: wording.Cut(strings.Join(s.Lines, "\n"), textMax)})
	}
	c.add(run{Text: m.Footer, Subtle: true})
	for _, l := range m.Links {
		c.Actions = append(c.Actions, action{"Action.OpenUrl", l.Name, l.URL})
	}
	return c
}

func (c *card) add(runs ...run) {
	for i := range runs {
		runs[i].Type = "TextRun"
	}
	c.Body = append(c.Body, block{Type: "RichTextBlock", Inlines: runs})
}

func color(m wording.Message) string {
	switch {
	case m.Kind == schemas.NotifyResolved:
		return "Good"
	case m.Severity == schemas.SeverityCritical:
		return "Attention"
	default:
		return "Warning"
	}
}

// judge reads an answer: 202 is accepted. A workflow that is gone or switched off says
// so with a code of its own and 400, which only a person can mend.
func (c *Client) judge(a httppost.Answer) error {
	var said struct {
		Error struct {
			Code string `json:"code"`
		} `json:"error"`
	}
	_ = json.Unmarshal(a.Body, &said) // most answers have no body
	switch {
	case a.OK() && strings.HasPrefix(strings.TrimSpace(string(a.Body)), "<"): // a login or a proxy
		return c.post.Fault(a, fate.Halt, "not_teams")
	case a.Status == http.StatusBadRequest && strings.HasPrefix(said.Error.Code, "Workflow"):
		return c.post.Fault(a, fate.Halt, "workflow_unavailable")
	}
	return c.post.Judge(a)
}
