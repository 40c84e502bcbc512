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
		out[s.Provider] = append(out[s.Provider], verifytest.Sample(s))
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
	verifytest.Fuzz(f, webhookverify.StandardWebhooks(), "svix-timestamp", tables()["resend"]...)
}

func FuzzHex(f *testing.F) {
	verifytest.Fuzz(f, webhookverify.SchemeOf("mailtrap"), "", tables()["mailtrap"]...)
}

func FuzzPostal(f *testing.F) {
	verifytest.Fuzz(f, webhookverify.Postal(), "", tables()["postal"]...)
}

func FuzzConfigured(f *testing.F) {
	verifytest.Fuzz(f, webhookverify.Configured(), "X-HubSpot-Request-Timestamp", tables()["generic"]...)
}

func BenchmarkVerify(b *testing.B) {
	for provider, samples := range tables() {
		verifytest.Bench(b, webhookverify.SchemeOf(provider), samples...)
	}
}
