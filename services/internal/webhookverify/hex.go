package webhookverify

import (
	"context"
	"crypto/sha256"
	"encoding/hex"

	"github.com/mailstream/mailstream/services/internal/webhooksign"
)

// bodyMAC is a hex HMAC-SHA256 of the body and nothing else: MailerSend and
// Mailtrap. It cannot detect a replay; event ids do.
type bodyMAC struct {
	header string
	keys   [][]byte
	// ping is a published key that proves only bodies isPing accepts; nil for none.
	ping   []byte
	isPing func(body []byte) bool
}

func newMailerSend(b *builder) Verifier {
	keys := b.texts()
	return &bodyMAC{
		header: webhooksign.MailerSendHeader, keys: keys,
		ping: []byte(webhooksign.MailerSendPingKey),
		isPing: func(body []byte) bool {
			found, ok := membersOf(body, "type")
			return ok && found[0].text == "webhook.test"
		},
	}
}

// Verify decides.
func (v *bodyMAC) Verify(_ context.Context, r *Request) Verdict {
	given, found := given(r.Header, v.header, hex.DecodeString)
	if found != Genuine {
		return found
	}
	mac := func(key []byte) []byte { return webhooksign.MAC(sha256.New, key, r.Body) }
	if anyMAC(v.keys, given, mac) {
		return Genuine
	}
	if v.ping != nil && anyMAC([][]byte{v.ping}, given, mac) && v.isPing(r.Body) {
		return Settled
	}
	return Refused
}
