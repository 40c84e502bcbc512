package intake_test

import (
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/mailstream/mailstream/schemas"
)

// BenchmarkHandle reads batches of events that no rule is about, which is what
// most bounces are: all of the work is to read them.
func BenchmarkHandle(b *testing.B) {
	f := newFixture()
	recs := make([]*kgo.Record, 500)
	for i := range recs {
		recs[i] = record(i, func(e *schemas.Event) {
			e.Type, e.Provider, e.Source, e.ProviderEvent = schemas.Opened, "mailjet", "acme-mailjet", "open"
			e.ReceivedAt, e.MessageID, e.RecipientDomain, e.MailboxProvider = e.Time.Add(time.Second), "57646076000000001", "example.com", "google"
			e.Campaign, e.UserAgent, e.IP = "spring", "Example/1.0 (a browser)", "192.0.2.1"
			e.Raw = []byte(`{"event":"open","time":1767225600,"MessageID":57646076000000001,"Message_GUID":"6b1f0c52-3a0e-4c5e-9d1a-0f8a3a7c1d01","email":"ana@example.com","mj_campaign_id":9001,"mj_contact_id":42,"customcampaign":"spring-2026","CustomID":"order-7781","Payload":"tenant=t-9"}`)
		})
	}
	b.ReportAllocs()
	for b.Loop() {
		if err := f.Handle(b.Context(), recs); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)*float64(len(recs))/b.Elapsed().Seconds(), "records/s")
}
