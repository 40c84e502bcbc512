package webhookverify

import (
	"runtime"
	"strings"
	"testing"

	"github.com/mailstream/mailstream/services/internal/webhooksign"
)

// TestVerify_TakesNoMemoryForWhatItPassesOver holds every scheme that looks into
// a body before it is proven against bodies that are all members of five bytes,
// of which an index would take ten times their size.
func TestVerify_TakesNoMemoryForWhatItPassesOver(t *testing.T) {
	const size = 4 << 20
	fill := strings.Repeat(`"":0,`, size/5)
	ping := `{` + fill + `"type":"webhook.test"}`
	keys := Settings{Keys: []string{"key"}}
	for _, tt := range []struct {
		provider string
		settings Settings
		r        *Request
	}{
		{"mailgun", keys, request(`{` + fill + `"signature":{"timestamp":"1","token":"t","signature":"00"},"event-data":{}}`)},
		{"mailgun", keys, request(`{"signature":{` + fill + `"timestamp":"1","token":"t","signature":"00"},"event-data":{}}`)},
		{"ses", snsSettings(), request(`{`+fill+`"Type":"Notification","TopicArn":"x"}`, "x-amz-sns-message-type: Notification")},
		{"mailersend", keys, request(ping, "Signature: "+webhooksign.Hex(webhooksign.MailerSendPingKey, []byte(ping)))},
	} {
		v := verifier(t, tt.provider, tt.settings, Options{})
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		if got := v.Verify(t.Context(), tt.r); got == Genuine {
			t.Errorf("%s: verdict %d", tt.provider, got)
		}
		runtime.ReadMemStats(&after)
		if taken := after.TotalAlloc - before.TotalAlloc; taken > size/16 {
			t.Errorf("%s: %d bytes for a body of %d", tt.provider, taken, size)
		}
	}
}
