package postmark_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/mailstream/mailstream/services/internal/jsontext"
	"github.com/mailstream/mailstream/services/internal/provider"
	"github.com/mailstream/mailstream/services/internal/provider/postmark"
	"github.com/mailstream/mailstream/services/internal/provider/providertest"
)

func suite() providertest.Suite {
	return providertest.Suite{
		Dir:   "testdata",
		Kinds: []string{"delivery", "bounce", "spamcomplaint", "open", "click", "subscriptionchange"},
	}
}

func TestProvider(t *testing.T) {
	t.Parallel()
	providertest.Run(t, postmark.Provider{}, suite())
}

func FuzzProvider(f *testing.F) {
	providertest.Fuzz(f, postmark.Provider{}, suite(), func([]byte) (int, bool) { return 1, true })
}

func TestProvider_TellsEventsOfOneMillisecondApart(t *testing.T) {
	t.Parallel()
	first := providertest.ID(t, postmark.Provider{}, []byte(delivery))
	if again := providertest.ID(t, postmark.Provider{}, []byte(delivery)); again != first {
		t.Errorf("sent again it has the id %s and had %s", again, first)
	}
	for old, changed := range map[string]string{".1234567Z": ".1234568Z", "ana@": "bo@", "1a01": "1a02"} {
		other := strings.Replace(delivery, old, changed, 1)
		if id := providertest.ID(t, postmark.Provider{}, []byte(other)); id == first || other == delivery {
			t.Errorf("another event has the same id: %s", other)
		}
	}
}

func TestProvider_LosesNothingByAnAnswer(t *testing.T) {
	t.Parallel()
	a := postmark.Provider{}.Answers()
	for name, status := range map[string]int{"unauthenticated": a.Unauthenticated, "malformed": a.Malformed, "too large": a.TooLarge, "slow": a.Slow} {
		if status < http.StatusInternalServerError { // below it is dropped at once
			t.Errorf("%s is answered with %d", name, status)
		}
	}
}

const delivery = `{"RecordType":"Delivery","ServerID":4711,"MessageStream":"outbound","MessageID":"3f1c2a9e-6a1d-4d0b-9b39-5d6f0c7e1a01","Recipient":"ana@example.com","Tag":"invoice","DeliveredAt":"2026-01-01T00:00:05.1234567Z","Details":"smtp;250 2.0.0 OK queued as 9F31C","Metadata":{"tenant":"t-9"}}`

func BenchmarkDecode(b *testing.B) {
	b.Run("postmark", func(b *testing.B) {
		providertest.Benchmark(b, postmark.Provider{}, &provider.Request{Body: []byte(delivery), Limits: jsontext.Limits{Depth: 64, Items: 1}}, 1)
	})
}
