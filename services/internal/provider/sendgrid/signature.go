package sendgrid

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"time"

	"github.com/mailstream/mailstream/services/internal/webhookverify"
)

// window is the replay_window where none is configured: SendGrid retries for 24 h,
// maybe with the first time.
const window = 25 * time.Hour

// The headers of the signed event webhook.
const (
	signatureHeader = "X-Twilio-Email-Event-Webhook-Signature"
	timestampHeader = "X-Twilio-Email-Event-Webhook-Timestamp"
)

// scheme is how SendGrid signs: ECDSA over time and body.
func scheme() *webhookverify.Scheme {
	return &webhookverify.Scheme{Window: window, Fields: []string{"signing_keys"}, Build: newVerifier}
}

// signature returns the value of signatureHeader, base64, under an ECDSA key, for a
// timestamp (Unix seconds) that goes into timestampHeader.
func signature(key crypto.Signer, timestamp string, body []byte) (string, error) {
	signed, err := key.Sign(rand.Reader, digest(timestamp, body), crypto.SHA256)
	return base64.StdEncoding.EncodeToString(signed), err
}

// digest is what is signed.
func digest(timestamp string, body []byte) []byte {
	h := sha256.New()
	h.Write([]byte(timestamp))
	h.Write(body)
	return h.Sum(nil)
}

// verifier checks ECDSA P-256 over timestamp and body.
type verifier struct {
	keys   []*ecdsa.PublicKey
	window webhookverify.TimeWindow
}

func newVerifier(b *webhookverify.Builder) webhookverify.Verifier {
	b.NeedKeys()
	v := &verifier{window: b.TimeWindow()}
	for i, text := range b.Keys {
		parsed, err := webhookverify.PublicKey(text)
		key, ok := parsed.(*ecdsa.PublicKey)
		ok = err == nil && ok && key.Curve == elliptic.P256()
		b.Check(ok, fmt.Sprintf("signing_keys[%d]", i), "is not an ECDSA P-256 public key in base64 (the verification key of the event webhook)")
		v.keys = append(v.keys, key)
	}
	return v
}

// Verify decides.
func (v *verifier) Verify(_ context.Context, r *webhookverify.Request) webhookverify.Verdict {
	timestamp := webhookverify.HeaderOnce(r.Header, timestampHeader)
	given, found := webhookverify.HeaderSignature(r.Header, signatureHeader, base64.StdEncoding.DecodeString)
	if found != webhookverify.Genuine {
		return found
	}
	if decided := v.window.Judge(timestamp, time.Second); decided != webhookverify.Genuine {
		return decided
	}
	sum := digest(timestamp, r.Body)
	for _, key := range v.keys { // public: which one was right is not a secret
		if ecdsa.VerifyASN1(key, sum, given) {
			return webhookverify.Genuine
		}
	}
	return webhookverify.Refused
}
