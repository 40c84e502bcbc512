package counter

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/alerting/internal/window"
	"github.com/mailstream/mailstream/services/internal/provider/registry"
)

func record(at time.Time, value string) *kgo.Record {
	return &kgo.Record{Timestamp: at, Value: []byte(value)}
}

func TestDecode_PlacesByTheEventsOwnTime(t *testing.T) {
	t.Parallel()
	written := time.Date(2026, 11, 2, 12, 0, 0, 0, time.UTC)
	tests := []struct {
		name   string
		time   string
		want   time.Time
		skewed bool
	}{
		{"a minute ago", `"2026-11-02T11:59:00.000Z"`, written.Add(-time.Minute), false},
		{"another zone", `"2026-11-02T12:59:00.000+01:00"`, written.Add(-time.Minute), false},
		{"a little ahead", `"2026-11-02T12:01:00.000Z"`, written, false},
		{"far ahead", `"2026-11-02T12:06:00.000Z"`, written, true},
		{"unknown", `"0001-01-01T00:00:00Z"`, written, false},
	}
	for _, tt := range tests {
		o, skewed, err := new(decoder).decode(record(written, `{"id":"1","source":"a","recipient_domain":"d.test","time":`+tt.time+`}`), window.Delivered)
		if err != nil || skewed != tt.skewed || o.Pane != window.PaneOf(tt.want) {
			t.Errorf("%s: pane %d, skewed %t, %v; want pane %d, skewed %t", tt.name, o.Pane, skewed, err, window.PaneOf(tt.want), tt.skewed)
		}
	}
}

func TestDecode_TakesWhatIsCounted(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 2, 12, 0, 7, 250e6, time.UTC)
	e := schemas.Event{
		ID: "0193", MessageID: "m-1", RecipientHash: "00ff", Type: schemas.Blocked, Time: at, Source: "acme", Recipient: "jane.doe@d.test", RecipientDomain: "d.test",
		MailboxProvider: "google", Reason: schemas.Reputation, Cause: schemas.CauseSender, SMTPReply: "550 <jane.doe@d.test> no",
		Raw: []byte(`{"id":"not this","source":"nor this"}`),
	}
	o, _, err := new(decoder).decode(record(at, string(schemas.AppendJSON(nil, &e))), window.Blocked)
	want := window.Observation{
		ID: "0193", MessageID: "m-1", Recipient: "00ff", Milli: 7_250, Pane: window.PaneOf(at), Kind: window.Blocked, Source: "acme", Domain: "d.test", Provider: "google",
		Reason: schemas.Reputation, Cause: schemas.CauseSender, Sample: "550 <<address>> no",
	}
	if diff := cmp.Diff(want, o); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
}

func TestDecode_CountsARefusalAsABlockWhateverTheProviderCallsIt(t *testing.T) {
	t.Parallel()
	d := decoder{literal: registry.Literal()}
	at := time.Date(2026, 11, 2, 12, 0, 0, 0, time.UTC)
	for _, tt := range []struct {
		provider string
		cause    schemas.Cause
		want     window.Kind
	}{
		{"ses", schemas.CauseSender, window.Blocked},
		{"mandrill", schemas.CauseContent, window.Blocked},
		{"ses", schemas.CauseRecipient, window.Bounced},
		{"ses", schemas.CauseNetwork, window.Bounced},
		{"ses", schemas.CauseProvider, window.Bounced},
		{"ses", "", window.Bounced},
		{"mailjet", schemas.CauseSender, window.Bounced}, // blocked is its own word
		{"sendgrid", schemas.CauseSender, window.Bounced},
		{"postmark", schemas.CauseContent, window.Bounced},
		{"generic", schemas.CauseSender, window.Bounced}, // the configuration says which is which
	} {
		e := schemas.Event{
			ID: "1", Type: schemas.Bounced, Time: at, Source: "acme", Provider: tt.provider, RecipientDomain: "d.test",
			Reason: schemas.Reputation, Cause: tt.cause, SMTPReply: "550 5.7.1 no",
		}
		o, _, err := d.decode(record(at, string(schemas.AppendJSON(nil, &e))), window.Bounced)
		if err != nil || o.Kind != tt.want || (o.Sample != "") != (tt.want == window.Blocked) {
			t.Errorf("%s %s: kind %d with %q, %v; want %d", tt.provider, tt.cause, o.Kind, o.Sample, err, tt.want)
		}
	}
}

