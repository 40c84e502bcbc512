package wording

import (
	"fmt"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/alerting/internal/metric"
	"github.com/mailstream/mailstream/services/alerting/internal/outbox"
)

// notJudged says that rules could not be judged, or are once more. It is the short form
// of docs/rules/not_judged.md.
func (w Writer) notJudged(n *outbox.Notice) (m Message, lines []string) {
	a, f := &n.Alert, &n.Facts
	rules, counted, helps := "by SQL", "of these rules", "See whether ClickHouse answers, and whether analytics stores what Kafka has; the log of alerting says what went wrong."
	if a.Labels[metric.All] == metric.OfStream {
		rules, counted, helps = "from the stream", "partitions of the events", "See whether Kafka lets every partition be read, and whether an instance of alerting hangs."
	}
	lasted := span(n.At.Sub(f.Since))
	if n.Kind == schemas.NotifyResolved {
		m.Title = "Rules " + rules + " are judged again, back to normal"
		if f.Ended == schemas.EndRuleGone {
			m.Title = "There are no more rules " + rules + " to judge"
		}
		m.Facts = []Fact{{"Lasted", lasted}}
		return m, []string{fmt.Sprintf("%s. It lasted %s.", m.Title, lasted)}
	}
	m.Title = "Rules " + rules + " are not judged"
	if n.Kind == schemas.NotifyRepeat {
		m.Title = "Rules " + rules + " are still not judged"
	}
	m.Facts = []Fact{{"Since", w.Time(f.Since)}, {"Lasts", lasted}}
	lines = []string{m.Title + "."}
	if f.Measure != nil {
		concerned := fmt.Sprintf("%s of %s", number(f.Measure.Numerator), number(f.Measure.Denominator))
		m.Facts = append([]Fact{{"Concerned", concerned + " " + counted}}, m.Facts...)
		lines = []string{fmt.Sprintf("%s: %s %s.", m.Title, concerned, counted)}
	}
	const holds = "What they would find is not seen, and their incidents do not end meanwhile."
	m.Sections = []Section{{Lines: []string{holds}}, {Title: "What usually helps", Lines: []string{w.Plain(helps)}}}
	return m, append(lines, holds, "What usually helps: "+w.Plain(helps))
}
