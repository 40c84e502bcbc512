package signature

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"time"

	"github.com/mailstream/mailstream/services/ingress/internal/provider"
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

// signed returns timestamp, token and the signatures, and the events beside them.
// The form that Mailgun retired in 2018 signs as today, so that it can be told from
// a stranger's and refused by name.
func (v *mailgun) signed(r *Request) (f []found, content []byte, ok bool) {
	names := [...]string{"timestamp", "token", "signature", "parent-signature"} // the last is the parent account's, for events of a subaccount
	if fields, ok := provider.FormIn(one(r.Header, "Content-Type"), r.Body); ok {
		f = make([]found, len(names))
		for _, field := range fields {
			if i := slices.Index(names[:], field.Name); i >= 0 {
				f[i].text = field.Value
			}
		}
		return f, r.Body, true
	}
	top, ok := v.members.read(r.Body, "signature", "event-data")
	if !ok {
		return nil, nil, false
	}
	if content = top[1].raw; len(content) == 0 {
		content = r.Body
	}
	return top[0].within(names[:]...), content, true
}

// Verify decides.
func (v *mailgun) Verify(_ context.Context, r *Request) Verdict {
	f, content, ok := v.signed(r)
	if !ok {
		return Refused
	}
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
	signed, _ := unixTime(timestamp, time.Second) // holds has read it
	return verdict(v.tokens.claim(token, content, v.window.clock(), signed.Add(v.window.size)))
}
