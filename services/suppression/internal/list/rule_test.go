package list_test

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/suppression/internal/list"
)

// apply runs events through rules from an empty state.
func apply(rules list.Rules, events []schemas.Event) schemas.Suppression {
	state := schemas.Suppression{Hash: hash}
	for i := range events {
		if rule, ok := rules.Match(&events[i]); ok {
			state = ladder.Settle(rule.Apply(state, &events[i]))
		}
	}
	return state
}

// decisions is what must not depend on the order of events: everything but
// Since, which knows only the adds that came after the lift it belongs to.
func decisions(s schemas.Suppression) []schemas.SuppressionEntry {
	out := list.Merge(s, s).Entries
	for i := range out {
		out[i].Since = time.Time{}
	}
	return out
}

func event(typ schemas.Type, minute int, opts ...func(*schemas.Event)) schemas.Event {
	e := schemas.Event{
		ID: fmt.Sprintf("%s-%d", typ, minute), Type: typ, Time: at(minute), ReceivedAt: at(minute),
		Provider: "mailjet", Source: "acme", RecipientHash: hash,
	}
	for _, opt := range opts {
		opt(&e)
	}
	return e
}

func bounce(typ schemas.BounceType, reason schemas.Reason) func(*schemas.Event) {
	return func(e *schemas.Event) { e.BounceType, e.Reason = typ, reason }
}

func permanent(yes bool) func(*schemas.Event) { return func(e *schemas.Event) { e.Permanent = &yes } }

func sure(c schemas.Confidence) func(*schemas.Event) {
	return func(e *schemas.Event) { e.Confidence = c }
}

// dead is a hard bounce that is certain, likely one that is not.
func dead(e *schemas.Event) {
	bounce(schemas.Hard, schemas.InvalidRecipient)(e)
	permanent(true)(e)
	sure(schemas.Certain)(e)
}

func likely(e *schemas.Event) {
	bounce(schemas.Hard, schemas.InvalidRecipient)(e)
	sure(schemas.Likely)(e)
}

const (
	day  = 24 * time.Hour
	week = 7 * day
)

// ladder is that of the defaults of the configuration.
var ladder = list.Ladder{
	Thresholds: map[schemas.Reason]list.Threshold{
		schemas.MailboxFull: {Messages: 5, Days: 3}, schemas.MailboxInactive: {Messages: 3, Days: 3},
		schemas.Greylisted: {Messages: 10, Days: 5}, schemas.Timeout: {Messages: 5, Days: 5},
	},
	Within: 14 * day, Steps: []time.Duration{14 * day, 30 * day, 90 * day},
}

// rules is the table with the defaults of the configuration.
var rules = list.DefaultRules(list.Probations{Likely: week, SecondStrikeAfter: day, Provider: 90 * day}, ladder)

func listID(id string) func(*schemas.Event) { return func(e *schemas.Event) { e.ListID = id } }

// byLink is of a link of List-Unsubscribe.
func byLink(stream string) func(*schemas.Event) {
	return func(e *schemas.Event) {
		e.Provider, e.Metadata = schemas.ProviderUnsubscribe, map[string]string{schemas.MetadataStream: stream}
	}
}

