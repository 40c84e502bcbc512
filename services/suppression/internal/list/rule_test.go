package list_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/suppression/internal/list"
)

// apply runs events through rules from an empty state.
func apply(rules list.Rules, events []schemas.Event) schemas.Suppression {
	state := schemas.Suppression{Hash: hash}
	for i := range events {
		if rule, ok := rules.Match(&events[i]); ok {
			state = rule.Apply(state, &events[i])
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

func listID(id string) func(*schemas.Event) { return func(e *schemas.Event) { e.ListID = id } }

func TestDefaultRules_EachKindOfEvent(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		event schemas.Event
		want  string // "scope reason" that is active afterwards, "": none
	}{
		{"hard bounce", event(schemas.Bounced, 1, bounce(schemas.Hard, schemas.InvalidRecipient)), "account hard_bounce"},
		{"hard bounce, domain gone", event(schemas.Bounced, 1, bounce(schemas.Hard, schemas.DomainNotFound)), "account hard_bounce"},
		{"hard bounce, domain gone for good", event(schemas.Bounced, 1, bounce(schemas.Hard, schemas.DomainNotFound), permanent(true)), "account hard_bounce"},
		{"hard bounce, domain out of reach", event(schemas.Bounced, 1, bounce(schemas.Hard, schemas.DomainNotFound), permanent(false)), ""},
		{"hard bounce without a reason", event(schemas.Bounced, 1, bounce(schemas.Hard, "")), "account hard_bounce"},
		{"hard bounce of a word we do not know", event(schemas.Bounced, 1, bounce(schemas.Hard, "brand_new")), "account hard_bounce"},
		{"hard bounce for policy", event(schemas.Bounced, 1, bounce(schemas.Hard, schemas.Policy)), ""},
		{"hard bounce for reputation", event(schemas.Bounced, 1, bounce(schemas.Hard, schemas.Reputation)), ""},
		{"hard bounce for spam content", event(schemas.Bounced, 1, bounce(schemas.Hard, schemas.SpamContent)), ""},
		{"hard bounce of a full mailbox", event(schemas.Bounced, 1, bounce(schemas.Hard, schemas.MailboxFull)), ""},
		{"soft bounce", event(schemas.Bounced, 1, bounce(schemas.Soft, schemas.MailboxFull)), ""},
		{"soft bounce for an invalid recipient", event(schemas.Bounced, 1, bounce(schemas.Soft, schemas.InvalidRecipient)), ""},
		{"bounce of no type", event(schemas.Bounced, 1, bounce("", schemas.InvalidRecipient)), ""},
		{"complaint", event(schemas.Complained, 1), "account complaint"},
		{"unsubscribe from a list", event(schemas.Unsubscribed, 1, listID("17")), "list:17 unsubscribe"},
		{"unsubscribe without a list", event(schemas.Unsubscribed, 1), "account unsubscribe"},
		{"subscribe", event(schemas.Subscribed, 1, listID("17")), ""},
		{"block", event(schemas.Blocked, 1, bounce("", schemas.InvalidRecipient)), ""},
		{"block because it bounced before", event(schemas.Blocked, 1, bounce("", schemas.SuppressedBounce)), ""},
		{"delivery", event(schemas.Delivered, 1), ""},
		{"deferral", event(schemas.Deferred, 1), ""},
		{"open", event(schemas.Opened, 1), ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			state := apply(list.DefaultRules(0), []schemas.Event{tt.event})
			var got []string
			for _, e := range state.Entries {
				if !list.Active(e, at(9)) {
					continue
				}
				got = append(got, e.Scope+" "+string(e.Reason))
				if e.Evidence != tt.event.ID || e.Provider != "mailjet" || e.Source != "acme" || !e.AddedAt.Equal(at(1)) || !list.Since(e).Equal(at(1)) {
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
		rules := list.DefaultRules(probation)
		r := rand.New(rand.NewPCG(5, uint64(probation)))
		for range rounds {
			events := make([]schemas.Event, 1+r.IntN(7))
			for i := range events {
				// Steps of half a day, so that some pairs are two strikes and some are not.
				events[i] = event(types[r.IntN(len(types))], r.IntN(6)*720, bounce(schemas.Hard, ""))
				events[i].ID += fmt.Sprint("-", i)
				events[i].ListID = []string{"", "1", "2"}[r.IntN(3)]
			}
			want := decisions(apply(rules, events))
			again := append(append(append([]schemas.Event{}, events...), events...), events...)
			r.Shuffle(len(again), func(i, j int) { again[i], again[j] = again[j], again[i] })
			if diff := cmp.Diff(want, decisions(apply(rules, again))); diff != "" {
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
		event(schemas.Bounced, 8, bounce(schemas.Hard, "")), event(schemas.Complained, 9),
	}
	rules := list.DefaultRules(0)
	state := apply(rules, events)
	for _, e := range events {
		rule, ok := rules.Match(&e)
		if !ok {
			t.Fatalf("no rule for %s", e.ID)
		}
		if next := rule.Apply(state, &e); !list.Same(state, next) {
			t.Errorf("%s a second time changes the state:\n%s", e.ID, cmp.Diff(state, next))
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
	state := apply(list.DefaultRules(0), []schemas.Event{
		event(schemas.Unsubscribed, 1, listID("1")), event(schemas.Unsubscribed, 1, listID("2")),
		event(schemas.Unsubscribed, 1), event(schemas.Complained, 1), event(schemas.Bounced, 1, bounce(schemas.Hard, "")),
		event(schemas.Subscribed, 2, listID("1")),
	})
	var active []string
	for _, e := range state.Entries {
		if list.Active(e, at(9)) {
			active = append(active, e.Scope+" "+string(e.Reason))
		}
	}
	want := []string{"account complaint", "account hard_bounce", "account unsubscribe", "list:2 unsubscribe"}
	if diff := cmp.Diff(want, active); diff != "" {
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
			_, got := list.Strongest(apply(list.DefaultRules(0), tt.events), list.Query{Stream: "marketing"}, at(9))
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
	hard := func(minute int) schemas.Event { return event(schemas.Bounced, minute, bounce(schemas.Hard, "")) }
	tests := []struct {
		name    string
		events  []schemas.Event
		expires time.Time
	}{
		{"one strike", []schemas.Event{hard(0)}, at(0).Add(month)},
		{"two on one day", []schemas.Event{hard(0), hard(60)}, at(60).Add(month)},
		{"two a day apart", []schemas.Event{hard(0), hard(day)}, time.Time{}},
		{"two a day apart, backwards", []schemas.Event{hard(day), hard(0)}, time.Time{}},
		{"a late one in between", []schemas.Event{hard(0), hard(2 * day), hard(60)}, time.Time{}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			e := list.Find(apply(list.DefaultRules(month), tt.events), schemas.ScopeAccount, schemas.SuppressHardBounce)
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
	entry := list.Find(apply(list.DefaultRules(0), []schemas.Event{e}), schemas.ScopeAccount, schemas.SuppressUnsubscribe)
	if !entry.AddedAt.Equal(at(0)) {
		t.Errorf("added at %s, want the time of receipt %s", entry.AddedAt, at(0))
	}
}

func TestApply_EntriesStayBounded(t *testing.T) {
	t.Parallel()
	state := schemas.Suppression{Hash: hash}
	rules := list.DefaultRules(0)
	for i := range 1100 {
		e := event(schemas.Unsubscribed, i, listID(fmt.Sprint(i)))
		rule, _ := rules.Match(&e)
		state = rule.Apply(state, &e)
	}
	if n := len(state.Entries); n > 1001 {
		t.Errorf("%d entries, want at most 1001", n)
	}
	if _, ok := list.Strongest(state, list.Query{Stream: "marketing", List: "1099"}, at(2000)); !ok {
		t.Error("the list past the bound is not suppressed")
	}
}
