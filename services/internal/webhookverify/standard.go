package webhookverify

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/mailstream/mailstream/services/internal/webhooksign"
)

// standard is Standard Webhooks 1.0.0, v1 and v1a, with its names of headers and
// those of Svix.
type standard struct {
	secrets [][]byte
	public  []ed25519.PublicKey
	window  TimeWindow
}

const (
	standardSecretBytesMin = 16 // the specification has 24 to 64; shorter is a mistake
	standardSignaturesMax  = 16 // in one header: two keys and two versions are four
	// publicTriesMax bounds the ed25519 signatures of one header value that are
	// tried: unlike a MAC each of them hashes the body anew.
	publicTriesMax = 4
)

func newStandard(b *Builder) Verifier {
	b.NeedKeys()
	v := &standard{window: b.TimeWindow()}
	for i, text := range b.Keys {
		name := fmt.Sprintf("signing_keys[%d]", i)
		if rest, ok := strings.CutPrefix(text, webhooksign.StandardPublicPrefix); ok {
			key, err := base64.StdEncoding.DecodeString(rest)
			b.Check(err == nil && len(key) == ed25519.PublicKeySize, name, "%s is not followed by %d bytes in base64", webhooksign.StandardPublicPrefix, ed25519.PublicKeySize)
			v.public = append(v.public, key)
			continue
		}
		b.Check(!strings.HasPrefix(text, webhooksign.StandardPrivatePrefix), name, "is a private key: the public one, %s..., is wanted", webhooksign.StandardPublicPrefix)
		key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(text, webhooksign.StandardSecretPrefix))
		b.Check(err == nil && len(key) >= standardSecretBytesMin, name, "is not %s and at least %d bytes in base64", webhooksign.StandardSecretPrefix, standardSecretBytesMin)
		v.secrets = append(v.secrets, key)
	}
	return v
}

// Verify decides.
func (v *standard) Verify(_ context.Context, r *Request) Verdict {
	id, timestamp, list := standardHeaders(r.Header)
	if list == "" {
		return NoSignature
	}
	// With a dot in the id the signed text could be cut in two ways.
	if id == "" || strings.Contains(id, ".") {
		return BadSignature
	}
	if decided := v.window.Judge(timestamp, time.Second); decided != Genuine {
		return decided
	}
	content := webhooksign.StandardContent(id, timestamp, r.Body)
	macs := MACs(v.secrets, func(secret []byte) []byte { return webhooksign.MAC(sha256.New, secret, content) })
	readable, found, tries := false, false, 0
	for n, entry := range strings.Fields(list) {
		if n == standardSignaturesMax {
			break
		}
		version, text, _ := strings.Cut(entry, ",")
		given, err := base64.StdEncoding.DecodeString(text)
		if err != nil || len(given) == 0 {
			continue
		}
		readable = true
		switch version {
		case "v1":
			found = AnyEqual(macs, given) || found
		case "v1a":
			if tries++; tries > publicTriesMax {
				continue
			}
			for _, key := range v.public {
				found = ed25519.Verify(key, content, given) || found
			}
		}
	}
	if !readable {
		return BadSignature
	}
	return VerdictOf(found)
}

// standardHeaders returns all three values of one set of names: mixed sets are of
// two requests. An id under the other name has to be the same: the signature does
// not cover it, and a decoder may read it there, so that one request could be
// replayed as many different events.
func standardHeaders(h http.Header) (id, timestamp, signatures string) {
	for _, names := range [][2]string{{"Svix-", "Webhook-"}, {"Webhook-", "Svix-"}} {
		prefix, other := names[0], names[1]
		list := HeaderOnce(h, prefix+"Signature")
		if list == "" {
			continue
		}
		id := HeaderOnce(h, prefix+"Id")
		for _, claim := range h.Values(other + "Id") {
			if strings.TrimSpace(claim) != id {
				return "", "", list
			}
		}
		return id, HeaderOnce(h, prefix+"Timestamp"), list
	}
	return "", "", ""
}