func TestDefaultRules_EachKindOfEvent(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		event schemas.Event
		want  string // "scope reason" that is active afterwards, "": none
	}{
		{"hard bounce", event(schemas.Bounced, 1, dead), "account hard_bounce"},
		{"hard bounce, likely", event(schemas.Bounced, 1, likely), "account hard_bounce until"},
		{"hard bounce, permanent on a hint", event(schemas.Bounced, 1, likely, permanent(true)), "account hard_bounce until"},
		{"hard bounce, permanent on nothing", event(schemas.Bounced, 1, dead, sure(schemas.Unknown)), ""},
		{"hard bounce of before there was a confidence", event(schemas.Bounced, 1, dead, sure("")), "account hard_bounce"},
		{"hard bounce of then, of unknown permanence", event(schemas.Bounced, 1, bounce(schemas.Hard, schemas.MailboxInactive)), "account hard_bounce until"},
		{"hard bounce, domain gone", event(schemas.Bounced, 1, bounce(schemas.Hard, schemas.DomainNotFound)), "account hard_bounce until"},
		{"hard bounce, domain gone for good", event(schemas.Bounced, 1, bounce(schemas.Hard, schemas.DomainNotFound), permanent(true)), "account hard_bounce"},
		{"hard bounce, domain out of reach", event(schemas.Bounced, 1, bounce(schemas.Hard, schemas.DomainNotFound), permanent(false)), ""},
		{"hard bounce of unknown text", event(schemas.Bounced, 1, bounce(schemas.Hard, schemas.OtherReason), sure(schemas.Unknown)), ""},
		{"hard bounce without a reason", event(schemas.Bounced, 1, bounce(schemas.Hard, "")), ""},
		{"hard bounce of a word we do not know", event(schemas.Bounced, 1, bounce(schemas.Hard, "brand_new")), ""},
		{"hard bounce for policy", event(schemas.Bounced, 1, bounce(schemas.Hard, schemas.Policy)), ""},
		{"hard bounce for reputation", event(schemas.Bounced, 1, bounce(schemas.Hard, schemas.Reputation)), ""},
		{"hard bounce for spam content", event(schemas.Bounced, 1, bounce(schemas.Hard, schemas.SpamContent)), ""},
		{"hard bounce of a full mailbox", event(schemas.Bounced, 1, bounce(schemas.Hard, schemas.MailboxFull)), ""},
		{"hard bounce of a full mailbox, called permanent", event(schemas.Bounced, 1, bounce(schemas.Hard, schemas.MailboxFull), permanent(true)), ""},
		{"soft bounce", event(schemas.Bounced, 1, bounce(schemas.Soft, schemas.MailboxFull)), ""},
		{"soft bounce for an invalid recipient", event(schemas.Bounced, 1, bounce(schemas.Soft, schemas.InvalidRecipient)), ""},
		{"bounce of no type", event(schemas.Bounced, 1, bounce("", schemas.InvalidRecipient)), ""},
		{"complaint", event(schemas.Complained, 1), "account complaint"},
		{"unsubscribe from a list", event(schemas.Unsubscribed, 1, listID("17")), "list:17 unsubscribe"},
		{"unsubscribe from a stream", event(schemas.Unsubscribed, 1, byLink("marketing")), "stream:marketing unsubscribe"},
		{"unsubscribe with a stream of a provider's customer", event(schemas.Unsubscribed, 1, byLink("marketing"), func(e *schemas.Event) { e.Provider = "mailgun" }), "account unsubscribe"},
		{"unsubscribe without a list", event(schemas.Unsubscribed, 1), "account unsubscribe"},
		{"subscribe", event(schemas.Subscribed, 1, listID("17")), ""},
		{"block", event(schemas.Blocked, 1, bounce("", schemas.InvalidRecipient)), ""},
		{"block because it bounced before", event(schemas.Blocked, 1, bounce("", schemas.SuppressedBounce)), "account provider_suppressed until"},
		{"bounce because it complained before", event(schemas.Bounced, 1, bounce(schemas.Hard, schemas.SuppressedComplaint), permanent(true), sure(schemas.Certain)), "account provider_suppressed until"},
		{"failure because it unsubscribed before", event(schemas.Failed, 1, bounce("", schemas.SuppressedUnsubscribe)), "account provider_suppressed until"},
		{"delivery", event(schemas.Delivered, 1), ""},
		{"failure of the template", event(schemas.Failed, 1, bounce("", schemas.TemplateError)), ""},
		{"deferral", event(schemas.Deferred, 1), ""},
		{"open", event(schemas.Opened, 1), ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			state := apply(rules, []schemas.Event{tt.event})
			var got []string
			for _, e := range state.Entries {
				if !list.Active(e, at(9)) {
					continue
				}
				until := ""
				if !e.ExpiresAt.IsZero() {
					until = " until"
				}
				got = append(got, e.Scope+" "+string(e.Reason)+until)
				if e.Evidence != tt.event.ID || e.Provider != tt.event.Provider || e.Source != "acme" || !e.AddedAt.Equal(at(1)) || !list.Since(e).Equal(at(1)) {
					t.Errorf("entry does not name its event: %+v", e)
				}
			}
			if strings.Join(got, ", ") != tt.want {
				t.Errorf("active = %q, want %q", got, tt.want)
			}
		})
	}
}

func TestApply_HistoryIsHarmless(t *testing.T) {
	t.Parallel()
	const rounds = 1000
	types := []schemas.Type{schemas.Bounced, schemas.Complained, schemas.Unsubscribed, schemas.Subscribed, schemas.Blocked}
	for _, probation := range []time.Duration{0, 30 * 24 * time.Hour} {
		// One probation for both: of two bounces in one moment with different ones only
		// the evidence may differ.
		rules := list.DefaultRules(list.Probations{Certain: probation, Likely: cmp.Or(probation, week), SecondStrikeAfter: day, Provider: 90 * day}, ladder)
		r := rand.New(rand.NewPCG(5, uint64(probation)))
		for range rounds {
			events := make([]schemas.Event, 1+r.IntN(7))
			for i := range events {
				// Steps of half a day, so that some pairs are two strikes and some are not.
				events[i] = event(types[r.IntN(len(types))], r.IntN(6)*720, []func(*schemas.Event){dead, likely}[r.IntN(2)])
				events[i].ID += fmt.Sprint("-", i)
				events[i].ListID = []string{"", "1", "2"}[r.IntN(3)]
			}
			want := decisions(apply(rules, events))
			again := append(append(append([]schemas.Event{}, events...), events...), events...)
			r.Shuffle(len(again), func(i, j int) { again[i], again[j] = again[j], again[i] })
			if diff := gocmp.Diff(want, decisions(apply(rules, again))); diff != "" {
				t.Fatalf("three times, shuffled, says otherwise (probation %s, -once +shuffled):\n%s\n%+v", probation, diff, events)
			}
		}
	}
}

