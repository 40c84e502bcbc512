// Package wording says in words what an alert or many of them mean: one text for
// all receivers, which each writes in its own markup and within its own limits.
//
// It sends nothing and knows no receiver.
package wording

import (
	"fmt"
	"strings"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/alerting/internal/metric"
	"github.com/mailstream/mailstream/services/alerting/internal/outbox"
)

// Message is what people read.
type Message struct {
	Kind     string                // schemas.NotifyFiring, ...
	Severity schemas.AlertSeverity // the most urgent of what it is about
	Title    string                // one line without markup
	Facts    []Fact
	Sections []Section
	Links    []Link
	Footer   string
	// Summary says it all in sentences, for who sees no more than text.
	Summary string
}

// Fact is a name and a value in markup.
type Fact struct{ Name, Value string }

// Section is a paragraph; Title may be empty. Lines are in markup.
type Section struct {
	Title string
	Lines []string
}

// Link leads to more. URL is not escaped for any markup.
type Link struct{ Name, URL string }

// Writer writes messages in one markup.
type Writer struct {
	Markup
	Links Links
}

// Of makes the message of one notice, or one digest of several.
func (w Writer) Of(notices []outbox.Notice) Message {
	if len(notices) > 1 {
		return w.digest(notices)
	}
	n := &notices[0]
	var m Message
	var lines []string
	switch {
	case aboutReceiver(&n.Alert):
		m, lines = w.receiver(n)
	case n.Alert.Metric == metric.NotJudged:
		m, lines = w.notJudged(n)
	case n.Kind == schemas.NotifyResolved && !n.Facts.Late:
		m, lines = w.resolved(n)
	case n.Kind == schemas.NotifyNoTraffic:
		m, lines = w.noTraffic(n)
	default:
		m, lines = w.firing(n)
	}
	m.Kind, m.Severity = n.Kind, severity(&n.Alert)
	m.Links = w.Links.of(n)
	m.Footer = "rule " + w.Code(n.Alert.Rule) + " · incident " + w.Code(n.Facts.Incident)
	m.Summary = strings.Join(append(lines, "Rule "+w.Code(n.Alert.Rule)+", incident "+w.Code(n.Facts.Incident)+"."), " ")
	return m
}

// severity returns how urgent an alert is; records of older writers do not say.
func severity(a *schemas.Alert) schemas.AlertSeverity {
	if a.Severity == "" {
		return schemas.SeverityCritical
	}
	return a.Severity
}

// about returns the facts that say where it is.
func (w Writer) about(a *schemas.Alert) []Fact {
	word, value := place(a.Labels)
	if word == "Feed" {
		return []Fact{{"Source", w.Code(value)}}
	}
	return []Fact{{word, w.Code(value)}, {"Source", w.Code(sourceOf(a.Labels))}}
}

// open begins the sentences of a message with its title, and the source where that does
// not have it already.
func (w Writer) open(m *Message, a *schemas.Alert, rest string) []string {
	source, name := ", all sources", a.Labels[schemas.LabelSource]
	if name != "" {
		source = ", source " + w.Code(name)
	}
	if word, _ := place(a.Labels); word == "Feed" || word == "Mail" {
		source = ""
	}
	return []string{w.Plain(m.Title) + source + rest}
}

func (w Writer) firing(n *outbox.Notice) (m Message, lines []string) {
	a, f := &n.Alert, &n.Facts
	s, counts, still := subjectOf(a), countsLine(a, f), ""
	if n.Kind == schemas.NotifyRepeat {
		still = "still "
	}
	m.Title = fmt.Sprintf("%s %s%s at %s", s.name, still, percent(f.Value), where(a.Labels))
	if a.Metric == metric.Silence {
		m.Title = "Feed " + Target(a.Labels) + " is " + still + "silent"
	}
	if f.Late {
		m.Title = "Seen late: " + m.Title
	}
	m.Facts = append(w.about(a),
		Fact{s.name, against(f.Value, a.Threshold)},
		Fact{"Window", w.Plain(window(a.Window)) + ", at least " + plural(a.MinVolume, "message")},
		Fact{"Messages", w.Plain(counts)},
		Fact{"Since", w.Time(f.Since)},
	)
	if still != "" {
		m.Facts = append(m.Facts, Fact{"Peak", percent(f.Peak)}, Fact{"Lasts", span(n.At.Sub(f.Since))})
	}
	lines = w.explain(&m, a, f, w.open(&m, a, ": "+w.Plain(counts)+"."))
	if f.Flapping {
		const flapping = "It comes and goes: the third time within an hour. This is one incident now, which ends when it was quiet for an hour."
		m.Sections = append(m.Sections, Section{Lines: []string{flapping}})
		lines = append(lines, flapping)
	}
	if f.Late {
		late := fmt.Sprintf("It is over and lasted %s. Its events came only after their window had passed, so nobody was called.", span(n.Alert.ResolvedAt.Sub(f.Since)))
		m.Sections = append(m.Sections, Section{Lines: []string{late}})
		lines = append(lines, late)
	}
	return m, lines
}

