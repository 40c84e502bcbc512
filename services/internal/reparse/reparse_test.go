package reparse_test

import (
	"slices"
	"strings"
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

// Of several events of the same bytes the one that is stored is made, though another one
// before it would be it under another type.
func TestMaker_FindsTheEventAmongMore(t *testing.T) {
	t.Parallel()
	m := newMaker(t)
	want := first(t, m)
	blocked := strings.Replace(bounce, `"event":"bounce"`, `"event":"blocked"`, 1)
	for _, raw := range []string{"[" + blocked + "," + bounce + "]", "[" + bounce + "," + blocked + "]"} {
		was := want
		was.Raw = []byte(raw)
		if got, err := m.Event(&was); err != nil || got.ID != want.ID || got.Type != schemas.Bounced {
			t.Errorf("made %s %s of %s: %v", got.Type, got.ID, raw, err)
		}
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

// Without its bytes an event is judged by its reply, where that is certain and the
// provider's own class cannot have decided; with them, its type and what a parser reads
// stay as they are stored.
func TestMaker_JudgesWhatIsStored(t *testing.T) {
	t.Parallel()
	m := newMaker(t)
	yes, no := true, false
	now := first(t, m)
	stored := func(change func(*schemas.Event)) *schemas.Event {
		e := now
		e.Raw, e.Classifier = nil, "old"
		change(&e)
		return &e
	}
	const listed = "550 5.7.1 Service unavailable, client host [192.0.2.1] blocked using Spamhaus"
	for _, tt := range []struct {
		name      string
		was       *schemas.Event
		reason    schemas.Reason
		permanent *bool
		fault     reparse.Fault
	}{
		{"a fault of the sender", stored(func(e *schemas.Event) { e.SMTPReply, e.SMTPCode, e.EnhancedCode = listed, 0, "" }), schemas.Blocklist, &no, ""},
		{"a dead address that was taken for a policy", stored(func(e *schemas.Event) { e.Reason, e.Permanent = schemas.Policy, &no }), schemas.InvalidRecipient, &yes, ""},
		{"the same, where the provider may go on trying", stored(func(e *schemas.Event) {
			e.Type, e.BounceType, e.Reason, e.Permanent = schemas.Deferred, "", schemas.Policy, &no
		}), schemas.InvalidRecipient, nil, ""},
		{"the same reason, where the provider may go on trying", stored(func(e *schemas.Event) { e.Type, e.BounceType, e.Permanent = schemas.Deferred, "", &no }), schemas.InvalidRecipient, &no, ""},
		{"of the provider's own word", stored(func(e *schemas.Event) { e.Cause = schemas.CauseProvider }), "", nil, reparse.Unsure},
		{"without a reply", stored(func(e *schemas.Event) { e.SMTPReply, e.SMTPCode, e.EnhancedCode = "", 0, "" }), "", nil, reparse.Unsure},
		{"a word that says little", stored(func(e *schemas.Event) { e.SMTPReply, e.SMTPCode, e.EnhancedCode = "blocked", 0, "" }), "", nil, reparse.Unsure},
		{"of this classifier", stored(func(e *schemas.Event) { e.Classifier, e.Reason = m.Classifier(), schemas.Policy }), schemas.Policy, &yes, ""},
		{"with its bytes", stored(func(e *schemas.Event) { e.Raw, e.Reason, e.Permanent = now.Raw, schemas.Policy, nil }), schemas.InvalidRecipient, &yes, ""},
		{"of another type today", stored(func(e *schemas.Event) {
			e.Raw, e.Type, e.ID = now.Raw, schemas.Blocked, reparse.IDAs(m, &now, schemas.Blocked)
		}), "", nil, reparse.OtherType},
		{"of other bytes", stored(func(e *schemas.Event) { e.Raw, e.ID = now.Raw, "0193486f-5a00-8abc-9def-0123456789ab" }), "", nil, reparse.OtherEvent},
	} {
		got, err := m.Verdict(tt.was)
		if tt.fault != "" {
			if err == nil || reparse.FaultOf(err) != tt.fault {
				t.Errorf("%s: %v, want %s", tt.name, err, tt.fault)
			}
			continue
		}
		if err != nil || got.Reason != tt.reason || got.Cause != schemas.CauseOf(tt.reason) && tt.was.Classifier == "old" || !cmp.Equal(got.Permanent, tt.permanent) {
			t.Errorf("%s: %s %s %v, %v", tt.name, got.Reason, got.Cause, got.Permanent, err)
		}
		for _, e := range []*schemas.Event{&got, tt.was} { // nothing but the verdict
			e.BounceType, e.Reason, e.Cause, e.Confidence, e.Permanent, e.Classifier = "", "", "", "", nil, ""
			e.Blocklist, e.BlocklistSubject, e.BlocklistURL = "", "", ""
		}
		if diff := cmp.Diff(*tt.was, got); diff != "" {
			t.Errorf("%s: %s", tt.name, diff)
		}
	}
	open := schemas.Event{Type: schemas.Opened, UserAgent: "Mimecast Link Protection"}
	if got, err := m.Verdict(&open); err != nil || got.Machine == nil || !*got.Machine {
		t.Errorf("an open of a scanner: %v, %v", got.Machine, err)
	}
	open.UserAgent, open.Machine = "Mozilla/5.0 (X11) Firefox", &yes // by the provider's word
	if got, err := m.Verdict(&open); err != nil || got.Machine == nil || !*got.Machine {
		t.Errorf("an open that the provider called a machine's: %v, %v", got.Machine, err)
	}
}