func TestApply_RepeatChangesNothing(t *testing.T) {
	t.Parallel()
	events := []schemas.Event{
		event(schemas.Unsubscribed, 1, listID("1")), event(schemas.Subscribed, 3, listID("1")),
		event(schemas.Unsubscribed, 5, listID("1")), event(schemas.Unsubscribed, 7, listID("1")),
		event(schemas.Bounced, 8, dead), event(schemas.Complained, 9),
	}
	state := apply(rules, events)
	for _, e := range events {
		rule, ok := rules.Match(&e)
		if !ok {
			t.Fatalf("no rule for %s", e.ID)
		}
		if next := rule.Apply(state, &e); !list.Same(state, next) {
			t.Errorf("%s a second time changes the state:\n%s", e.ID, gocmp.Diff(state, next))
		}
	}
	unsub := list.Find(state, "list:1", schemas.SuppressUnsubscribe)
	if got := list.Since(unsub); !got.Equal(at(5)) {
		t.Errorf("since = %s, want the first unsubscribe after the subscribe, %s", got, at(5))
	}
	if unsub.Evidence != "unsubscribed-7" {
		t.Errorf("evidence = %q, want the latest event", unsub.Evidence)
	}
}

func TestApply_SubscribeLiftsOnlyItsScopesUnsubscribe(t *testing.T) {
	t.Parallel()
	state := apply(rules, []schemas.Event{
		event(schemas.Unsubscribed, 1, listID("1")), event(schemas.Unsubscribed, 1, listID("2")),
		event(schemas.Unsubscribed, 1), event(schemas.Complained, 1), event(schemas.Bounced, 1, dead),
		event(schemas.Subscribed, 2, listID("1")),
	})
	var active []string
	for _, e := range state.Entries {
		if list.Active(e, at(9)) {
			active = append(active, e.Scope+" "+string(e.Reason))
		}
	}
	want := []string{"account complaint", "account hard_bounce", "account unsubscribe", "list:2 unsubscribe"}
	if diff := gocmp.Diff(want, active); diff != "" {
		t.Errorf("active (-want +got):\n%s", diff)
	}
}

func TestApply_OutOfOrder(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		events []schemas.Event
		want   bool
	}{
		{"older subscribe comes later", []schemas.Event{event(schemas.Unsubscribed, 5), event(schemas.Subscribed, 0)}, true},
		{"older unsubscribe comes later", []schemas.Event{event(schemas.Subscribed, 5), event(schemas.Unsubscribed, 0)}, false},
		{"both at once", []schemas.Event{event(schemas.Subscribed, 5), event(schemas.Unsubscribed, 5)}, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, _, got := list.Strongest(list.Query{Stream: "marketing"}, at(9), apply(rules, tt.events))
			if got != tt.want {
				t.Errorf("suppressed = %v, want %v", got, tt.want)
			}
		})
	}
}

func TestApply_Probation(t *testing.T) {
	t.Parallel()
	const month = 30 * 24 * time.Hour
	const day = 24 * 60
	hard := func(minute int) schemas.Event { return event(schemas.Bounced, minute, dead) }
	hint := func(minute int) schemas.Event { return event(schemas.Bounced, minute, likely) }
	patient := list.DefaultRules(list.Probations{Certain: month, Likely: week, SecondStrikeAfter: 24 * time.Hour, Provider: week}, ladder)
	tests := []struct {
		name    string
		rules   list.Rules
		events  []schemas.Event
		expires time.Time
	}{
		{"one strike", patient, []schemas.Event{hard(0)}, at(0).Add(month)},
		{"two on one day", patient, []schemas.Event{hard(0), hard(60)}, at(60).Add(month)},
		{"two a day apart", patient, []schemas.Event{hard(0), hard(day)}, time.Time{}},
		{"two a day apart, backwards", patient, []schemas.Event{hard(day), hard(0)}, time.Time{}},
		{"a late one in between", patient, []schemas.Event{hard(0), hard(2 * day), hard(60)}, time.Time{}},
		{"a hint", rules, []schemas.Event{hint(0)}, at(0).Add(week)},
		{"two hints on one day", rules, []schemas.Event{hint(0), hint(60)}, at(60).Add(week)},
		{"two hints a day apart", rules, []schemas.Event{hint(0), hint(day)}, time.Time{}},
		{"the second hint after the probation", rules, []schemas.Event{hint(0), hint(9 * day)}, time.Time{}},
		{"certain, then a hint", rules, []schemas.Event{hard(0), hint(60)}, time.Time{}},
		{"a hint, then certain", rules, []schemas.Event{hint(0), hard(60)}, time.Time{}},
		{"certain comes late", rules, []schemas.Event{hint(60), hard(0)}, time.Time{}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			e := list.Find(apply(tt.rules, tt.events), schemas.ScopeAccount, schemas.SuppressHardBounce)
			if !e.ExpiresAt.Equal(tt.expires) {
				t.Errorf("expires %s, want %s", e.ExpiresAt, tt.expires)
			}
		})
	}
}