func TestDecode_ShowsWhichListRefused(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 2, 12, 0, 0, 0, time.UTC)
	e := schemas.Event{
		ID: "1", Type: schemas.Blocked, Time: at, Source: "acme", Provider: "mailjet", RecipientDomain: "d.test",
		Reason: schemas.Blocklist, Cause: schemas.CauseSender, SMTPReply: "550 5.7.1 no",
		Blocklist: "spamhaus-zen", BlocklistSubject: "192.0.2.1", BlocklistURL: "https://example.com/?q=192.0.2.1",
	}
	for _, tt := range []struct{ subject, want string }{
		{"192.0.2.1", "spamhaus-zen 192.0.2.1 https://example.com/?q=192.0.2.1: 550 5.7.1 no"},
		{"", "spamhaus-zen https://example.com/?q=192.0.2.1: 550 5.7.1 no"},
		{strings.Repeat("x", nameBytesMax+1), "spamhaus-zen " + invalidName + " https://example.com/?q=192.0.2.1: 550 5.7.1 no"},
	} {
		e.BlocklistSubject = tt.subject
		o, _, err := new(decoder).decode(record(at, string(schemas.AppendJSON(nil, &e))), window.Blocked)
		if err != nil || o.Sample != tt.want {
			t.Errorf("got %q, %v", o.Sample, err)
		}
	}
}

func TestDecode_RefusesWhatIsNoEvent(t *testing.T) {
	t.Parallel()
	for _, value := range []string{``, `null`, `{}`, `[]`, `{"id":1}`, `{"id":""}`, `{"id":"1","time":"yesterday"}`, `{"id":"1"`, `{"id":"1"}}`, `{"id":"1","tags":[1],"x":}`} {
		if _, _, err := new(decoder).decode(record(time.Now(), value), window.Blocked); err == nil {
			t.Errorf("%q was taken", value)
		}
	}
}

// Of a field that cannot be read nothing is counted; the event still is.
func TestDecode_TakesAFieldOfTheWrongTypeForAbsent(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 2, 12, 0, 0, 0, time.UTC)
	for _, field := range []string{
		`"campaign":1`, `"tags":"a"`, `"tags":[1]`, `"metadata":{"a":{"b":1}}`, `"smtp_code":"550"`, `"smtp_code":70000`, `"machine":1`,
		`"message_id":57646076000000001`, `"recipient_hash":null`, `"mailbox_provider":["x"]`, `"time":5`, `"time":null`, `"time":""`, `"later":{"x":[1]}`, `"raw":5`,
	} {
		o, _, err := new(decoder).decode(record(at, `{"id":"1",`+field+`,"source":"a","recipient_domain":"d.test"}`), window.Delivered)
		want := window.Observation{ID: "1", Pane: window.PaneOf(at), Kind: window.Delivered, Source: "a", Domain: "d.test"}
		if diff := cmp.Diff(want, o); diff != "" || err != nil {
			t.Errorf("%s: %v (-want +got):\n%s", field, err, diff)
		}
	}
}

func TestDecode_BoundsNames(t *testing.T) {
	t.Parallel()
	o, _, err := new(decoder).decode(record(time.Now(), `{"id":"1","recipient_domain":"`+strings.Repeat("a", 254)+`"}`), window.Blocked)
	if err != nil || o.Domain != invalidName {
		t.Errorf("domain %q, %v", o.Domain, err)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte(`{"id":"1","time":"2026-11-02T12:00:00.000Z","source":"a","recipient_domain":"d.test","reason":"policy"}`))
	f.Fuzz(func(t *testing.T, value []byte) {
		at := time.Date(2026, 11, 2, 12, 0, 0, 0, time.UTC)
		o, _, err := new(decoder).decode(&kgo.Record{Timestamp: at, Value: value}, window.Blocked)
		if err == nil && (o.ID == "" || o.Pane > window.PaneOf(at) || len(o.Domain) > nameBytesMax) {
			t.Errorf("observation: %+v", o)
		}
	})
}
