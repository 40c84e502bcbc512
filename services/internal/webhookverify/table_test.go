package webhookverify_test

import (
	"testing"

	"github.com/mailstream/mailstream/services/internal/webhookverify"
	"github.com/mailstream/mailstream/services/internal/webhookverify/verifytest"
)

// tables are the samples by scheme.
func tables() map[string][]verifytest.Sample {
	out := map[string][]verifytest.Sample{}
	for _, s := range webhookverify.Samples() {
		out[s.Scheme] = append(out[s.Scheme], verifytest.Sample{
			Name: s.Name, Provider: "example", Settings: s.Settings, Now: s.Now, Request: s.Request, Header: s.Header, WrongKey: s.WrongKey,
		})
	}
	return out
}

func TestSchemes_TakeTheSignaturesOfTheDocumentationAndNothingElse(t *testing.T) {
	t.Parallel()
	for scheme, samples := range tables() {
		verifytest.Run(t, webhookverify.SchemeOf(scheme), samples...)
	}
}

func FuzzStandard(f *testing.F) {
	verifytest.Fuzz(f, webhookverify.StandardWebhooks(), []string{"svix-timestamp", "webhook-timestamp"}, tables()["standard"]...)
}

func FuzzHex(f *testing.F) {
	verifytest.Fuzz(f, webhookverify.SchemeOf("hex"), nil, tables()["hex"]...)
}

func FuzzConfigured(f *testing.F) {
	verifytest.Fuzz(f, webhookverify.Configured(), []string{"svix-timestamp", "webhook-timestamp", "X-HubSpot-Request-Timestamp"}, tables()["configured"]...)
}

func BenchmarkVerify(b *testing.B) {
	for scheme, samples := range tables() {
		verifytest.Bench(b, webhookverify.SchemeOf(scheme), samples...)
	}
}