func TestApply_ClockFarAheadCountsFromReceipt(t *testing.T) {
	t.Parallel()
	e := event(schemas.Unsubscribed, 600)
	e.ReceivedAt = at(0)
	entry := list.Find(apply(rules, []schemas.Event{e}), schemas.ScopeAccount, schemas.SuppressUnsubscribe)
	if !entry.AddedAt.Equal(at(0)) {
		t.Errorf("added at %s, want the time of receipt %s", entry.AddedAt, at(0))
	}
}

func TestApply_EntriesStayBounded(t *testing.T) {
	t.Parallel()
	state := schemas.Suppression{Hash: hash}
	for i := range 1100 {
		e := event(schemas.Unsubscribed, i, listID(fmt.Sprint(i)))
		rule, _ := rules.Match(&e)
		state = rule.Apply(state, &e)
	}
	if n := len(state.Entries); n > 1001 {
		t.Errorf("%d entries, want at most 1001", n)
	}
	if _, _, ok := list.Strongest(list.Query{Stream: "marketing", List: "1099"}, at(2000), state); !ok {
		t.Error("the list past the bound is not suppressed")
	}
}

func TestDoubt_ListsForAWhileWhateverComesAgain(t *testing.T) {
	t.Parallel()
	const day = 24 * 60
	bounced := event(schemas.Bounced, 0, dead)
	certain, ok := rules.Match(&bounced)
	if !ok {
		t.Fatal("no rule")
	}
	doubted := certain
	doubted.Probation = week
	empty := schemas.Suppression{Hash: hash}
	expires := func(s schemas.Suppression) time.Time {
		return list.Find(s, schemas.ScopeAccount, schemas.SuppressHardBounce).ExpiresAt
	}
	state := doubted.Doubt(empty, &bounced, "why")
	if !expires(state).Equal(at(0).Add(week + 2*time.Millisecond)) {
		t.Fatalf("expires %s", expires(state))
	}
	for name, next := range map[string]schemas.Suppression{
		"a replay":                  certain.Apply(state, &bounced),
		"the replay first":          doubted.Doubt(certain.Apply(empty, &bounced), &bounced, "why"),
		"twice":                     doubted.Doubt(state, &bounced, "why"),
		"merged with what was made": list.Merge(state, certain.Apply(empty, &bounced)),
	} {
		if !list.Same(state, next) {
			t.Errorf("%s says otherwise:\n%s", name, gocmp.Diff(state, next))
		}
	}
	again := event(schemas.Bounced, 60, dead)
	if s := doubted.Doubt(state, &again, "why"); !expires(s).Equal(at(60).Add(week + 2*time.Millisecond)) {
		t.Errorf("a second one of the outage: expires %s", expires(s))
	}
	later := event(schemas.Bounced, 2*day, dead)
	if s := certain.Apply(state, &later); !expires(s).IsZero() {
		t.Errorf("after the outage: expires %s, want never", expires(s))
	}
	hint, second := event(schemas.Bounced, 2*day, likely), event(schemas.Bounced, 4*day, likely)
	guess, _ := rules.Match(&hint)
	once := guess.Apply(state, &hint)
	if !expires(once).Equal(at(2 * day).Add(week)) {
		t.Errorf("a hint after the outage: expires %s, want a week after: the outage is no strike", expires(once))
	}
	if s := guess.Apply(once, &second); !expires(s).IsZero() {
		t.Errorf("a second hint after the outage: expires %s, want never", expires(s))
	}
	before := certain.Apply(empty, &bounced)
	if s := doubted.Doubt(before, &again, "why"); !list.Same(s, before) {
		t.Errorf("dead before the outage: %+v", s)
	}
}
