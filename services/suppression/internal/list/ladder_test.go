package list_test

import (
	"fmt"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/suppression/internal/list"
)

const minutesPerDay = 24 * 60

// failed is a soft bounce of the n-th message on a day.
func failed(onDay, n int, reason schemas.Reason) schemas.Event {
	return event(schemas.Bounced, onDay*minutesPerDay+n, bounce(schemas.Soft, reason), sure(schemas.Certain), func(e *schemas.Event) {
		e.MessageID = fmt.Sprintf("m-%d-%d", onDay, n)
	})
}

// failures are one message a day of days.
func failures(reason schemas.Reason, days ...int) []schemas.Event {
	var out []schemas.Event
	for _, d := range days {
		out = append(out, failed(d, 0, reason))
	}
	return out
}

func TestLadder_ListsWhoFailsForDays(t *testing.T) {
	t.Parallel()
	full, then := schemas.MailboxFull, func(lists ...[]schemas.Event) (all []schemas.Event) {
		for _, l := range lists {
			all = append(all, l...)
		}
		return all
	}
	sameMessage := failures(full, 0, 1, 2, 3, 4)
	for i := range sameMessage {
		sameMessage[i].MessageID = "one"
	}
	guesses := failures(full, 0, 1, 2, 3, 4)
	for i := range guesses {
		guesses[i].Confidence = schemas.Unknown
	}
	opened := event(schemas.Opened, 3*minutesPerDay)
	machine := event(schemas.Opened, 3*minutesPerDay, func(e *schemas.Event) { yes := true; e.Machine = &yes })
	tests := []struct {
		name   string
		events []schemas.Event
		from   int           // the day it is listed from on, -1: never
		lasts  time.Duration // its length
	}{
		{"five messages on five days", failures(full, 0, 1, 2, 3, 4), 4, 14 * day},
		{"four messages", failures(full, 0, 1, 2, 3), -1, 0},
		{"five messages on two days", []schemas.Event{failed(0, 0, full), failed(0, 1, full), failed(0, 2, full), failed(1, 0, full), failed(1, 1, full)}, -1, 0},
		{"one message, five times", sameMessage, -1, 0},
		{"over more than two weeks", failures(full, 0, 4, 8, 12, 16), -1, 0},
		{"what is only guessed", guesses, -1, 0},
		{"three switched-off mailboxes", failures(schemas.MailboxInactive, 0, 1, 2), 2, 14 * day},
		{"reasons do not add up", then(failures(full, 0, 1, 2), failures(schemas.Timeout, 3, 4)), -1, 0},
		{"five timeouts", failures(schemas.Timeout, 0, 1, 2, 3, 4), 4, 14 * day},
		{"five greylisted", failures(schemas.Greylisted, 0, 1, 2, 3, 4), -1, 0},
		{"of the sender", failures(schemas.Reputation, 0, 1, 2, 3, 4, 5, 6), -1, 0},
		{"of the content", failures(schemas.SpamContent, 0, 1, 2, 3, 4, 5, 6), -1, 0},
		{"of the network", failures(schemas.Loop, 0, 1, 2, 3, 4, 5, 6), -1, 0},
		{"a second time", failures(full, 0, 1, 2, 3, 4, 20, 21, 22, 23, 24), 24, 30 * day},
		{"a third time", failures(full, 0, 1, 2, 3, 4, 20, 21, 22, 23, 24, 60, 61, 62, 63, 64), 64, 90 * day},
		{"a delivery in between", then(failures(full, 0, 1, 2), []schemas.Event{event(schemas.Delivered, 3*minutesPerDay)}, failures(full, 4, 5, 6, 7)), -1, 0},
		{"an open in between", then(failures(full, 0, 1, 2), []schemas.Event{opened}, failures(full, 4, 5, 6, 7)), -1, 0},
		{"a machine's open in between", then(failures(full, 0, 1, 2), []schemas.Event{machine}, failures(full, 4, 5)), 5, 14 * day},
		{"a delivery after it", then(failures(full, 0, 1, 2, 3, 4), []schemas.Event{event(schemas.Delivered, 5*minutesPerDay)}), -1, 0},
		{"a delivery before the second time", then(failures(full, 0, 1, 2, 3, 4), []schemas.Event{event(schemas.Delivered, 19*minutesPerDay)}, failures(full, 20, 21, 22, 23, 24)), 24, 14 * day},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			state := apply(rules, tt.events)
			var got schemas.SuppressionEntry
			for _, e := range state.Entries {
				if e.Reason == schemas.SuppressSoftBounce && list.Active(e, e.AddedAt) {
					got = e
				}
			}
			if tt.from < 0 {
				if !got.AddedAt.IsZero() {
					t.Errorf("listed: %+v", got)
				}
				return
			}
			if want := at(tt.from * minutesPerDay); !got.AddedAt.Equal(want) || got.ExpiresAt.Sub(got.AddedAt) != tt.lasts || got.Evidence == "" || got.Note == "" {
				t.Errorf("listed at %s for %s, want at %s for %s: %+v", got.AddedAt, got.ExpiresAt.Sub(got.AddedAt), want, tt.lasts, got)
			}
		})
	}
}

