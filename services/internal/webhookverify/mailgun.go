package webhookverify

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"time"

	"github.com/mailstream/mailstream/services/internal/provider"
	"github.com/mailstream/mailstream/services/internal/webhooksign"
)

// mailgun is an HMAC over a timestamp and a token that are in the body. The
// events beside them are not signed: whoever has seen one request could put
// other events under its signature, so a token proves only what it came with
// first. The same events under the same token are a retry and welcome.
type mailgun struct {
	keys   [][]byte
	window window
	tokens *tokens
}

func newMailgun(b *builder) Verifier {
	return &mailgun{keys: b.texts(), window: b.window(), tokens: newTokens(tokensMax)}
}

// signed returns timestamp, token and the signatures, and the events beside them.
// The form that Mailgun retired in 2018 signs as today, so that it is recognised
// and refused with that cause.
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
	top, ok := membersOf(r.Body, "signature", "event-data")
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
		return Unreadable
	}
	timestamp, token := f[0].text, f[1].text
	if decided := v.proves(f[2:], timestamp, token); decided != Genuine {
		return decided
	}
	if token == "" {
		return BadSignature
	}
	if decided := v.window.judge(timestamp, time.Second); decided != Genuine {
		return decided
	}
	signed, _ := unixTime(timestamp, time.Second) // judge has read it
	if !v.tokens.claim(token, content, v.window.clock(), signed.Add(v.window.size)) {
		return UsedToken
	}
	return Genuine
}

// proves says whether one of the signatures is of a key.
func (v *mailgun) proves(signatures []found, timestamp, token string) Verdict {
	there, readable, proven := false, false, false
	for _, signature := range signatures {
		if signature.text == "" {
			continue
		}
		there = true
		given, err := hex.DecodeString(signature.text)
		if err != nil {
			continue
		}
		readable = true
		proven = anyMAC(v.keys, given, func(key []byte) []byte {
			return webhooksign.MAC(sha256.New, key, []byte(timestamp), []byte(token))
		}) || proven
	}
	switch {
	case !there:
		return NoSignature
	case !readable:
		return BadSignature
	}
	return verdict(proven)
}
