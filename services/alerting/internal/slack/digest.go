package slack

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/alerting/internal/outbox"
)

// renderDigest tells many incidents at once, which is what a flood of them means
// to the person who reads it.
func renderDigest(notices []outbox.Notice) message {
	places := destinations(notices)
	count := plural(int64(len(places)), "destination")
	title, mark := count+" over their block rate", "\U0001F534 "
	switch notices[0].Kind {
	case schemas.NotifyResolved:
		title, mark = "Block spikes are over at "+count, "\u2705 "
	case schemas.NotifyNoTraffic:
		title, mark = "Too little mail to judge the block rate at "+count, "\u26AA "
	}
	rows := fit(places, sectionMax)
	return message{
		Text:   cut(title+": "+strings.Join(rows, "; "), textMax),
		Blocks: []block{header(mark + title), section(strings.Join(rows, "\n"))},
	}
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
		place := target(n.Alert.Labels)
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
func fit(places []outbox.Notice, most int) []string {
	rows := make([]string, 0, listMax+1)
	left := most - utf8.RuneCountInString(more(len(places)))
	for i, n := range places {
		r := row(n)
		left -= utf8.RuneCountInString(r) + 1
		if i == listMax || left < 0 {
			return append(rows, more(len(places)-i))
		}
		rows = append(rows, r)
	}
	return rows
}

func more(n int) string { return fmt.Sprintf("and %s more: see the alerts API", number(int64(n))) }

func row(n outbox.Notice) string {
	says := rate(n.Facts.Counts) + " of " + number(n.Facts.Counts.Total())
	if n.Facts.Counts.Total() == 0 {
		says = rate(n.Facts.Counts)
	}
	switch n.Facts.Ended {
	case schemas.EndNoTraffic:
		says = "too little mail"
	case schemas.EndRuleGone:
		says = "rule removed"
	}
	if n.Began != nil {
		says += ", began " + stamp(n.Facts.Since)
	}
	return fmt.Sprintf("%s %s, source %s, %s", code(target(n.Alert.Labels)), says, code(n.Alert.Labels[schemas.LabelSource]), n.Facts.Incident)
}
