package wording

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/alerting/internal/outbox"
)

// digest is the message about many incidents at once, which is what a flood of them
// means to the person who reads it.
func (w Writer) digest(notices []outbox.Notice) Message {
	places := destinations(notices)
	count := plural(int64(len(places)), "destination")
	what := "block rate"
	m := Message{Kind: notices[0].Kind, Severity: schemas.SeverityInfo}
	for i := range notices {
		if !blocks(&notices[i].Alert) {
			what = "threshold"
		}
		if rank(severity(&notices[i].Alert)) > rank(m.Severity) {
			m.Severity = severity(&notices[i].Alert)
		}
	}
	switch m.Kind {
	case schemas.NotifyResolved:
		m.Title = "Block spikes are over at " + count
		if what == "threshold" {
			m.Title = "Incidents are over at " + count
		}
	case schemas.NotifyNoTraffic:
		m.Title = "Too little mail to judge the " + what + " at " + count
	case schemas.NotifyRepeat:
		m.Title = count + " still over their " + what
	default:
		m.Title = count + " over their " + what
	}
	rows, rules := w.fit(places, rowsMax), w.rules(notices)
	m.Sections = []Section{{Lines: rows}}
	m.Footer = rules
	m.Summary = m.Title + ": " + strings.Join(rows, "; ") + "; " + rules
	return m
}

// rank orders severities.
func rank(s schemas.AlertSeverity) int { return slices.Index(schemas.AlertSeverities(), s) }

// rules names the rules of the notices with what they compare.
func (w Writer) rules(notices []outbox.Notice) string {
	const rulesMax = 5 // named; more are a number
	var said []string
	for i := range notices {
		a := &notices[i].Alert
		says := fmt.Sprintf("rule %s (threshold %s in %s)", w.Code(a.Rule), percent(a.Threshold), w.Plain(window(a.Window)))
		if aboutReceiver(a) {
			says = "rule " + w.Code(a.Rule)
		}
		if !slices.Contains(said, says) {
			said = append(said, says)
		}
	}
	if n := len(said); n > rulesMax {
		said = append(said[:rulesMax], plural(int64(n-rulesMax), "further rule"))
	}
	return strings.Join(said, ", ")
}

// destinations returns one notice a place that mail goes to, the loudest first.
// Several alerts may be about one: of two sources, of two rules, or of a mailbox
// provider and its domains, which then stand for it.
func destinations(notices []outbox.Notice) []outbox.Notice {
	type group struct{ source, name string }
	domains := make(map[group]bool)
	for _, n := range notices {
		if n.Alert.Labels[schemas.DimensionDomain] != "" {
			domains[group{n.Alert.Labels[schemas.LabelSource], n.Alert.Group}] = true
		}
	}
	sorted := slices.Clone(notices)
	slices.SortStableFunc(sorted, func(a, b outbox.Notice) int { return cmp.Compare(b.Facts.Counts.Blocked, a.Facts.Counts.Blocked) })
	var out []outbox.Notice
	seen := make(map[string]bool)
	for _, n := range sorted {
		provider := n.Alert.Labels[schemas.DimensionProvider] != ""
		place := Target(n.Alert.Labels)
		switch {
		case provider && domains[group{n.Alert.Labels[schemas.LabelSource], n.Alert.Group}]:
		case seen[place]:
		default:
			seen[place] = true
			out = append(out, n)
		}
	}
	return out
}

// fit returns a line for each of the first places, as many as most runes hold,
// and says how many are left out.
func (w Writer) fit(places []outbox.Notice, most int) []string {
	rows := make([]string, 0, listMax+1)
	left := most - utf8.RuneCountInString(more(len(places)))
	for i := range places {
		r := w.row(&places[i])
		left -= utf8.RuneCountInString(r) + 1
		if i == listMax || left < 0 {
			return append(rows, more(len(places)-i))
		}
		rows = append(rows, r)
	}
	return rows
}

func more(n int) string { return fmt.Sprintf("and %s more: see the alerts API", number(int64(n))) }

func (w Writer) row(n *outbox.Notice) string {
	says := rateNow(&n.Alert, &n.Facts)
	if total := n.Facts.Counts.Total(); total > 0 && blocks(&n.Alert) {
		says += " of " + number(total)
	}
	switch {
	case aboutReceiver(&n.Alert):
		says = w.Code(n.Facts.Answer)
	case n.Facts.Ended == schemas.EndNoTraffic:
		says = "too little mail"
	case n.Facts.Ended == schemas.EndRuleGone:
		says = "rule removed"
	case !blocks(&n.Alert):
		says = subjectOf(&n.Alert).lower() + " " + says
	}
	if n.Began != nil {
		says += ", began " + w.Time(n.Facts.Since)
	}
	return fmt.Sprintf("%s %s, source %s, %s", w.Code(Target(n.Alert.Labels)), says, w.Code(sourceOf(n.Alert.Labels)), n.Facts.Incident)
}
