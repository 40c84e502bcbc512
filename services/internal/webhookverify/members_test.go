package webhookverify

import (
	"runtime"
	"strings"
	"testing"
)

// TestVerify_TakesNoMemoryForWhatItPassesOver holds every scheme here that looks
// into a body before it is proven against bodies that are all members of five bytes,
// of which an index would take ten times their size.
func TestVerify_TakesNoMemoryForWhatItPassesOver(t *testing.T) {
	const size = 4 << 20
	fill := strings.Repeat(`"":0,`, size/5)
	for _, tt := range []struct {
		provider string
		settings Settings
		r        *Request
	}{
		{"ses", snsSettings(), request(`{`+fill+`"Type":"Notification","TopicArn":"x"}`, "x-amz-sns-message-type: Notification")},
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
