package reparse_test

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/internal/address"
	"github.com/mailstream/mailstream/services/internal/platform/config"
	"github.com/mailstream/mailstream/services/internal/reparse"
)

var received = time.Date(2026, 3, 4, 9, 20, 0, 0, time.UTC)

func newMaker(tb testing.TB) *reparse.Maker {
	tb.Helper()
	hasher, err := address.NewHasher(config.Literal("0123456789abcdef"))
	if err != nil {
		tb.Fatal(err)
	}
	m, err := reparse.New(hasher, nil)
	if err != nil {
		tb.Fatal(err)
	}
	return m
}

const bounce = `{"event":"bounce","time":1772615730,"MessageID":19421777835146490,"email":"ana@example.com","hard_bounce":true,"error_related_to":"recipient","error":"user unknown","comment":"550 5.1.1 user unknown"}`

func first(tb testing.TB, m *reparse.Maker) schemas.Event {
	tb.Helper()
	events, err := m.Letter(&schemas.DeadLetter{Provider: "mailjet", Source: "acme", ReceivedAt: received, Bytes: []byte(bounce)})
	if err != nil || len(events) != 1 {
		tb.Fatalf("%d events, %v", len(events), err)
	}
	return events[0]
}

func TestMaker_MakesTheSameEvent(t *testing.T) {
	t.Parallel()
	m := newMaker(t)
	was := first(t, m)
	got, err := m.Event(&was)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(was, got); diff != "" {
		t.Error(diff)
	}
}

// Every field that a parser or a classifier of before got wrong is made right; who
// took it, and when, stays.
func TestMaker_MakesRightWhatWasWrong(t *testing.T) {
	t.Parallel()
	m := newMaker(t)
	want := first(t, m)
	was := want
	was.Reason, was.Cause, was.Permanent, was.Classifier, was.SMTPCode, was.Recipient = schemas.Policy, schemas.CauseSender, nil, "old", 0, ""
	got, err := m.Event(&was)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestMaker_MakesNoEventOfAnotherIdentity(t *testing.T) {
	t.Parallel()
	m := newMaker(t)
	good := first(t, m)
	for _, tt := range []struct {
		name   string
		change func(*schemas.Event)
		want   reparse.Fault
	}{
		{"another id", func(e *schemas.Event) { e.ID = "0193486f-5a00-8abc-9def-0123456789ab" }, reparse.OtherEvent},
		{"another source", func(e *schemas.Event) { e.Source = "other" }, reparse.OtherEvent},
		{"bytes of another", func(e *schemas.Event) { e.Raw = []byte(`{"event":"sent","time":1,"email":"b@example.com"}`) }, reparse.OtherEvent},
		{"no bytes", func(e *schemas.Event) { e.Raw = nil }, reparse.NoBytes},
		{"no JSON", func(e *schemas.Event) { e.Raw = []byte(`{`) }, reparse.Unreadable},
		{"no item", func(e *schemas.Event) { e.Raw = []byte(`{}`) }, "no_type"},
		{"a provider that is none", func(e *schemas.Event) { e.Provider = "nope" }, reparse.UnknownSource},
		{"a generic source that is gone", func(e *schemas.Event) { e.Provider = "generic" }, reparse.UnknownSource},
	} {
		was := good
		tt.change(&was)
		if _, err := m.Event(&was); err == nil || reparse.FaultOf(err) != tt.want {
			t.Errorf("%s: %v, want %s", tt.name, err, tt.want)
		}
	}
}

// A type that is another one today makes the id that a repeat has today.
func TestMaker_FollowsAChangedType(t *testing.T) {
	t.Parallel()
	m := newMaker(t)
	want := first(t, m)
	old := want
	old.Type = schemas.Blocked
	old.ID = reparse.IDAs(m, &want, schemas.Blocked)
	got, err := m.Event(&old)
	if err != nil {
		t.Fatal(err)
	}
	if got.ID != want.ID || got.ID == old.ID || got.Type != schemas.Bounced {
		t.Errorf("made %s %s of %s %s, want %s", got.Type, got.ID, old.Type, old.ID, want.ID)
	}
}

func TestMaker_LeavesWhatNothingProves(t *testing.T) {
	t.Parallel()
	m := newMaker(t)
	for _, reason := range []string{"raw_delivery", "retired_form"} {
		if _, err := m.Letter(&schemas.DeadLetter{Provider: "mailjet", Reason: reason, Bytes: []byte(bounce)}); err == nil || reparse.FaultOf(err) != reparse.Unproven {
			t.Errorf("%s: %v", reason, err)
		}
	}
}

func TestRecord_IsMarked(t *testing.T) {
	t.Parallel()
	ev := first(t, newMaker(t))
	rec := reparse.Record(reparse.Topic("email.", ev.Type), &ev, "op-1")
	headers := map[string]string{}
	for _, h := range rec.Headers {
		headers[h.Key] = string(h.Value)
	}
	if rec.Topic != "email.bounced" || string(rec.Key) != ev.RecipientHash || headers["origin"] != "replay" || headers["mailstream-replay"] != "op-1" ||
		headers["ce_id"] != ev.ID || headers["ce_type"] != "email.bounced" || headers["ce_source"] != "/mailstream/acme" {
		t.Errorf("%s %s %v", rec.Topic, rec.Key, headers)
	}
	if got := reparse.Topic("staging.email.", "webhook.shop.order"); got != "staging.webhook.shop.order" {
		t.Errorf("topic %s", got)
	}
}

func FuzzMaker(f *testing.F) {
	m := newMaker(f)
	f.Add("mailjet", "", []byte(bounce))
	f.Add("ses", "no_type", []byte(`{"eventType":"Send"}`))
	f.Add("mandrill", "", []byte(`{"event":"send","_id":"x","ts":1,"msg":{"email":"a@b.test"}}`))
	f.Add("mailchimp", "", []byte(`{"type":"unsubscribe","fired_at":"2026-01-01 00:00:00","data[email]":["a@b.test","c"]}`))
	f.Fuzz(func(t *testing.T, name, reason string, raw []byte) {
		events, err := m.Letter(&schemas.DeadLetter{Provider: name, Source: "s", Reason: reason, ReceivedAt: received, Bytes: slices.Clone(raw)})
		if err != nil {
			_ = reparse.FaultOf(err) // panics on another kind of error
			return
		}
		for i := range events {
			if events[i].ID == "" || events[i].Source != "s" {
				t.Errorf("event %+v", events[i])
			}
		}
	})
}
