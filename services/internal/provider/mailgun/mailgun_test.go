package mailgun_test

import (
	"strings"
	"testing"

	"github.com/mailstream/mailstream/services/internal/jsontext"
	"github.com/mailstream/mailstream/services/internal/provider"
	"github.com/mailstream/mailstream/services/internal/provider/mailgun"
	"github.com/mailstream/mailstream/services/internal/provider/providertest"
)

func suite() providertest.Suite {
	return providertest.Suite{
		Dir:     "testdata",
		Outside: "event-data.",
		Kinds:   []string{"accepted", "delivered", "failed", "opened", "clicked", "unsubscribed", "complained", "rejected", "stored"},
	}
}

func TestProvider(t *testing.T) {
	t.Parallel()
	providertest.Run(t, mailgun.Provider{}, suite())
}

func FuzzProvider(f *testing.F) {
	providertest.Fuzz(f, mailgun.Provider{}, suite(), func([]byte) (int, bool) { return 1, true })
}

func TestProvider_KnowsARetryUnderAnotherToken(t *testing.T) {
	t.Parallel()
	again := strings.NewReplacer("8690c3af", "00000000", `"1767225602"`, `"1767225902"`).Replace(delivered)
	other := strings.Replace(delivered, "Q2delivered", "Q3delivered", 1)
	first := providertest.ID(t, mailgun.Provider{}, []byte(delivered))
	if id := providertest.ID(t, mailgun.Provider{}, []byte(again)); again == delivered || id != first {
		t.Errorf("a retry has the id %s and had %s", id, first)
	}
	if id := providertest.ID(t, mailgun.Provider{}, []byte(other)); id == first {
		t.Error("another entry of the log has the same id")
	}
}

func TestProvider_KeepsTheSignatureToItself(t *testing.T) {
	t.Parallel()
	var out provider.Batch
	req := &provider.Request{Body: []byte(delivered), Limits: jsontext.Limits{Depth: 64, Items: 1}}
	if err := (mailgun.Provider{}).Decode(req, &out); err != nil {
		t.Fatal(err)
	}
	if raw := string(out.Items()[0].Event.Raw); strings.Contains(raw, "8690c3af") || !strings.Contains(raw, "Q2delivered") {
		t.Errorf("raw is %s", raw)
	}
}

const delivered = `{"signature":{"timestamp":"1767225602","token":"8690c3af015e6294ff67fcfd334f181a4704b579e9b2bce79e","signature":"d88cd07d05ad782b6ab059726aa6ba85eef9657ad8522d7098af654252b18d81"},"event-data":{"event":"delivered","id":"Q2deliveredAAAAAAAAAAA","timestamp":1767225602.550001,"log-level":"info","envelope":{"transport":"smtp","sender":"shop@mg.example.com","sending-ip":"198.51.100.7","targets":"ana@example.com"},"flags":{"is-routed":false,"is-authenticated":true,"is-system-test":false,"is-test-mode":false},"delivery-status":{"tls":true,"mx-host":"mx.example.com","code":250,"description":"","session-seconds":0.43,"utf8":true,"attempt-no":1,"message":"OK","certificate-verified":true},"message":{"headers":{"to":"Ana <ana@example.com>","message-id":"20260101000000.1.A1B2C3@mg.example.com","from":"Shop <shop@mg.example.com>","subject":"Invoice 7781"},"attachments":[],"size":512},"recipient":"ana@example.com","recipient-domain":"example.com","campaigns":[],"tags":["invoice"],"user-variables":{"order":"7781"}}}`

func BenchmarkDecode(b *testing.B) {
	b.Run("mailgun", func(b *testing.B) {
		providertest.Benchmark(b, mailgun.Provider{}, &provider.Request{Body: []byte(delivered), Limits: jsontext.Limits{Depth: 64, Items: 1}}, 1)
	})
}
