package slack

import (
	"fmt"
	"strings"

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
	listMax    = 10  // keys named in a list; the rest is a number
	textMax    = 3500
	sectionMax = 2900
)

// render makes the message of one notice, or one digest of several.
func render(notices []outbox.Notice) message {
	if len(notices) > 1 {
		return renderDigest(notices)
	}
	switch notices[0].Kind {
	case schemas.NotifyResolved:
		return renderResolved(notices[0])
	case schemas.NotifyNoTraffic:
		return renderNoTraffic(notices[0])
	default:
		return renderFiring(notices[0])
	}
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
			"*Block rate*\n"+against(f.Value, a.Threshold),
			"*Window*\n"+window(a.Window)+", at least "+plural(a.MinVolume, "message"),
			"*Messages*\n"+counts,
			"*Since*\n"+stamp(f.Since),
		),
	}}
	lines := []string{fmt.Sprintf("%s, source %s: %s.", escape(clean(title)), code(a.Labels[schemas.LabelSource]), counts)}
	lines = m.explain(f, lines)
	return finish(m, lines, n)
}

// explain adds why messages were blocked and where else.
func (m *message) explain(f schemas.AlertFacts, lines []string) []string {
	if causes := causesLine(f.Causes); causes != "" {
		m.Blocks = append(m.Blocks, section("*Blocked, by cause*\n"+causes))
		lines = append(lines, "Causes: "+causes+".")
	}
	if reasons := reasonLines(f); len(reasons) > 0 {
		m.Blocks = append(m.Blocks, section("*Top reasons*\n"+strings.Join(reasons, "\n")))
		lines = append(lines, "Top reasons: "+reasonsShort(f)+".")
	}
	if len(f.Also) > 0 {
		also := alsoLine(f.Also)
		m.Blocks = append(m.Blocks, section("*The same spike*\n"+also))
		lines = append(lines, "The same spike: "+also+".")
	}
	return lines
}

func renderResolved(n outbox.Notice) message {
	a, f := n.Alert, n.Facts
	title := "Block rate is back to normal at " + target(a.Labels)
	switch f.Ended {
	case schemas.EndNoTraffic:
		title = "No more traffic to judge the block rate at " + target(a.Labels)
	case schemas.EndRuleGone:
		title = "The rule is gone, so the block rate is no longer watched at " + target(a.Labels)
	}
	lasted := span(n.At.Sub(f.Since))
	m := message{Blocks: []block{
		header("\u2705 " + title),
		fields(
			"*Destination*\n"+code(target(a.Labels)),
			"*Source*\n"+code(a.Labels[schemas.LabelSource]),
			"*Block rate now*\n"+rate(f.Counts),
			"*Peak*\n"+percent(f.Peak),
			"*Lasted*\n"+lasted,
			"*Messages*\n"+countsLine(f.Counts, a.Window),
		),
	}}
	lines := []string{fmt.Sprintf("%s, source %s. It lasted %s, peak %s; now %s.", escape(clean(title)),
		code(a.Labels[schemas.LabelSource]), lasted, percent(f.Peak), countsLine(f.Counts, a.Window))}
	if q := f.NoTraffic; q != nil {
		why := fmt.Sprintf("Too little mail since %s: the incident ended after %s without enough.", stamp(q.Since), span(q.EndsAt.Sub(q.Since)))
		m.Blocks = append(m.Blocks, section(why))
		lines = append(lines, why)
	}
	if n.Began != nil {
		why := fmt.Sprintf("It began %s with %s; that message could not be delivered.", stamp(f.Since), countsLine(n.Began.Counts, a.Window))
		m.Blocks = append(m.Blocks, section(why))
		lines = m.explain(*n.Began, append(lines, why))
	}
	return finish(m, lines, n)
}

// renderNoTraffic tells that nothing can be told: the mail stopped, often because
// somebody stopped it.
func renderNoTraffic(n outbox.Notice) message {
	a, f := n.Alert, n.Facts
	title := "Too little mail to judge the block rate at " + target(a.Labels)
	m := message{Blocks: []block{
		header("\u26AA " + title),
		fields(
			"*Destination*\n"+code(target(a.Labels)),
			"*Source*\n"+code(a.Labels[schemas.LabelSource]),
			"*Messages*\n"+countsLine(f.Counts, a.Window),
			"*Peak*\n"+percent(f.Peak),
			"*Incident since*\n"+stamp(f.Since),
		),
	}}
	lines := []string{fmt.Sprintf("%s, source %s: %s.", escape(clean(title)), code(a.Labels[schemas.LabelSource]), countsLine(f.Counts, a.Window))}
	if q := f.NoTraffic; q != nil {
		why := fmt.Sprintf("The last time there was enough was %s. The incident stays open; without new mail it ends %s.", stamp(q.Since), stamp(q.EndsAt))
		m.Blocks = append(m.Blocks, section(why))
		lines = append(lines, why)
	}
	return finish(m, lines, n)
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
