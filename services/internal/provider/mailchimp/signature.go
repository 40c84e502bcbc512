package mailchimp

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"time"

	"github.com/mailstream/mailstream/services/internal/webhooksign"
	"github.com/mailstream/mailstream/services/internal/webhookverify"
)

// window is the replay_window where none is configured.
const window = 5 * time.Minute

// SignatureHeader carries the signature of the audience webhooks.
const SignatureHeader = "X-Mailchimp-Signature"

// scheme is how Mailchimp signs: HMAC over time and body, as webhooksign.TimedHex.
func scheme() *webhookverify.Scheme {
	return &webhookverify.Scheme{Window: window, Fields: []string{"signing_keys"}, Build: newVerifier}
}

// verifier checks t=,v1=: a hex HMAC-SHA256 over timestamp, a dot, and the body.
type verifier struct {
	keys   [][]byte
	window webhookverify.TimeWindow
}

func newVerifier(b *webhookverify.Builder) webhookverify.Verifier {
	return &verifier{keys: b.TextKeys(), window: b.TimeWindow()}
}

// Verify decides.
func (v *verifier) Verify(_ context.Context, r *webhookverify.Request) webhookverify.Verdict {
	header := webhookverify.HeaderOnce(r.Header, SignatureHeader)
	if header == "" {
		return webhookverify.NoSignature
	}
	timestamp, ok := webhookverify.HeaderPair(header, "t")
	if !ok {
		return webhookverify.BadSignature
	}
	if decided := v.window.Judge(timestamp, time.Second); decided != webhookverify.Genuine {
		return decided
	}
	macs := webhookverify.MACs(v.keys, func(key []byte) []byte {
		return webhooksign.MAC(sha256.New, key, []byte(timestamp), []byte{'.'}, r.Body)
	})
	readable, found := false, false
	for _, text := range webhookverify.HeaderPairs(header, "v1") {
		given, err := hex.DecodeString(text)
		if err != nil || len(given) == 0 {
			continue
		}
		readable, found = true, webhookverify.AnyEqual(macs, given) || found
	}
	if !readable {
		return webhookverify.BadSignature
	}
	return webhookverify.VerdictOf(found)
}