// explain adds why messages were refused, where else, who carries it and what helps.
func (w Writer) explain(m *Message, a *schemas.Alert, f *schemas.AlertFacts, lines []string) []string {
	add := func(title string, body []string, short string) {
		if len(body) > 0 && body[0] != "" {
			m.Sections = append(m.Sections, Section{Title: title, Lines: body})
			lines = append(lines, short)
		}
	}
	causes, also := "", w.alsoLine(f.Also)
	if countsBlocks(a) {
		causes = w.causesLine(f.Causes)
	}
	add("Blocked, by cause", []string{causes}, "Causes: "+causes+".")
	add("Top reasons", w.reasonLines(*f), "Top reasons: "+w.reasonsShort(*f)+".")
	carriers := w.carrierLines(a.Metric, f.Carriers)
	if cover := carriersCover(f); cover != "" {
		carriers = append(carriers, cover)
	}
	add("Who carries it", carriers, "Carried by "+strings.Join(carriers, "; ")+".")
	add("The same spike", []string{also}, "The same spike: "+also+".")
	helps := advice(a, f)
	add("What usually helps", []string{w.Plain(helps)}, "What usually helps: "+w.Plain(helps))
	return lines
}

func (w Writer) resolved(n *outbox.Notice) (m Message, lines []string) {
	a, f := &n.Alert, &n.Facts
	s, counts := subjectOf(a), w.Plain(countsLine(a, f))
	m.Title = s.name + " is back to normal at " + where(a.Labels)
	if a.Metric == metric.Silence {
		m.Title = "Feed " + Target(a.Labels) + " speaks again"
	}
	switch f.Ended {
	case schemas.EndNoTraffic:
		m.Title = "No more traffic to judge the " + s.lower() + " at " + where(a.Labels)
	case schemas.EndRuleGone:
		m.Title = "The rule is gone, so the " + s.lower() + " is no longer watched at " + where(a.Labels)
	}
	lasted := span(n.At.Sub(f.Since))
	m.Facts = append(w.about(a),
		Fact{s.name + " now", rateNow(a, f)},
		Fact{"Peak", percent(f.Peak)},
		Fact{"Lasted", lasted},
		Fact{"Messages", counts},
	)
	lines = w.open(&m, a, fmt.Sprintf(". It lasted %s, peak %s; now %s.", lasted, percent(f.Peak), counts))
	if q := f.NoTraffic; q != nil {
		why := fmt.Sprintf("Too little mail since %s: the incident ended after %s without enough.", w.Time(q.Since), span(q.EndsAt.Sub(q.Since)))
		m.Sections = append(m.Sections, Section{Lines: []string{why}})
		lines = append(lines, why)
	}
	if n.Began != nil {
		why := fmt.Sprintf("It began %s with %s; that message could not be delivered.", w.Time(f.Since), w.Plain(countsLine(a, n.Began)))
		m.Sections = append(m.Sections, Section{Lines: []string{why}})
		lines = w.explain(&m, a, n.Began, append(lines, why))
	}
	return m, lines
}

// noTraffic says that nothing can be said: the mail stopped, often because somebody
// stopped it.
func (w Writer) noTraffic(n *outbox.Notice) (m Message, lines []string) {
	a, f := &n.Alert, &n.Facts
	counts := w.Plain(countsLine(a, f))
	m.Title = "Too little mail to judge the " + subjectOf(a).lower() + " at " + where(a.Labels)
	m.Facts = append(w.about(a),
		Fact{"Messages", counts},
		Fact{"Peak", percent(f.Peak)},
		Fact{"Incident since", w.Time(f.Since)},
	)
	lines = w.open(&m, a, ": "+counts+".")
	if q := f.NoTraffic; q != nil {
		why := fmt.Sprintf("The last time there was enough was %s. The incident stays open; without new mail it ends %s.", w.Time(q.Since), w.Time(q.EndsAt))
		m.Sections = append(m.Sections, Section{Lines: []string{why}})
		lines = append(lines, why)
	}
	return m, lines
}

// receiver says that one of our receivers takes no messages, or does once more.
func (w Writer) receiver(n *outbox.Notice) (m Message, lines []string) {
	f, name := &n.Facts, Target(n.Alert.Labels)
	m.Facts = []Fact{{"Receiver", w.Code(name)}, {"Its answer", w.Code(f.Answer)}}
	switch {
	case n.Kind == schemas.NotifyResolved && f.Ended == schemas.EndRuleGone:
		m.Title = "Receiver " + name + " is no longer configured"
	case n.Kind == schemas.NotifyResolved && f.Ended == schemas.EndNoTraffic:
		m.Title = "No message waits for receiver " + name + " any more"
	case n.Kind == schemas.NotifyResolved:
		m.Title = "Receiver " + name + " takes messages"
		m.Facts = append(m.Facts, Fact{"Lasted", span(n.At.Sub(f.Since))})
	default:
		m.Title = "Receiver " + name + " does not take messages"
		m.Facts = append(m.Facts, Fact{"Since", w.Time(f.Since)})
		const helps = "Compare the receiver's address, key and rights with docs/receivers, then try it with: mailstream alerts test-receiver"
		m.Sections = []Section{{Title: "What usually helps", Lines: []string{helps + " " + w.Code(name)}}}
	}
	lines = []string{w.Plain(m.Title) + ": " + w.Code(f.Answer) + "."}
	for _, s := range m.Sections {
		lines = append(lines, strings.Join(s.Lines, " ")+".")
	}
	return m, lines
}
