package mailtrap

import (
	"testing"
	"time"

	"github.com/mailstream/mailstream/services/internal/webhookverify"
	"github.com/mailstream/mailstream/services/internal/webhookverify/verifytest"
)

func sample() verifytest.Sample {
	return verifytest.Sample{
		Name: "mailtrap", Provider: Name, Settings: webhookverify.Settings{Keys: []string{"8d9a3c0e7f5b2d4a6c1e9f8b3a7d5c2e"}},
		Request: verifytest.Request(`{"event":"delivery","sending_stream":"transactional","category":"welcome","message_id":"a8b1d8f6-1f8d-4a3c-9b2e-1a2b3c4d5e6f","email":"recipient@example.com","event_id":"f1e2d3c4-b5a6-7890-1234-567890abcdef","timestamp":1716070000}`,
			SignatureHeader+": 6d262e2611cd09be1f948382b5c611d63b0e585c4c9c5e40139d6ac3876d5433"),
		Header: SignatureHeader, WrongKey: "other",
	}
}

func TestSignature(t *testing.T) {
	t.Parallel()
	verifytest.Run(t, Entry().Verify, sample())
}

func FuzzSignature(f *testing.F) { verifytest.Fuzz(f, Entry().Verify, nil, sample()) }

func BenchmarkSignature(b *testing.B) { verifytest.Bench(b, Entry().Verify, sample()) }

func TestSignature_SettingsNameTheFaultAndNeverTheKey(t *testing.T) {
	t.Parallel()
	verifytest.Fault(t, Entry().Verify, Name, webhookverify.Settings{Keys: []string{verifytest.Secret}, Window: time.Hour}, "replay_window: must be empty: provider mailtrap")
}
