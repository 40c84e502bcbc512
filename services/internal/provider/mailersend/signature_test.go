package mailersend

import (
	"testing"

	"github.com/mailstream/mailstream/services/internal/webhooksign"
	"github.com/mailstream/mailstream/services/internal/webhookverify"
	"github.com/mailstream/mailstream/services/internal/webhookverify/verifytest"
)

func sample() verifytest.Sample {
	return verifytest.Sample{
		Name: "mailersend", Provider: "mailersend", Settings: webhookverify.Settings{Keys: []string{"ms_test_signing_secret"}},
		Request: verifytest.Request(`{"type":"activity.delivered","created_at":"2026-03-04T09:15:30.000000Z","data":{"id":"65f0c0ffee0123456789abcd"}}`,
			"Signature: e25eb22fe14b0924cae5661d0ecb20ad835257b6660c6da2be830063eeedcef0"),
		Header: SignatureHeader, WrongKey: "other",
	}
}

func TestSignature(t *testing.T) {
	t.Parallel()
	verifytest.Run(t, scheme(), sample())
}

func FuzzSignature(f *testing.F) { verifytest.Fuzz(f, scheme(), nil, sample()) }

func BenchmarkSignature(b *testing.B) { verifytest.Bench(b, scheme(), sample()) }

func pinged(body string) *webhookverify.Request {
	return verifytest.Request(body, SignatureHeader+": "+webhooksign.Hex(PingKey, []byte(body)))
}

func TestSignature_PingsAreSettledAndProveNoEvents(t *testing.T) {
	t.Parallel()
	v := verifytest.Verifier(t, scheme(), webhookverify.Settings{Keys: []string{"k"}}, webhookverify.Options{})
	for _, tt := range []struct {
		name string
		r    *webhookverify.Request
		want webhookverify.Verdict
	}{
		{"ping", pinged(`{"type":"webhook.test","message":"This is a ping test message","created_at":"2026-03-04T09:15:30.000000Z"}`), webhookverify.Settled},
		{"sheet", verifytest.Request(`{"type":"webhook.test","message":"This is a ping test message","created_at":"2026-03-04T09:15:30.000000Z"}`,
			"Signature: 7dc7e875f962faaaa369ef9adba3bba1f357eedf98d930b157d0812ef50cdab5"), webhookverify.Settled},
		{"event", pinged(`{"type":"activity.spam_complaint","data":{}}`), webhookverify.Refused},
		{"both", pinged(`{"type":"webhook.test","type":"activity.spam_complaint"}`), webhookverify.Refused},
		{"batch", pinged(`[{"type":"webhook.test"}]`), webhookverify.Refused},
	} {
		if got := verifytest.Class(v.Verify(t.Context(), tt.r)); got != tt.want {
			t.Errorf("%s: verdict %d, want %d", tt.name, got, tt.want)
		}
	}
}

func TestSignature_TakesNoMemoryForWhatItPassesOver(t *testing.T) {
	verifytest.TakesNoMemory(t, scheme(), webhookverify.Settings{Keys: []string{"key"}}, func(fill string) *webhookverify.Request {
		return pinged(`{` + fill + `"type":"webhook.test"}`)
	})
}
