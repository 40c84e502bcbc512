package mailjet_test

import (
	"bytes"
	"testing"

	"github.com/mailstream/mailstream/services/internal/provider/mailjet"
	"github.com/mailstream/mailstream/services/internal/provider/providertest"
)

func suite() providertest.Suite {
	return providertest.Suite{
		Dir:     "testdata",
		Kinds:   []string{"sent", "open", "click", "bounce", "blocked", "spam", "unsub"},
		Batch:   batch,
		Largest: 5000, // none is documented: a second of events, and more
	}
}

func batch(items [][]byte) []byte {
	return append(append([]byte{'['}, bytes.Join(items, []byte(","))...), ']')
}

func TestProvider(t *testing.T) {
	t.Parallel()
	providertest.Run(t, mailjet.Provider{}, suite())
}

func FuzzProvider(f *testing.F) {
	providertest.Fuzz(f, mailjet.Provider{}, suite(), providertest.CountJSON)
}

const sent = `{"event":"sent","time":1767225600,"MessageID":576460761234567891,"Message_GUID":"6b1f0c52-3a0e-4c5e-9d1a-0f8a3a7c1d01","email":"ana@example.com","mj_campaign_id":9001,"mj_contact_id":42,"customcampaign":"spring-2026","mj_message_id":"576460761234567891","smtp_reply":"sent (250 2.0.0 OK 1767225600 a1b2c3 - mx.example.com)","CustomID":"order-7781","Payload":"{\"tenant\":\"t-9\",\"order\":7781}"}`

func BenchmarkDecode(b *testing.B) {
	providertest.BenchmarkBatches(b, mailjet.Provider{}, []byte(sent), batch)
}
