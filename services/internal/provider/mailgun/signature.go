package mailgun

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"time"

	"github.com/mailstream/mailstream/services/internal/provider"
	"github.com/mailstream/mailstream/services/internal/webhooksign"
	"github.com/mailstream/mailstream/services/internal/webhookverify"
)

// window is the replay_window where none is configured: Mailgun retries for 8 h,
// maybe with the first time.
const window = 9 * time.Hour

// scheme is how Mailgun signs: in the body, over time and token.
func scheme() *webhookverify.Scheme {
	return &webhookverify.Scheme{Window: window, Fields: []string{"signing_keys"}, Build: newVerifier}
}

// signature returns signature.signature of a body, hex, for the signature.timestamp
// (Unix seconds) and signature.token beside it.
func signature(key, timestamp, token string) string {
	return hex.EncodeToString(mac([]byte(key), timestamp, token))
}

func mac(key []byte, timestamp, token string) []byte {
	return webhooksign.MAC(sha256.New, key, []byte(timestamp), []byte(token))
}

// verifier checks an HMAC over a timestamp and a token that are in the body. The
// events beside them are not signed: whoever has seen one request could put
// other events under its signature, so a token proves only what it came with
// first. The same events under the same token are a retry and welcome.
type verifier struct {
	keys   [][]byte
	window webhookverify.TimeWindow
	tokens *tokens
}

func newVerifier(b *webhookverify.Builder) webhookverify.Verifier {
	return &verifier{keys: b.TextKeys(), window: b.TimeWindow(), tokens: newTokens(tokensMax)}
}

// signed returns timestamp, token and the signatures, and the events beside them.
// The form that Mailgun retired in 2018 signs as today, so that it is recognised
// and refused with that cause.
func (v *verifier) signed(r *webhookverify.Request) (f []webhookverify.Member, content []byte, ok bool) {
	names := [...]string{"timestamp", "token", "signature", "parent-signature"} // the last is the parent account's, for events of a subaccount
	if fields, ok := provider.FormIn(webhookverify.HeaderOnce(r.Header, "Content-Type"), r.Body); ok {
		f = make([]webhookverify.Member, len(names))
		for _, field := range fields {
			if i := slices.Index(names[:], field.Name); i >= 0 {
				f[i].Text = field.Value
			}
		}
		return f, r.Body, true
	}
	top, ok := webhookverify.MembersOf(r.Body, "signature", "event-data")
	if !ok {
		return nil, nil, false
	}
	if content = top[1].Raw; len(content) == 0 {
		content = r.Body
	}
	return top[0].Within(names[:]...), content, true
}

// Verify decides.
func (v *verifier) Verify(_ context.Context, r *webhookverify.Request) webhookverify.Verdict {
	f, content, ok := v.signed(r)
	if !ok {
		return webhookverify.Unreadable
	}
	timestamp, token := f[0].Text, f[1].Text
	if decided := v.proves(f[2:], timestamp, token); decided != webhookverify.Genuine {
		return decided
	}
	if token == "" {
		return webhookverify.BadSignature
	}
	if decided := v.window.Judge(timestamp, time.Second); decided != webhookverify.Genuine {
		return decided
	}
	signed, _ := webhookverify.UnixTime(timestamp, time.Second) // judge has read it
	if !v.tokens.claim(token, content, v.window.Clock(), signed.Add(v.window.Size)) {
		return webhookverify.UsedToken
	}
	return webhookverify.Genuine
}

// proves says whether one of the signatures is of a key.
func (v *verifier) proves(signatures []webhookverify.Member, timestamp, token string) webhookverify.Verdict {
	there, readable, proven := false, false, false
	for _, signed := range signatures {
		if signed.Text == "" {
			continue
		}
		there = true
		given, err := hex.DecodeString(signed.Text)
		if err != nil {
			continue
		}
		readable = true
		proven = webhookverify.AnyMAC(v.keys, given, func(key []byte) []byte { return mac(key, timestamp, token) }) || proven
	}
	switch {
	case !there:
		return webhookverify.NoSignature
	case !readable:
		return webhookverify.BadSignature
	}
	return webhookverify.VerdictOf(proven)
}
