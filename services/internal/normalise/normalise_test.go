package normalise

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/internal/address"
	"github.com/mailstream/mailstream/services/internal/platform/config"
	"github.com/mailstream/mailstream/services/internal/provider"
	"github.com/mailstream/mailstream/services/internal/provider/registry"
)

func load(tb testing.TB) *Normaliser {
	tb.Helper()
	hasher, err := address.NewHasher(config.Literal("pepper-of-this-test"))
	if err != nil {
		tb.Fatal(err)
	}
	classifier, err := registry.Classifier()
	if err != nil {
		tb.Fatal(err)
	}
	n, err := New(hasher, classifier)
	if err != nil {
		tb.Fatal(err)
	}
	return n
}

var origin = Origin{Provider: "mailjet", Source: "acme", ReceivedAt: time.Date(2026, 3, 4, 9, 15, 30, 500e6, time.UTC)}

func complete(tb testing.TB, ev schemas.Event, class string) *provider.Item {
	tb.Helper()
	if ev.Recipient == "" {
		ev.MessageID = "m" // what names nobody and no message is rejected
	}
	it := &provider.Item{Event: ev}
	it.Failure.Class = class
	load(tb).Complete(it, origin)
	return it
}

func TestComplete_OnePersonHasOneHashInAnySpelling(t *testing.T) {
	t.Parallel()
	want := complete(t, schemas.Event{Recipient: "ana@example.com"}, "").Event
	if len(want.RecipientHash) != 32 || want.RecipientDomain != "example.com" {
		t.Fatalf("%+v", want)
	}
	for _, spelling := range []string{"Ana@EXAMPLE.com", " ana@example.com ", "Ana B. <ana@example.com>", `"Ana <B>" <ana@example.com>`, "mailto:ana@example.com"} {
		got := complete(t, schemas.Event{Recipient: spelling}, "").Event
		if got.RecipientHash != want.RecipientHash || got.RecipientDomain != want.RecipientDomain {
			t.Errorf("%q: %q %q", spelling, got.RecipientHash, got.RecipientDomain)
		}
		if got.Recipient != "ana@example.com" && got.Recipient != "Ana@EXAMPLE.com" {
			t.Errorf("%q: the recipient became %q, want the bare address as received", spelling, got.Recipient)
		}
	}
	for _, nobody := range []string{"nobody", "Ana <ana@example.com>, Bo <bo@example.com>", "ana@example.com;bo@example.com", "ana@example.com, bo@example.com"} {
		if got := complete(t, schemas.Event{Recipient: nobody, MessageID: "m"}, "").Event; got.RecipientHash != "" || got.RecipientDomain != "" || got.Recipient != nobody {
			t.Errorf("what is not one address: %+v", got)
		}
	}
	if got := complete(t, schemas.Event{Recipient: "a@gmail.com"}, "").Event.MailboxProvider; got != "google" {
		t.Errorf("mailbox provider %q", got)
	}
}

func TestComplete_FilesImpossibleTimesUnderTheDayOfReceipt(t *testing.T) {
	t.Parallel()
	day := time.Date(2026, 3, 4, 0, 0, 0, 0, time.UTC)
	for _, tt := range []struct {
		name          string
		claimed, want time.Time
	}{
		{"just now", origin.ReceivedAt, origin.ReceivedAt},
		{"an hour ago", origin.ReceivedAt.Add(-time.Hour), origin.ReceivedAt.Add(-time.Hour)},
		{"six years ago", origin.ReceivedAt.AddDate(-6, 0, 0), origin.ReceivedAt.AddDate(-6, 0, 0)},
		{"ahead by less than a day", origin.ReceivedAt.Add(23 * time.Hour), origin.ReceivedAt.Add(23 * time.Hour)},
		{"ahead by more", origin.ReceivedAt.Add(25 * time.Hour), day},
		{"in the year 57970", time.Unix(1767225600000, 0), day},
		{"1970", time.Unix(5, 0), day},
		{"none", time.Time{}, day},
	} {
		it := complete(t, schemas.Event{Recipient: "a@b.example", Time: tt.claimed}, "")
		if !it.Event.Time.Equal(tt.want) {
			t.Errorf("%s: filed under %s, want %s", tt.name, it.Event.Time, tt.want)
		}
		if believed := tt.want.Equal(tt.claimed); Believed(it) != believed {
			t.Errorf("%s: believed %v, want %v", tt.name, Believed(it), believed)
		}
		if !it.Claimed.Equal(tt.claimed) {
			t.Errorf("%s: the claimed time became %s", tt.name, it.Claimed)
		}
	}
}

