package webhookverify

import (
	"context"
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/url"

	"github.com/mailstream/mailstream/services/internal/webhooksign"
)

// postal is RSA PKCS #1 v1.5 with SHA-256 over the body, by the key of one
// installation: pinned, or looked up in its key set. Its SHA-1 header is not
// looked at. It signs no time; the uuid in the body identifies a repeat.
type postal struct {
	pinned []*rsa.PublicKey
	set    *keySet // nil for none
}

func newPostal(b *Builder) Verifier {
	v := &postal{}
	for i, text := range b.Keys {
		parsed, err := PublicKey(text)
		key, ok := parsed.(*rsa.PublicKey)
		b.Check(err == nil && ok && key.N.BitLen() >= RSABitsMin, fmt.Sprintf("signing_keys[%d]", i),
			"is no RSA public key of at least %d bits in base64 (p= of `postal default-dkim-record`)", RSABitsMin)
		v.pinned = append(v.pinned, key)
	}
	b.Check(len(b.Keys) > 0 || b.JWKSURL != "", "signing_keys", "is missing: give the installation's public key, or jwks_url")
	if b.JWKSURL != "" {
		u, err := url.Parse(b.JWKSURL)
		b.Check(err == nil && u.Scheme == "https" && u.Host != "", "jwks_url", "is no https URL")
		v.set = newKeySet(b.JWKSURL, b.Options)
	}
	return v
}

// Verify decides.
func (v *postal) Verify(ctx context.Context, r *Request) Verdict {
	given, found := HeaderSignature(r.Header, webhooksign.PostalHeader, base64.StdEncoding.DecodeString)
	if found != Genuine {
		return found
	}
	sum := sha256.Sum256(r.Body)
	if AnyRSA(v.pinned, crypto.SHA256, sum[:], given) {
		return Genuine
	}
	if v.set == nil {
		return Refused
	}
	r.Await()
	keys, err := v.set.find(ctx, HeaderOnce(r.Header, webhooksign.PostalKeyID))
	if err != nil {
		return Unsure
	}
	if len(keys) == 0 {
		return UnknownKey
	}
	return VerdictOf(AnyRSA(keys, crypto.SHA256, sum[:], given))
}
