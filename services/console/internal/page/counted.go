package page

import (
	"context"
	"slices"

	"github.com/mailstream/mailstream/services/console/internal/history"
)

// storyAfter is how long after the last event of a timeline an incident may begin that
// counts it: the longest window of a rule.
const storyAfter = 7 * day

// countIn notes at each event in which of the incidents it counted.
func (s *Site) countIn(ctx context.Context, events []history.Event, incidents []history.Incident) error {
	if err := s.readTraits(ctx, events, incidents); err != nil {
		return err
	}
	s.mark(events, incidents)
	return nil
}

// mark is countIn with what is known of the events.
func (s *Site) mark(events []history.Event, incidents []history.Incident) {
	messages := history.Messages(events)
	for _, in := range incidents {
		rule := s.ruleOf(in.Rule)
		counts := func(e *history.Event) bool { return measured(in, e) && rule.Match.takes(e) }
		for i := range events {
			if e := &events[i]; counts(e) && in.About(e, messages[e], counts) {
				e.IncidentsCounted = append(e.IncidentsCounted, in.ID)
			}
		}
	}
}

// readTraits reads the tags and streams of the events that incidents need them of.
func (s *Site) readTraits(ctx context.Context, events []history.Event, incidents []history.Incident) error {
	incidents = slices.DeleteFunc(slices.Clone(incidents), func(in history.Incident) bool {
		return !in.Tagged() && len(s.ruleOf(in.Rule).Match.Stream) == 0
	})
	var wanted []*history.Event
	for i := range events {
		e := &events[i]
		if slices.ContainsFunc(incidents, func(in history.Incident) bool { return measured(in, e) }) {
			wanted = append(wanted, e)
		}
	}
	return s.History.Traits(ctx, wanted)
}

// ruleOf is the rule of that name, the zero value where none is configured.
func (s *Site) ruleOf(name string) Rule {
	if i := slices.IndexFunc(s.World.Rules, func(r Rule) bool { return r.Name == name }); i >= 0 {
		return s.World.Rules[i]
	}
	return Rule{}
}

// measured says whether an event is of the time of an incident, and of a kind that its rule
// measures.
func measured(in history.Incident, e *history.Event) bool {
	if in.Metric == "complaint_rate" && e.Type == "delivered" && e.MailboxProvider == "google" {
		return false // google reports no complaints
	}
	return slices.Contains(measureOf(in.Metric).events, e.Type) && in.During(e)
}

// takes says whether an event passes, as in docs/rules: what has no cause and no reason
// passes both.
func (m Match) takes(e *history.Event) bool {
	stream := ""
	if len(m.Stream) > 0 {
		if e.Trait == nil {
			return false // not known
		}
		stream = e.Trait.Stream
	}
	return (e.Cause == "" || fits(m.Cause, e.Cause)) && (e.Reason == "" || fits(m.Reason, e.Reason)) && fits(m.Type, e.Type) && fits(m.Stream, stream)
}

// fits says whether a value is one of the words, where any is without !, and none of those
// with it.
func fits(words []string, value string) bool {
	wanted, found := false, false
	for _, w := range words {
		if w == "!"+value {
			return false
		}
		if w == "" || w[0] != '!' {
			wanted, found = true, found || w == value
		}
	}
	return !wanted || found
}
