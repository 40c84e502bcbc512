package webhookverify_test

import (
	"testing"

	"github.com/mailstream/mailstream/services/internal/webhookverify"
	"github.com/mailstream/mailstream/services/internal/webhookverify/verifytest"
)

// tables are the samples by provider.
func tables() map[string][]verifytest.Sample {
	out := map[string][]verifytest.Sample{}
	for _, s := range webhookverify.Samples() {
		out[s.Provider] = append(out[s.Provider], verifytest.Sample{
			Name: s.Name, Provider: s.Provider, Settings: s.Settings, Now: s.Now, Request: s.Request, Header: s.Header, WrongKey: s.WrongKey,
		})
	}
	return out
}

func TestSchemes_TakeTheSignaturesOfTheDocumentationAndNothingElse(t *testing.T) {
	t.Parallel()
	for provider, samples := range tables() {
		verifytest.Run(t, webhookverify.SchemeOf(provider), samples...)
	}
}

func FuzzStandard(f *testing.F) {
	verifytest.Fuzz(f, webhookverify.StandardWebhooks(), []string{"svix-timestamp", "webhook-timestamp"}, tables()["resend"]...)
}

func FuzzHex(f *testing.F) {
	verifytest.Fuzz(f, webhookverify.SchemeOf("mailtrap"), nil, tables()["mailtrap"]...)
}

func FuzzPostal(f *testing.F) {
	verifytest.Fuzz(f, webhookverify.Postal(), nil, tables()["postal"]...)
}

func FuzzConfigured(f *testing.F) {
	verifytest.Fuzz(f, webhookverify.Configured(), []string{"svix-timestamp", "webhook-timestamp", "X-HubSpot-Request-Timestamp"}, tables()["generic"]...)
}

func BenchmarkVerify(b *testing.B) {
	for provider, samples := range tables() {
		verifytest.Bench(b, webhookverify.SchemeOf(provider), samples...)
	}
}
