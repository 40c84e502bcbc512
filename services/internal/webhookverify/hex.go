package webhookverify

import (
	"context"
	"crypto/sha256"
	"encoding/hex"

	"github.com/mailstream/mailstream/services/internal/webhooksign"
)

// bodyMAC is a hex HMAC-SHA256 of the body and nothing else. It cannot detect a replay; event ids do.
type bodyMAC struct {
	header string
	keys   [][]byte
}

// Verify decides.
func (v *bodyMAC) Verify(_ context.Context, r *Request) Verdict {
	given, found := HeaderSignature(r.Header, v.header, hex.DecodeString)
	if found != Genuine {
		return found
	}
	return VerdictOf(AnyMAC(v.keys, given, func(key []byte) []byte { return webhooksign.MAC(sha256.New, key, r.Body) }))
}
