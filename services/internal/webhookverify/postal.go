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

// rsaBitsMin is the least that crypto/rsa verifies with: a shorter key would
// refuse everything.
const rsaBitsMin = 1024

// postal is RSA PKCS #1 v1.5 with SHA-256 over the body, by the key of one
// installation: pinned, or looked up in its key set. Its SHA-1 header is not
// looked at. It signs no time; the uuid in the body identifies a repeat.
type postal struct {
	pinned []*rsa.PublicKey
	set    *keySet // nil for none
}

func newPostal(b *builder) Verifier {
	v := &postal{}
	for i, text := range b.Keys {
		parsed, err := publicKey(text)
		key, ok := parsed.(*rsa.PublicKey)
		b.check(err == nil && ok && key.N.BitLen() >= rsaBitsMin, fmt.Sprintf("signing_keys[%d]", i),
			"is no RSA public key of at least %d bits in base64 (p= of `postal default-dkim-record`)", rsaBitsMin)
		v.pinned = append(v.pinned, key)
	}
	b.check(len(b.Keys) > 0 || b.JWKSURL != "", "signing_keys", "is missing: give the installation's public key, or jwks_url")
	if b.JWKSURL != "" {
		u, err := url.Parse(b.JWKSURL)
		b.check(err == nil && u.Scheme == "https" && u.Host != "", "jwks_url", "is no https URL")
		v.set = newKeySet(b.JWKSURL, b.Options)
	}
	return v
}

// Verify decides.
func (v *postal) Verify(ctx context.Context, r *Request) Verdict {
	given, found := given(r.Header, webhooksign.PostalHeader, base64.StdEncoding.DecodeString)
	if found != Genuine {
		return found
	}
	sum := sha256.Sum256(r.Body)
	if anyRSA(v.pinned, crypto.SHA256, sum[:], given) {
		return Genuine
	}
	if v.set == nil {
		return Refused
	}
	r.waits()
	keys, err := v.set.find(ctx, one(r.Header, webhooksign.PostalKeyID))
	if err != nil {
		return Unsure
	}
	if len(keys) == 0 {
		return UnknownKey
	}
	return verdict(anyRSA(keys, crypto.SHA256, sum[:], given))
}

// anyRSA tries public keys: which one was right is no secret.
func anyRSA(keys []*rsa.PublicKey, algorithm crypto.Hash, digest, given []byte) bool {
	for _, key := range keys {
		if rsa.VerifyPKCS1v15(key, algorithm, digest, given) == nil {
			return true
		}
	}
	return false
}
