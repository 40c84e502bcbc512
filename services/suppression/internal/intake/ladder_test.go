package intake_test

import (
	"cmp"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/suppression/internal/list"
	"github.com/mailstream/mailstream/services/suppression/internal/store"
)

const day = 24 * time.Hour

var firstDay = time.Date(2026, 1, 5, 0, 0, 0, 0, time.UTC)

// life draws what happens to one person in twenty days: soft bounces of few messages,
// hard bounces, deliveries and opens.
func life(r *rand.Rand) []schemas.Event {
	kinds := []schemas.Type{schemas.Bounced, schemas.Bounced, schemas.Bounced, schemas.Bounced, schemas.Delivered, schemas.Opened, schemas.Clicked}
	events := make([]schemas.Event, 1+r.IntN(14))
	for i := range events {
		e := schemas.Event{
			ID: fmt.Sprint("e", i), Type: kinds[r.IntN(len(kinds))], RecipientHash: goodHash, Recipient: "a@example.com",
			MessageID: fmt.Sprint("m", r.IntN(9)), Time: firstDay.Add(time.Duration(r.IntN(20*24*4)) * 15 * time.Minute),
		}
		e.ReceivedAt = e.Time
		yes := true
		switch {
		case e.Type == schemas.Bounced && r.IntN(5) == 0:
			e.BounceType, e.Reason, e.Permanent, e.Confidence = schemas.Hard, schemas.InvalidRecipient, &yes, schemas.Certain
		case e.Type == schemas.Bounced:
			e.BounceType, e.Reason = schemas.Soft, schemas.MailboxFull
		case e.Type == schemas.Opened && r.IntN(2) == 0:
			e.Machine = &yes
		}
		events[i] = e
	}
	return events
}

// inOrder returns events in the order in which they happened.
func inOrder(events []schemas.Event) []schemas.Event {
	order := func(e schemas.Event) int { // of one moment: what is healed, what heals, what is not healed
		switch {
		case e.Reason == schemas.MailboxFull:
			return 0
		case e.Type == schemas.Bounced:
			return 2
		default:
			return 1
		}
	}
	return slices.SortedFunc(slices.Values(events), func(a, b schemas.Event) int {
		return cmp.Or(a.Time.Compare(b.Time), cmp.Compare(order(a), order(b)), cmp.Compare(a.ID, b.ID))
	})
}

// oracle says what is listed after events, by sorting all of them and going through.
func oracle(events []schemas.Event) map[string]string {
	listed, open, step := map[string]string{}, []schemas.Event{}, 0
	var stepDay time.Time
	for _, e := range inOrder(events) {
		machine := e.Machine != nil && *e.Machine
		switch {
		case e.Reason == schemas.MailboxFull:
			if step > 0 && stepDay.Equal(e.Time.Truncate(day)) {
				continue
			}
			open = append(open, e)
			messages, days := map[string]bool{}, map[time.Time]bool{}
			for _, o := range open {
				if o.Time.After(e.Time.Add(-ladder.Within)) {
					messages[o.MessageID], days[o.Time.Truncate(day)] = true, true
				}
			}
			if len(messages) >= 2 && len(days) >= 2 {
				listed["soft_bounce"] = fmt.Sprint(e.Time, e.Time.Add(ladder.Steps[min(step, 1)]))
				open, stepDay = nil, e.Time.Truncate(day)
				step++
			}
		case e.Type == schemas.Bounced:
			listed["hard_bounce"] = fmt.Sprint(e.Time, time.Time{})
		case machine:
		default:
			delete(listed, "soft_bounce")
			open, step = nil, 0
			if e.Type != schemas.Delivered {
				delete(listed, "hard_bounce")
			}
		}
	}
	return listed
}

// read gives events to f in batches of random length and returns what is listed then.
func read(t *testing.T, f fixture, r *rand.Rand, events []schemas.Event) map[string]string {
	t.Helper()
	for len(events) > 0 {
		n := 1 + r.IntN(len(events))
		recs := make([]*kgo.Record, n)
		for i := range recs {
			recs[i] = &kgo.Record{Topic: schemas.EventTopic("email.", events[i].Type), Value: schemas.AppendJSON(nil, &events[i])}
		}
		if err := f.Handle(t.Context(), recs); err != nil {
			t.Fatal(err)
		}
		events = events[n:]
	}
	key, err := store.ParseKey(goodHash)
	if err != nil {
		t.Fatal(err)
	}
	state, _, err := f.store.Get(key)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, e := range state.Entries {
		if list.Active(e, e.AddedAt) {
			got[string(e.Reason)] = fmt.Sprint(e.AddedAt, e.ExpiresAt)
		}
	}
	return got
}

// Whatever the order of the events, and however often each comes, the list is that of
// the events in the order in which they happened.
func TestHandle_AnyOrderGivesTheSameList(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(14, 1))
	seen := map[string]int{}
	for range 2000 {
		events := life(r)
		want := oracle(events)
		for reason := range maps.Keys(want) {
			seen[reason]++
		}
		again := slices.Concat(events, events[:r.IntN(len(events)+1)])
		r.Shuffle(len(again), func(i, j int) { again[i], again[j] = again[j], again[i] })
		f := newFixture(roomy)
		if diff := gocmp.Diff(want, read(t, f, r, again)); diff != "" {
			t.Fatalf("the list is another one (-sorted +read):\n%s\n%+v", diff, again)
		}
	}
	if seen["soft_bounce"] < 100 || seen["hard_bounce"] < 100 {
		t.Errorf("the cases hardly list anybody: %v", seen)
	}
}