func TestComplete_GivesAReasonToWhatDidNotArriveOnly(t *testing.T) {
	t.Parallel()
	for _, typ := range schemas.Types() {
		ev := complete(t, schemas.Event{Type: typ, SMTPReply: "550 5.1.1 user unknown"}, "").Event
		if ev.SMTPCode != 550 || ev.EnhancedCode != "5.1.1" {
			t.Errorf("%s: codes %d %q", typ, ev.SMTPCode, ev.EnhancedCode)
		}
		switch typ {
		case schemas.Deferred, schemas.Bounced, schemas.Blocked, schemas.Failed:
			if ev.Reason != schemas.InvalidRecipient || ev.Cause != schemas.CauseRecipient || ev.Classifier == "" || ev.Permanent == nil || !*ev.Permanent {
				t.Errorf("%s: %+v", typ, ev)
			}
		default:
			if ev.Reason != "" || ev.Cause != "" || ev.Classifier != "" || ev.Permanent != nil {
				t.Errorf("%s: %+v", typ, ev)
			}
		}
	}
}

func TestComplete_DecidesHardOrSoftWhereTheProviderDoesNot(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		ev   schemas.Event
		want schemas.BounceType
	}{
		{"permanent", schemas.Event{Type: schemas.Bounced, SMTPReply: "550 5.1.1 user unknown"}, schemas.Hard},
		{"passing", schemas.Event{Type: schemas.Bounced, SMTPReply: "452 4.2.2 full"}, schemas.Soft},
		{"unknown", schemas.Event{Type: schemas.Bounced}, schemas.Soft},
		{"the provider's word", schemas.Event{Type: schemas.Bounced, BounceType: schemas.Soft, SMTPReply: "550 5.1.1 user unknown"}, schemas.Soft},
		{"not a bounce", schemas.Event{Type: schemas.Blocked, SMTPReply: "550 5.1.1 user unknown"}, ""},
	} {
		if got := complete(t, tt.ev, "").Event.BounceType; got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}

func TestComplete_KeepsTheProvidersWordOnMachines(t *testing.T) {
	t.Parallel()
	ev := complete(t, schemas.Event{Type: schemas.Opened, UserAgent: "Mozilla/5.0"}, "").Event
	if ev.Machine == nil || !*ev.Machine {
		t.Error("a prefetch was not seen")
	}
	ev = complete(t, schemas.Event{Type: schemas.Opened, UserAgent: "Mozilla/5.0", Machine: provider.False()}, "").Event
	if ev.Machine == nil || *ev.Machine {
		t.Error("the provider's word was overruled")
	}
	if ev := complete(t, schemas.Event{Type: schemas.Delivered, UserAgent: "Mozilla/5.0"}, "").Event; ev.Machine != nil {
		t.Error("a delivery was judged")
	}
}

func BenchmarkComplete(b *testing.B) {
	n := load(b)
	var it provider.Item
	b.ReportAllocs()
	for b.Loop() {
		it.Event = schemas.Event{Type: schemas.Delivered, Recipient: "ana@example.com", Time: origin.ReceivedAt,
			SMTPReply: "sent (250 2.0.0 OK 1767225600 a1b2c3 - mx.example.com)"}
		n.Complete(&it, origin)
	}
}

// TestComplete_CutsASubjectBetweenLetters puts the limit inside a letter of each length.
func TestComplete_CutsASubjectBetweenLetters(t *testing.T) {
	t.Parallel()
	for _, letter := range []string{"a", "é", "€", "🙂"} {
		for before := range 4 {
			subject := strings.Repeat("x", before) + strings.Repeat(letter, subjectBytesMax)
			got := complete(t, schemas.Event{Type: schemas.Delivered, Recipient: "ana@example.com", Subject: subject}, "").Event.Subject
			if !utf8.ValidString(got) || !strings.HasPrefix(subject, got) || len(got) > subjectBytesMax || len(got) <= subjectBytesMax-len(letter) {
				t.Errorf("%d bytes before %q: %d bytes, valid: %t", before, letter, len(got), utf8.ValidString(got))
			}
		}
	}
}
