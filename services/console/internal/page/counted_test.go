package page

import (
	"slices"
	"testing"
	"time"

	"github.com/mailstream/mailstream/services/console/internal/history"
)

// TestStory_CountsWhatTheRuleCounts has an event be part only of incidents about its kind,
// its time and what their rules take.
func TestStory_CountsWhatTheRuleCounts(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 3, 4, 9, 0, 0, 0, time.UTC)
	end := at.Add(time.Hour)
	type change struct {
		event    func(*history.Event)
		incident func(*history.Incident)
		match    Match
	}
	metric := func(name, kind string) change {
		return change{func(e *history.Event) { e.Type = kind }, func(in *history.Incident) { in.Metric = name }, Match{}}
	}
	taking := func(m Match) change { return change{match: m} }
	when := func(time time.Time) change {
		return change{event: func(e *history.Event) { e.Time, e.ReceivedAt = time, time }}
	}
	labels := func(labels map[string]string) change {
		return change{incident: func(in *history.Incident) { in.Labels = labels }}
	}
	for name, tc := range map[string]struct {
		change
		want bool
	}{
		"a block":                          {metric("block_rate", "blocked"), true},
		"a delivery":                       {metric("block_rate", "delivered"), true},
		"an open":                          {metric("block_rate", "opened"), false},
		"a complaint":                      {metric("complaint_rate", "complained"), true},
		"a block, about complaints":        {metric("complaint_rate", "blocked"), false},
		"a delivery, about silence":        {metric("silence", "delivered"), false},
		"a rule that is gone":              {metric("", "blocked"), false},
		"a delivery to google, complaints": {change{event: func(e *history.Event) { e.Type, e.MailboxProvider = "delivered", "google" }, incident: func(in *history.Incident) { in.Metric = "complaint_rate" }}, false},
		"the window before":                {when(at.Add(-14 * time.Minute)), true},
		"before the window":                {when(at.Add(-15 * time.Minute)), false},
		"at the end":                       {when(end), true},
		"after the end":                    {when(end.Add(time.Second)), false},
		"received too late":                {change{event: func(e *history.Event) { e.ReceivedAt = e.Time.Add(16 * time.Minute) }}, false},
		"late, found afterwards":           {change{event: func(e *history.Event) { e.ReceivedAt = e.Time.Add(time.Hour) }, incident: func(in *history.Incident) { in.Late = true }}, true},
		"the cause":                        {taking(Match{Cause: []string{"sender", "content"}}), true},
		"another cause":                    {taking(Match{Cause: []string{"content"}}), false},
		"a cause left out":                 {taking(Match{Cause: []string{"!sender"}}), false},
		"another cause left out":           {taking(Match{Cause: []string{"!provider"}}), true},
		"the reason":                       {taking(Match{Reason: []string{"blocklist"}}), true},
		"a reason left out":                {taking(Match{Reason: []string{"!blocklist"}}), false},
		"another type":                     {taking(Match{Type: []string{"bounced"}}), false},
		"a delivery has no cause":          {change{event: func(e *history.Event) { e.Type, e.Cause, e.Reason = "delivered", "", "" }, match: Match{Cause: []string{"content"}, Reason: []string{"policy"}}}, true},
		"the stream":                       {change{event: func(e *history.Event) { e.Trait = &history.Trait{Stream: "news"} }, match: Match{Stream: []string{"news"}}}, true},
		"another stream":                   {change{event: func(e *history.Event) { e.Trait = &history.Trait{Stream: "news"} }, match: Match{Stream: []string{"!news"}}}, false},
		"no stream, one left out":          {change{event: func(e *history.Event) { e.Trait = &history.Trait{} }, match: Match{Stream: []string{"!news"}}}, true},
		"a stream that is not known":       {taking(Match{Stream: []string{"!news"}}), false},
		"a tag that is not known":          {labels(map[string]string{"source": "shop", "tag": "invoice"}), false},
		"all mail":                         {labels(map[string]string{"all": "all"}), true},
		"the stream's counts":              {labels(map[string]string{"all": "stream"}), false},
		"a label that is none of mail":     {labels(map[string]string{"receiver": "pager"}), false},
		"no label":                         {labels(nil), false},
		"one label of two":                 {labels(map[string]string{"source": "shop", "campaign": "spring"}), false},
	} {
		e := history.Event{ID: "e", Source: "shop", Type: "blocked", Cause: "sender", Reason: "blocklist", Time: at, ReceivedAt: at}
		in := history.Incident{ID: "i", Rule: "r", Metric: "block_rate", Window: "15m", Since: at, ResolvedAt: &end, Labels: map[string]string{"source": "shop"}}
		if tc.event != nil {
			tc.event(&e)
		}
		if tc.incident != nil {
			tc.incident(&in)
		}
		s := &Site{Options: Options{World: World{Rules: []Rule{{Name: "r", Match: tc.match}}}}}
		events := []history.Event{e}
		s.mark(events, []history.Incident{in})
		if got := len(events[0].IncidentsCounted) > 0; got != tc.want {
			t.Errorf("%s: counted %t, want %t", name, got, tc.want)
		}
	}
}

// TestStory_TakesFromTheMessageWhatAnEventDoesNotSay has an event without its campaign be
// counted with its message, as alerting counts messages, and with no other.
func TestStory_TakesFromTheMessageWhatAnEventDoesNotSay(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 3, 4, 9, 0, 0, 0, time.UTC)
	var events []history.Event
	for _, of := range []struct {
		id, kind, message, campaign, person string
		after                               time.Duration
	}{
		{"says it", "delivered", "m1", "spring", "ana", 0},
		{"its message says it", "bounced", "m1", "", "ana", time.Minute},
		{"beyond the window", "bounced", "m1", "", "ana", 20 * time.Minute},
		{"says another", "bounced", "m1", "autumn", "ana", time.Minute},
		{"another message", "bounced", "m2", "", "ana", time.Minute},
		{"no message", "bounced", "", "", "ana", time.Minute},
		{"no message, says it", "bounced", "", "spring", "ana", time.Minute},
		{"only an open says it", "bounced", "m3", "", "ana", time.Minute},
		{"the open", "opened", "m3", "spring", "ana", time.Minute},
		{"of somebody else", "bounced", "m1", "", "bea", time.Minute},
	} {
		events = append(events, history.Event{ID: of.id, Source: "shop", Type: of.kind, MessageID: of.message, RecipientHash: of.person, Campaign: of.campaign, Time: at.Add(of.after), ReceivedAt: at.Add(of.after)})
	}
	s := &Site{Options: Options{World: World{Rules: []Rule{{Name: "r"}}}}}
	s.mark(events, []history.Incident{{ID: "i", Rule: "r", Metric: "bounce_rate", Window: "15m", Since: at, Labels: map[string]string{"source": "shop", "campaign": "spring"}}})
	var got []string
	for _, e := range events {
		if len(e.IncidentsCounted) > 0 {
			got = append(got, e.ID)
		}
	}
	if want := []string{"says it", "its message says it", "no message, says it"}; !slices.Equal(got, want) {
		t.Errorf("counted are %q, want %q", got, want)
	}
}
