package signature

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"time"

	"github.com/mailstream/mailstream/services/internal/webhooksign"
)

// mailgun is an HMAC over a timestamp and a token that stand in the body. The
// events beside them are not signed: whoever has seen one request could put
// other events under its signature, so a token proves only what it came with
// first. The same events under the same token are a retry and welcome.
type mailgun struct {
	keys    [][]byte
	window  window
	tokens  *tokens
	members *members
}

func newMailgun(b *builder) Verifier {
	return &mailgun{keys: b.texts(), window: b.window(), tokens: newTokens(tokensMax), members: newMembers()}
}

// Verify decides.
func (v *mailgun) Verify(_ context.Context, r *Request) Verdict {
	top, ok := v.members.read(r.Body, "signature", "event-data")
	if !ok {
		return Refused
	}
	// parent-signature is the parent account's, for events of a subaccount.
	f := top[0].within("timestamp", "token", "signature", "parent-signature")
	timestamp, token := f[0].text, f[1].text
	proven := false
	for _, signature := range f[2:] {
		given, err := hex.DecodeString(signature.text)
		if err != nil || len(given) == 0 {
			continue
		}
		proven = anyMAC(v.keys, given, func(key []byte) []byte {
			return webhooksign.MAC(sha256.New, key, []byte(timestamp), []byte(token))
		}) || proven
	}
	if !proven || token == "" || !v.window.holds(timestamp, time.Second) {
		return Refused
	}
	content := []byte(top[1].raw)
	if len(content) == 0 {
		content = r.Body
	}
	signed, _ := unixTime(timestamp, time.Second) // holds has read it
	return verdict(v.tokens.claim(token, content, v.window.clock(), signed.Add(v.window.size)))
}
