package webhookverify

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"time"

	"github.com/mailstream/mailstream/services/internal/webhooksign"
)

// mailchimp is t=,v1=: a hex HMAC-SHA256 over timestamp, a dot, and the body.
type mailchimp struct {
	keys   [][]byte
	window window
}

func newMailchimp(b *builder) Verifier { return &mailchimp{keys: b.texts(), window: b.window()} }

// Verify decides.
func (v *mailchimp) Verify(_ context.Context, r *Request) Verdict {
	header := one(r.Header, webhooksign.MailchimpHeader)
	if header == "" {
		return NoSignature
	}
	timestamp, ok := pair(header, "t")
	if !ok {
		return BadSignature
	}
	if decided := v.window.judge(timestamp, time.Second); decided != Genuine {
		return decided
	}
	macs := macsOf(v.keys, func(key []byte) []byte {
		return webhooksign.MAC(sha256.New, key, []byte(timestamp), []byte{'.'}, r.Body)
	})
	readable, found := false, false
	for _, text := range pairs(header, "v1") {
		given, err := hex.DecodeString(text)
		if err != nil || len(given) == 0 {
			continue
		}
		readable, found = true, anyEqual(macs, given) || found
	}
	if !readable {
		return BadSignature
	}
	return verdict(found)
}

// pairsMax bounds the key=value pairs of a header that are looked at; there are
// three while a key is changed.
const pairsMax = 16

// pairs returns the values of a name in a list "t=1,v1=a, v1=b".
func pairs(header, name string) []string {
	var out []string
	n := 0
	for entry := range strings.SplitSeq(header, ",") {
		if n++; n > pairsMax {
			break
		}
		key, value, ok := strings.Cut(entry, "=")
		if ok && strings.TrimSpace(key) == name {
			out = append(out, strings.TrimSpace(value))
		}
	}
	return out
}

// pair is pairs for a name that must be there once.
func pair(header, name string) (string, bool) {
	values := pairs(header, name)
	if len(values) != 1 {
		return "", false
	}
	return values[0], true
}
