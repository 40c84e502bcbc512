package mailersend_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/mailstream/mailstream/services/internal/jsontext"
	"github.com/mailstream/mailstream/services/internal/provider"
	"github.com/mailstream/mailstream/services/internal/provider/mailersend"
	"github.com/mailstream/mailstream/services/internal/provider/providertest"
)

func suite() providertest.Suite {
	return providertest.Suite{
		Dir: "testdata",
		Kinds: []string{
			"activity.sent", "activity.delivered", "activity.soft_bounced", "activity.hard_bounced",
			"activity.deferred", "activity.opened", "activity.opened_unique", "activity.clicked",
			"activity.clicked_unique", "activity.unsubscribed", "activity.spam_complaint", "activity.survey_opened",
			"activity.survey_submitted", "sender_identity.verified", "maintenance.start", "maintenance.end",
			"inbound_forward.failed", "inbound_message.rejected", "email_single.verified", "email_list.verified",
			"bulk_email.completed", "recipient.on_hold_added", "recipient.on_hold_removed", "webhook.test",
		},
	}
}

func TestProvider(t *testing.T) {
	t.Parallel()
	providertest.Run(t, mailersend.Provider{}, suite())
}

func FuzzProvider(f *testing.F) {
	providertest.Fuzz(f, mailersend.Provider{}, suite(), func(body []byte) (int, bool) {
		return 1, !strings.Contains(string(body), "webhook") && !strings.Contains(string(body), `\`) // a ping has none
	})
}

func TestProvider_KnowsAnActivityByItsNumber(t *testing.T) {
	t.Parallel()
	first := providertest.ID(t, mailersend.Provider{}, []byte(delivered))
	again := strings.Replace(delivered, "34.000000Z", "59.000000Z", 1) // when it was posted
	if id := providertest.ID(t, mailersend.Provider{}, []byte(again)); id != first || again == delivered {
		t.Errorf("posted again it has the id %s and had %s", id, first)
	}
	other := strings.Replace(delivered, "6701", "6799", 1)
	if id := providertest.ID(t, mailersend.Provider{}, []byte(other)); id == first || other == delivered {
		t.Error("another activity has the same id")
	}
}

func TestProvider_TakesNoEventOutOfAPing(t *testing.T) {
	t.Parallel()
	for _, body := range []string{
		strings.Replace(delivered, `"activity.delivered"`, `"webhook.test"`, 1),
		strings.TrimSuffix(delivered, "}") + `,"type":"webhook.test"}`,
	} {
		var out provider.Batch
		req := &provider.Request{Body: []byte(body), Limits: jsontext.Limits{Depth: 64, Items: 1}}
		if err := (mailersend.Provider{}).Decode(req, &out); err != nil || len(out.Items()) != 0 {
			t.Errorf("%d items, %v: %s", len(out.Items()), err, body)
		}
	}
}

func TestProvider_LosesNothingByAnAnswer(t *testing.T) {
	t.Parallel()
	a := mailersend.Provider{}.Answers()
	for name, status := range map[string]int{"unauthenticated": a.Unauthenticated, "malformed": a.Malformed, "too large": a.TooLarge, "slow": a.Slow} {
		if status < http.StatusInternalServerError { // below it is dropped
			t.Errorf("%s is answered with %d", name, status)
		}
	}
}

const delivered = `{"type":"activity.delivered","domain_id":"7nxe3yjmeq28vp0k","created_at":"2026-03-04T09:15:34.000000Z","webhook_id":"2351ndgwr4zqx8ko","url":"https://hooks.example.com/ms","data":{"object":"activity","id":"69a7f5e6c0ffee0123456701","type":"delivered","created_at":"2026-03-04T09:15:33.000000Z","email":{"object":"email","id":"69a7f5e2c0ffee0123456702","created_at":"2026-03-04T09:15:30.000000Z","from":"shop@example.org","subject":"Your order","status":"delivered","tags":["order"],"headers":null,"message":{"object":"message","id":"69a7f5e2c0ffee0123456703","created_at":"2026-03-04T09:15:30.000000Z"},"recipient":{"object":"recipient","id":"69a7f5e2c0ffee0123456704","email":"ana@example.com","created_at":"2026-03-01T00:00:00.000000Z"}},"morph":null,"template_id":"0p7kx4xw8z49yjre"}}`

func BenchmarkDecode(b *testing.B) {
	b.Run("mailersend", func(b *testing.B) {
		providertest.Benchmark(b, mailersend.Provider{}, &provider.Request{Body: []byte(delivered), Limits: jsontext.Limits{Depth: 64, Items: 1}}, 1)
	})
}
