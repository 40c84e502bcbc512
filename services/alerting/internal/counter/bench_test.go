package counter

import (
	"fmt"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/alerting/internal/window"
)

// deliveredRecord is what the ingress writes for a Mailjet delivery.
func deliveredRecord(n int) *kgo.Record {
	at := time.Date(2026, 11, 2, 12, 0, 0, 0, time.UTC)
	e := schemas.Event{
		ID: fmt.Sprintf("0193a1b2-c3d4-8e5f-8a6b-%012x", n), Type: schemas.Delivered, Time: at, ReceivedAt: at.Add(time.Second),
		Provider: "mailjet", Source: "acme-mailjet", ProviderEvent: "sent", MessageID: "57646076000000001",
		Recipient: fmt.Sprintf("user%d@d%d.example", n, n%1000), RecipientDomain: fmt.Sprintf("d%d.example", n%1000),
		RecipientHash: fmt.Sprintf("%032x", n), MailboxProvider: "google", Campaign: "spring", SMTPCode: 250,
		SMTPReply: "sent (250 2.0.0 OK 1767225600 a1b2c3 - mx.example.com)",
		Raw:       []byte(`{"event":"sent","time":1767225600,"MessageID":57646076000000001,"Message_GUID":"6b1f0c52-3a0e-4c5e-9d1a-0f8a3a7c1d01","email":"ana@example.com","mj_campaign_id":9001,"mj_contact_id":42,"customcampaign":"spring-2026","mj_message_id":"576460761234567891","smtp_reply":"sent (250 2.0.0 OK 1767225600 a1b2c3 - mx.example.com)","CustomID":"order-7781","Payload":"tenant=t-9"}`),
	}
	return &kgo.Record{Timestamp: at.Add(2 * time.Second), Value: schemas.AppendJSON(nil, &e)}
}

func BenchmarkDecode(b *testing.B) {
	rec := deliveredRecord(1)
	b.SetBytes(int64(len(rec.Value)))
	b.ReportAllocs()
	var d decoder
	for b.Loop() {
		if _, _, err := d.decode(rec, window.Delivered); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkReference_Decode reads the whole event with the standard library.
func BenchmarkReference_Decode(b *testing.B) {
	rec := deliveredRecord(1)
	b.SetBytes(int64(len(rec.Value)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := schemas.Decode(rec.Value); err != nil {
			b.Fatal(err)
		}
	}
}
