package slack

import (
	"fmt"
	"strings"
	"time"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/alerting/internal/outbox"
	"github.com/mailstream/mailstream/services/alerting/internal/wording"
)

// message is the body of a message: blocks for people with a screen, text for
// notifications, screen readers and whoever cannot show blocks.
type message struct {
	Channel     string  `json:"channel,omitempty"`   // chat.postMessage and chat.update only
	TS          string  `json:"ts,omitempty"`        // chat.update only
	ThreadTS    string  `json:"thread_ts,omitempty"` // a reply in the thread of that message
	Broadcast   bool    `json:"reply_broadcast,omitempty"`
	Text        string  `json:"text"`
	Blocks      []block `json:"blocks,omitempty"`
	UnfurlLinks bool    `json:"unfurl_links"`
	UnfurlMedia bool    `json:"unfurl_media"`
}

// plain returns m without blocks, for a receiver that refuses them.
func (m message) plain() message {
	m.Blocks = nil
	return m
}

type block struct {
	Type     string `json:"type"`
	Text     *text  `json:"text,omitempty"`
	Fields   []text `json:"fields,omitempty"`
	Elements []text `json:"elements,omitempty"`
}

type text struct {
	Type string `json:"type"` // "mrkdwn" or "plain_text"
	Text string `json:"text"`
}

// Slack's own limits and ours below them, in runes. All blocks together stay
// under 6,000: Slack refuses about 13,000 without saying so in its documents.
const (
	headerMax  = 150
	textMax    = 3500
	sectionMax = 2900
)

// markup is Slack's mrkdwn.
type markup struct{}

// Plain escapes what the markup gives a meaning.
func (markup) Plain(s string) string { return escape(wording.Clean(s)) }

// Code makes a code span, where no other markup works and no domain becomes a link.
func (markup) Code(s string) string { return code(s) }

// Time lets Slack show everybody their own time.
func (markup) Time(t time.Time) string {
	return fmt.Sprintf("<!date^%d^{date_short_pretty} {time_secs}|%s>", t.Unix(), wording.UTC(t))
}

// escape replaces the three characters that Slack's markup gives a meaning,
// which also stops mentions and links in what others wrote.
func escape(s string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace(s)
}

func code(s string) string {
	s = strings.TrimSpace(strings.ReplaceAll(wording.Clean(s), "`", "'"))
	if s == "" {
		s = "-"
	}
	return "`" + escape(s) + "`"
}

// render makes the message about one notice, or one digest of several.
func render(notices []outbox.Notice, links wording.Links) message {
	m := wording.Writer{Markup: markup{}, Links: links}.Of(notices)
	p := message{Text: wording.Cut(m.Summary, textMax), Blocks: []block{header(mark(m.Kind) + " " + m.Title)}}
	if len(m.Facts) > 0 {
		p.Blocks = append(p.Blocks, fields(m.Facts))
	}
	for _, s := range m.Sections {
		body := strings.Join(s.Lines, "\n")
		if s.Title != "" {
			body = "*" + s.Title + "*\n" + body
		}
		p.Blocks = append(p.Blocks, block{Type: "section", Text: &text{"mrkdwn", wording.Cut(body, sectionMax)}})
	}
	footer := m.Footer
	for _, l := range m.Links {
		footer += " · <" + escape(l.URL) + "|" + l.Name + ">"
	}
	p.Blocks = append(p.Blocks, block{Type: "context", Elements: []text{{"mrkdwn", wording.Cut(footer, sectionMax)}}})
	return p
}

// mark is the sign that a title begins with.
func mark(kind string) string {
	switch kind {
	case schemas.NotifyResolved:
		return "\u2705"
	case schemas.NotifyNoTraffic:
		return "\u26AA"
	default:
		return "\U0001F534"
	}
}

func header(s string) block {
	return block{Type: "header", Text: &text{"plain_text", wording.Cut(wording.Clean(s), headerMax)}}
}

func fields(facts []wording.Fact) block {
	b := block{Type: "section"}
	for _, f := range facts {
		b.Fields = append(b.Fields, text{"mrkdwn", "*" + f.Name + "*\n" + f.Value})
	}
	return b
}
