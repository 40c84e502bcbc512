package mailersend

import (
	"context"
	"crypto/sha256"
	"encoding/hex"

	"github.com/mailstream/mailstream/services/internal/webhooksign"
	"github.com/mailstream/mailstream/services/internal/webhookverify"
)

// SignatureHeader carries the hex HMAC-SHA256 of the body.
const SignatureHeader = "Signature"

// PingKey is what MailerSend signs the ping with that it sends when a webhook is
// saved.
const PingKey = "test_Am3L1GuOIc4blLUuHqAPxxwkZaJyEk8G"

// scheme is how MailerSend signs: webhookverify.Hex, and a ping with a published key.
func scheme() *webhookverify.Scheme {
	body := webhookverify.Hex(SignatureHeader)
	return &webhookverify.Scheme{Fields: body.Fields, Build: func(b *webhookverify.Builder) webhookverify.Verifier {
		return &verifier{body: body.Build(b)}
	}}
}

// verifier checks the body by the configured keys, then whether it is a ping.
type verifier struct{ body webhookverify.Verifier }

// Verify decides. The key of the ping is published, so it proves nothing but a ping.
func (v *verifier) Verify(ctx context.Context, r *webhookverify.Request) webhookverify.Verdict {
	decided := v.body.Verify(ctx, r)
	if decided != webhookverify.Refused {
		return decided
	}
	given, _ := webhookverify.HeaderSignature(r.Header, SignatureHeader, hex.DecodeString) // read by body
	mac := func(key []byte) []byte { return webhooksign.MAC(sha256.New, key, r.Body) }
	if webhookverify.AnyMAC([][]byte{[]byte(PingKey)}, given, mac) && isPing(r.Body) {
		return webhookverify.Settled
	}
	return webhookverify.Refused
}

func isPing(body []byte) bool {
	found, ok := webhookverify.MembersOf(body, "type")
	return ok && found[0].Text == ping
}
