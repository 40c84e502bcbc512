package postal_test

import (
	"strings"
	"testing"

	"github.com/mailstream/mailstream/services/internal/jsontext"
	"github.com/mailstream/mailstream/services/internal/provider"
	"github.com/mailstream/mailstream/services/internal/provider/postal"
	"github.com/mailstream/mailstream/services/internal/provider/providertest"
)

func suite() providertest.Suite {
	return providertest.Suite{
		Dir: "testdata",
		Kinds: []string{
			"message_sent", "message_delayed", "message_delivery_failed", "message_held", "message_bounced",
			"message_link_clicked", "message_loaded", "domain_dns_error", "send_limit_approaching", "send_limit_exceeded",
		},
	}
}

func TestProvider(t *testing.T) {
	t.Parallel()
	providertest.Run(t, postal.Provider{}, suite())
}

func FuzzProvider(f *testing.F) {
	providertest.Fuzz(f, postal.Provider{}, suite(), func([]byte) (int, bool) { return 1, true })
}

func TestProvider_KnowsOneEventFromTwoWebhooks(t *testing.T) {
	t.Parallel()
	first := providertest.ID(t, postal.Provider{}, []byte(sent))
	again := strings.NewReplacer("1772615733.41", "1772615733.46", "6d1c11", "6d1c99").Replace(sent)
	if id := providertest.ID(t, postal.Provider{}, []byte(again)); id != first {
		t.Errorf("by the second webhook the id is %s, by the first %s", id, first)
	}
	for name, change := range map[string][2]string{
		"message": {`"id":812`, `"id":813`},
		"moment":  {`"timestamp":1772615733.4,`, `"timestamp":1772615734.4,`},
		"reply":   {"77AA", "77AB"},
	} {
		if id := providertest.ID(t, postal.Provider{}, []byte(strings.Replace(sent, change[0], change[1], 1))); id == first {
			t.Errorf("another %s has the same id", name)
		}
	}
}

const sent = `{"event":"MessageSent","timestamp":1772615733.41,"payload":{"message":{"id":812,"token":"aB3dE5","direction":"outgoing","message_id":"6a1f@rp.postal.example.org","to":"ana@example.com","from":"shop@example.org","subject":"Your order","timestamp":1772615730.12,"spam_status":"NotChecked","tag":"order"},"status":"Sent","details":"Message for ana@example.com accepted by 198.51.100.7:25 (mx.example.com)","output":"250 2.0.0 OK queued as 77AA","sent_with_ssl":true,"timestamp":1772615733.4,"time":0.31},"uuid":"7f2d0a7e-5f0b-4d55-9a8e-0f2f2c6d1c11"}`

func BenchmarkDecode(b *testing.B) {
	b.Run("postal", func(b *testing.B) {
		providertest.Benchmark(b, postal.Provider{}, &provider.Request{Body: []byte(sent), Limits: jsontext.Limits{Depth: 64, Items: 1}}, 1)
	})
}
