package slack

import (
	"fmt"
	"strings"
	"time"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/alerting/internal/outbox"
)

// message is the body of a post: blocks for people with a screen, text for
// notifications, screen readers and whoever cannot show blocks.
type message struct {
	Text        string  `json:"text"`
	Blocks      []block `json:"blocks,omitempty"`
	UnfurlLinks bool    `json:"unfurl_links"`
	UnfurlMedia bool    `json:"unfurl_media"`
}

// plain returns m without blocks, for a receiver that refuses them.
func (m message) plain() message { return message{Text: m.Text} }

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
	sampleMax  = 240
	nameMax    = 253 // the longest domain (RFC 1035, section 2.3.4)
	listMax    = 10  // keys named in a digest; the rest is a number
	textMax    = 3500
	sectionMax = 2900
)

// render makes the message of one notice, or one digest of several.
func render(notices []outbox.Notice) message {
	if len(notices) > 1 {
		return renderDigest(notices)
	}
	if notices[0].Kind == schemas.NotifyResolved {
		return renderResolved(notices[0])
	}
	return renderFiring(notices[0])
}

func renderFiring(n outbox.Notice) message {
	a, f := n.Alert, n.Facts
	title := fmt.Sprintf("Block rate %s at %s", percent(f.Value), target(a.Labels))
	counts := countsLine(f.Counts, a.Window)
	m := message{Blocks: []block{
		header("\U0001F534 " + title),
		fields(
			"*Destination*\n"+code(target(a.Labels)),
			"*Source*\n"+code(a.Labels[schemas.LabelSource]),
			"*Block rate*\n"+percent(f.Value)+" (threshold "+percent(a.Threshold)+")",
			"*Window*\n"+window(a.Window)+", at least "+number(a.MinVolume)+" messages",
			"*Messages*\n"+counts,
			"*Since*\n"+stamp(f.Since),
		),
	}}
	lines := []string{fmt.Sprintf("%s, source %s: %s.", escape(clean(title)), code(a.Labels[schemas.LabelSource]), counts)}
	if causes := causesLine(f.Causes); causes != "" {
		m.Blocks = append(m.Blocks, section("*Blocked, by cause*\n"+causes))
		lines = append(lines, "Causes: "+causes+".")
	}
	if reasons := reasonLines(f.Reasons); len(reasons) > 0 {
		m.Blocks = append(m.Blocks, section("*Top reasons*\n"+strings.Join(reasons, "\n")))
		lines = append(lines, "Top reasons: "+reasonsShort(f.Reasons)+".")
	}
	if len(f.Also) > 0 {
		also := alsoLine(f.Also)
		m.Blocks = append(m.Blocks, section("*The same spike*\n"+also))
		lines = append(lines, "The same spike: "+also+".")
	}
	return finish(m, lines, n)
}

func renderResolved(n outbox.Notice) message {
	a, f := n.Alert, n.Facts
	title := "Block rate is back to normal at " + target(a.Labels)
	now := "*Block rate now*\n" + percent(f.Value)
	switch f.Ended {
	case schemas.EndNoTraffic:
		title = "No more traffic to judge the block rate at " + target(a.Labels)
		now = "*Block rate now*\nno traffic"
	case schemas.EndRuleGone:
		title = "The rule is gone, so the block rate is no longer watched at " + target(a.Labels)
	}
	lasted := n.At.Sub(f.Since).Round(time.Second)
	m := message{Blocks: []block{
		header("\u2705 " + title),
		fields(
			"*Destination*\n"+code(target(a.Labels)),
			"*Source*\n"+code(a.Labels[schemas.LabelSource]),
			now,
			"*Peak*\n"+percent(f.Peak),
			"*Lasted*\n"+lasted.String(),
			"*Messages*\n"+countsLine(f.Counts, a.Window),
		),
	}}
	lines := []string{fmt.Sprintf("%s, source %s. It lasted %s, peak %s; now %s.", escape(clean(title)),
		code(a.Labels[schemas.LabelSource]), lasted, percent(f.Peak), countsLine(f.Counts, a.Window))}
	return finish(m, lines, n)
}

// renderDigest tells many incidents at once, which is what a flood of them means
// to the person who reads it.
func renderDigest(notices []outbox.Notice) message {
	title := fmt.Sprintf("%d destinations over their block rate", len(notices))
	mark := "\U0001F534 "
	if notices[0].Kind == schemas.NotifyResolved {
		title, mark = fmt.Sprintf("%d destinations are back to normal", len(notices)), "\u2705 "
	}
	rows := make([]string, 0, listMax+1)
	for i, n := range notices {
		if i == listMax {
			rows = append(rows, fmt.Sprintf("and %d more: see the alerts API", len(notices)-listMax))
			break
		}
		rows = append(rows, fmt.Sprintf("%s %s of %s, source %s, %s", code(target(n.Alert.Labels)), percent(n.Facts.Value),
			number(n.Facts.Counts.Total()), code(n.Alert.Labels[schemas.LabelSource]), n.Facts.Incident))
	}
	return message{
		Text:   cut(title+": "+strings.Join(rows, "; "), textMax),
		Blocks: []block{header(mark + title), section(strings.Join(rows, "\n"))},
	}
}

// finish adds what every message ends with.
func finish(m message, lines []string, n outbox.Notice) message {
	m.Blocks = append(m.Blocks, block{Type: "context", Elements: []text{
		{"mrkdwn", "rule " + code(n.Alert.Rule) + " · incident " + code(n.Facts.Incident)},
	}})
	lines = append(lines, "Rule "+code(n.Alert.Rule)+", incident "+code(n.Facts.Incident)+".")
	m.Text = cut(strings.Join(lines, " "), textMax)
	return m
}

func header(s string) block {
	return block{Type: "header", Text: &text{"plain_text", cut(clean(s), headerMax)}}
}

func section(s string) block {
	return block{Type: "section", Text: &text{"mrkdwn", cut(s, sectionMax)}}
}

func fields(ss ...string) block {
	b := block{Type: "section"}
	for _, s := range ss {
		b.Fields = append(b.Fields, text{"mrkdwn", s})
	}
	return b
}
