package resend_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/mailstream/mailstream/services/internal/jsontext"
	"github.com/mailstream/mailstream/services/internal/provider"
	"github.com/mailstream/mailstream/services/internal/provider/providertest"
	"github.com/mailstream/mailstream/services/internal/provider/resend"
)

func suite() providertest.Suite {
	return providertest.Suite{
		Dir: "testdata",
		Kinds: []string{
			"email.sent", "email.scheduled", "email.delivered", "email.delivery_delayed", "email.bounced",
			"email.complained", "email.opened", "email.clicked", "email.failed", "email.suppressed", "email.received",
			"contact.created", "contact.updated", "contact.deleted", "domain.created", "domain.updated",
			"domain.deleted", "suppression.added", "suppression.removed",
		},
	}
}

func TestProvider(t *testing.T) {
	t.Parallel()
	providertest.Run(t, resend.Provider{}, suite())
}

func FuzzProvider(f *testing.F) {
	providertest.Fuzz(f, resend.Provider{}, suite(), func([]byte) (int, bool) { return 0, false })
}

func TestProvider_BoundsTheEventsOfARequest(t *testing.T) {
	t.Parallel()
	for n, want := range map[int]int{100: 100, 101: 1} {
		body := strings.Replace(delivered, `"ana@example.com"`, strings.Repeat(`"ana@example.com",`, n-1)+`"ana@example.com"`, 1)
		out := decode(t, body, nil)
		if got := len(out.Items()); got != want {
			t.Errorf("%d recipients: %d items, want %d", n, got, want)
		}
		if f := out.Items()[0].Fault; (f == provider.TooLarge) != (want == 1) {
			t.Errorf("%d recipients: fault %q", n, f)
		}
	}
}

func TestProvider_KnowsAnEventByItsHeader(t *testing.T) {
	t.Parallel()
	tells := func(header, id string) string {
		out := decode(t, delivered, http.Header{header: {id}})
		it := &out.Items()[0]
		if it.Event.ProviderEventID != id {
			t.Errorf("%s: the event has the provider's id %q, want %q", header, it.Event.ProviderEventID, id)
		}
		return strings.Join(it.Discriminators(), "\x00")
	}
	if tells("Svix-Id", "msg_1") != tells("Webhook-Id", "msg_1") || tells("Svix-Id", "msg_1") == tells("Svix-Id", "msg_2") {
		t.Error("the number in the header does not tell events apart")
	}
}

// TestProvider_TakesTheIDThatIsSigned sends both sets of names: the signature is
// checked with the svix- set where that has one, else with the other.
func TestProvider_TakesTheIDThatIsSigned(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		header http.Header
		want   string
	}{
		{"both signed", http.Header{"Svix-Id": {"svix"}, "Svix-Signature": {"v1,a"}, "Webhook-Id": {"standard"}, "Webhook-Signature": {"v1,a"}}, "svix"},
		{"the standard's signed", http.Header{"Svix-Id": {"svix"}, "Webhook-Id": {"standard"}, "Webhook-Signature": {"v1,a"}}, "standard"},
		{"two signatures of svix count as none", http.Header{"Svix-Id": {"svix"}, "Svix-Signature": {"v1,a", "v1,b"}, "Webhook-Id": {"standard"}, "Webhook-Signature": {"v1,a"}}, "standard"},
		{"an empty one too", http.Header{"Svix-Id": {"svix"}, "Svix-Signature": {""}, "Webhook-Id": {"standard"}, "Webhook-Signature": {"v1,a"}}, "standard"},
		{"none signed", http.Header{"Svix-Id": {"svix"}}, "svix"},
	} {
		out := decode(t, delivered, tt.header)
		if got := out.Items()[0].Event.ProviderEventID; got != tt.want {
			t.Errorf("%s: the event has the id %q, want %q", tt.name, got, tt.want)
		}
	}
}

func decode(t *testing.T, body string, header http.Header) *provider.Batch {
	t.Helper()
	out := new(provider.Batch)
	req := &provider.Request{Header: header, Body: []byte(body), Limits: jsontext.Limits{Depth: 64, Items: 1}}
	if err := (resend.Provider{}).Decode(req, out); err != nil {
		t.Fatal(err)
	}
	return out
}

const delivered = `{"type":"email.delivered","created_at":"2026-03-04T09:15:33.001Z","data":{"email_id":"0c3a1f52-0a51-4d7e-9a55-2f6f1f2d1b11","created_at":"2026-03-04T09:15:29.894Z","from":"Shop <shop@example.org>","to":["ana@example.com"],"subject":"Your order","tags":{"kind":"order"}}}`

func BenchmarkDecode(b *testing.B) {
	b.Run("resend", func(b *testing.B) {
		providertest.Benchmark(b, resend.Provider{}, &provider.Request{Body: []byte(delivered), Limits: jsontext.Limits{Depth: 64, Items: 1}}, 1)
	})
}