func TestLadder_HistoryHasEachStep(t *testing.T) {
	t.Parallel()
	events := failures(schemas.MailboxFull, 0, 1, 2, 3, 4, 20, 21, 22, 23, 24)
	events = append(events, event(schemas.Delivered, 30*minutesPerDay))
	state := apply(rules, events)
	var got []string
	for _, s := range list.History(state.Entries[0]) {
		got = append(got, fmt.Sprint(s.Lift, " ", s.Evidence, " ", s.Note))
	}
	want := []string{
		"true delivered-43200 ",
		"false bounced-34560 step 2 of 3: 5 messages on 3 days since 2026-01-22 failed, mailbox_full",
		"false bounced-5760 step 1 of 3: 5 messages on 3 days since 2026-01-02 failed, mailbox_full",
	}
	if diff := gocmp.Diff(want, got); diff != "" {
		t.Errorf("history (-want +got):\n%s", diff)
	}
	if len(state.SoftBounces) > 0 {
		t.Errorf("soft bounces of before the delivery are kept: %v", state.SoftBounces)
	}
}

func TestHeals_APersonEndsAHardBounce(t *testing.T) {
	t.Parallel()
	yes := true
	tests := []struct {
		name  string
		event schemas.Event
		want  bool // still listed
	}{
		{"an open later", event(schemas.Opened, 2), false},
		{"a click later", event(schemas.Clicked, 2), false},
		{"a machine's open", event(schemas.Opened, 2, func(e *schemas.Event) { e.Machine = &yes }), true},
		{"an open before", event(schemas.Opened, 0), true},
		{"a delivery later", event(schemas.Delivered, 2), true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			state := apply(rules, []schemas.Event{event(schemas.Bounced, 1, dead), event(schemas.Complained, 1), tt.event})
			e := list.Find(state, schemas.ScopeAccount, schemas.SuppressHardBounce)
			if got := list.Active(e, at(9)); got != tt.want || !tt.want && e.RemovedBy != tt.event.ID {
				t.Errorf("listed = %v, want %v: %+v", got, tt.want, e)
			}
			if !list.Active(list.Find(state, schemas.ScopeAccount, schemas.SuppressComplaint), at(9)) {
				t.Error("the complaint is gone")
			}
		})
	}
}

func TestMerge_SoftBouncesAreBounded(t *testing.T) {
	t.Parallel()
	var events []schemas.Event
	for d := range 40 {
		for n := range 30 {
			events = append(events, failed(d, n, schemas.MailboxFull))
		}
	}
	state := apply(rules, events)
	if n := len(state.SoftBounces); n != list.SoftDaysMax*list.SoftPerDayMax {
		t.Errorf("%d soft bounces are kept", n)
	}
	if e := state.Entries[0]; !list.Active(e, at(40*minutesPerDay)) || e.ExpiresAt.Sub(e.AddedAt) != 90*day {
		t.Errorf("who fails each day is not on the last step: %+v", e)
	}
}
