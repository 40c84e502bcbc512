package ses_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/mailstream/mailstream/services/internal/jsontext"
	"github.com/mailstream/mailstream/services/internal/provider"
	"github.com/mailstream/mailstream/services/internal/provider/providertest"
	"github.com/mailstream/mailstream/services/internal/provider/ses"
)

func suite() providertest.Suite {
	return providertest.Suite{
		Dir: "testdata",
		Kinds: []string{
			"send", "delivery", "delivery_delay", "bounce", "complaint", "reject", "open", "click",
			"rendering_failure", "subscription", "handshake",
		},
		Inside: inside,
	}
}

// inside returns the record in an SNS message, and the message itself for what
// holds none.
func inside(body []byte) []byte {
	var envelope struct{ Message string }
	if json.Unmarshal(body, &envelope) != nil || !json.Valid([]byte(envelope.Message)) || envelope.Message == `"text"` {
		return body
	}
	return []byte(envelope.Message)
}

// notification wraps a record as SNS does.
func notification(record string) []byte {
	text, err := json.Marshal(record)
	if err != nil {
		panic(err) // a string always encodes
	}
	return fmt.Appendf(nil, `{"Type":"Notification","MessageId":"11111111-2222-4333-8444-555555555555","TopicArn":"arn:aws:sns:eu-west-1:123456789012:ses-events","Message":%s,"Timestamp":"2026-01-01T00:00:00.500Z","SignatureVersion":"2","Signature":"QUJD","SigningCertURL":"https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-0123456789abcdef0123456789abcdef.pem"}`, text)
}

func TestProvider(t *testing.T) {
	t.Parallel()
	providertest.Run(t, ses.Provider{}, suite())
}

func FuzzProvider(f *testing.F) {
	providertest.Fuzz(f, ses.Provider{}, suite(), func([]byte) (int, bool) { return 0, false })
}

// FuzzRecord reaches what lies behind the quotes of an SNS message.
func FuzzRecord(f *testing.F) {
	f.Add(bounce)
	f.Add(`{"eventType":"Send","mail":{"messageId":"m","destination":["a@b.c","d@e.f"],"tags":{"k":["v",1]}},"send":{}}`)
	f.Add(`{"eventType":"Subscription","mail":{"messageId":"m"},"subscription":{"contactList":"c","newTopicPreferences":{"topicSubscriptionStatus":[{"topicName":"n","subscriptionStatus":"OptOut"}]}}}`)
	f.Fuzz(func(t *testing.T, record string) {
		var out provider.Batch
		req := &provider.Request{Body: notification(record), Limits: jsontext.Limits{Depth: 64, Items: 100_000}}
		if err := (ses.Provider{}).Decode(req, &out); err != nil {
			t.Fatalf("an SNS message was refused: %v", err)
		}
		if n := len(out.Items()); n > 100+1 {
			t.Fatalf("%d events of one record", n)
		}
	})
}

const bounce = `{"eventType":"Bounce","mail":{"timestamp":"2026-01-01T00:00:00.000Z","messageId":"0102019b7000aaaa-00000000-0000-4000-8000-000000000002-000000","source":"shop@example.com","destination":["nobody@example.com","full@example.com"],"tags":{"tenant":["t-9"]}},"bounce":{"feedbackId":"0102019b7000bbbb-11111111-0000-4000-8000-000000000002-000000","bounceType":"Permanent","bounceSubType":"NoEmail","bouncedRecipients":[{"emailAddress":"nobody@example.com","action":"failed","status":"5.1.1","diagnosticCode":"smtp; 550 5.1.1 no such user"}],"timestamp":"2026-01-01T00:00:02.669Z","reportingMTA":"dsn; a1-2.smtp-out.example.com"}}`

func TestProvider_KnowsOneBounceFromBothProducers(t *testing.T) {
	t.Parallel()
	feedback := strings.Replace(bounce, "eventType", "notificationType", 1)
	feedback = strings.Replace(feedback, `,"tags":{"tenant":["t-9"]}`, "", 1)
	again := strings.Replace(string(notification(feedback)), "11111111-2222", "99999999-2222", 1)
	first := providertest.ID(t, ses.Provider{}, notification(bounce))
	if id := providertest.ID(t, ses.Provider{}, []byte(again)); id != first {
		t.Errorf("by a feedback notification the id is %s, by event publishing %s", id, first)
	}
	other := strings.Replace(bounce, "0102019b7000bbbb", "0102019b7000cccc", 1)
	if id := providertest.ID(t, ses.Provider{}, notification(other)); id == first {
		t.Error("another report has the same id")
	}
}

func TestProvider_BoundsTheEventsOfOneRecord(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name       string
		recipients int
		events     int
		fault      provider.Fault
	}{
		{"as many as SES sends to", 50, 50, ""},
		{"as many as are taken", 100, 100, ""},
		{"more", 101, 1, provider.TooLarge},
		{"many more", 5000, 1, provider.TooLarge},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			list := make([]string, tt.recipients)
			for i := range list {
				list[i] = fmt.Sprintf(`"r%d@example.com"`, i)
			}
			record := `{"eventType":"Send","mail":{"messageId":"m","timestamp":"2026-01-01T00:00:00Z","destination":[` + strings.Join(list, ",") + `]},"send":{}}`
			var out provider.Batch
			req := &provider.Request{Body: notification(record), Limits: jsontext.Limits{Depth: 64, Items: 1}}
			if err := (ses.Provider{}).Decode(req, &out); err != nil {
				t.Fatal(err)
			}
			if items := out.Items(); len(items) != tt.events || items[0].Fault != tt.fault {
				t.Errorf("%d items, the first with the fault %q", len(items), items[0].Fault)
			}
		})
	}
}

func TestProvider_LosesNoTopicInSilence(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		topics, events int
		all            bool
		fault          provider.Fault
	}{{100, 100, false, ""}, {101, 1, false, provider.TooLarge}, {101, 1, true, ""}} {
		t.Run(fmt.Sprint(tt.topics, tt.all), func(t *testing.T) {
			t.Parallel()
			list := make([]string, tt.topics)
			for i := range list {
				list[i] = fmt.Sprintf(`{"topicName":"t%d","subscriptionStatus":"OptOut"}`, i)
			}
			record := fmt.Sprintf(`{"eventType":"Subscription","mail":{"messageId":"m","destination":["ana@example.com"]},"subscription":{"contactList":"c","newTopicPreferences":{"unsubscribeAll":%t,"topicSubscriptionStatus":[%s]}}}`, tt.all, strings.Join(list, ","))
			var out provider.Batch
			req := &provider.Request{Body: notification(record), Limits: jsontext.Limits{Depth: 64, Items: 1}}
			if err := (ses.Provider{}).Decode(req, &out); err != nil {
				t.Fatal(err)
			}
			if items := out.Items(); len(items) != tt.events || items[0].Fault != tt.fault {
				t.Errorf("%d items, the first with the fault %q", len(items), items[0].Fault)
			}
		})
	}
}

func BenchmarkDecode(b *testing.B) {
	b.Run("ses", func(b *testing.B) {
		providertest.Benchmark(b, ses.Provider{}, &provider.Request{Body: notification(bounce), Limits: jsontext.Limits{Depth: 64, Items: 1}}, 1)
	})
}
