package postal

import (
	"context"
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/url"

	"github.com/mailstream/mailstream/services/internal/webhooksign"
	"github.com/mailstream/mailstream/services/internal/webhookverify"
)

// Headers of the signature.
const (
	SignatureHeader = "X-Postal-Signature-256"
	keyIDHeader     = "X-Postal-Signature-KID"
)

// scheme is how Postal signs: RSA over the body.
func scheme() *webhookverify.Scheme {
	return &webhookverify.Scheme{Fields: []string{"signing_keys", "jwks_url"}, Build: newVerifier}
}

// signature returns the value of SignatureHeader, base64, under an RSA key.
func signature(key crypto.Signer, body []byte) (string, error) {
	return webhooksign.RSA(key, crypto.SHA256, body)
}

// verifier checks RSA PKCS #1 v1.5 with SHA-256 over the body, by the key of one
// installation: pinned, or looked up in its key set. Its SHA-1 header is not
// looked at. It signs no time; the uuid in the body identifies a repeat.
type verifier struct {
	pinned []*rsa.PublicKey
	set    *keySet // nil for none
}

func newVerifier(b *webhookverify.Builder) webhookverify.Verifier {
	v := &verifier{}
	for i, text := range b.Keys {
		parsed, err := webhookverify.PublicKey(text)
		key, ok := parsed.(*rsa.PublicKey)
		b.Check(err == nil && ok && key.N.BitLen() >= webhookverify.RSABitsMin, fmt.Sprintf("signing_keys[%d]", i),
			"is not an RSA public key of at least %d bits in base64 (p= of `postal default-dkim-record`)", webhookverify.RSABitsMin)
		v.pinned = append(v.pinned, key)
	}
	b.Check(len(b.Keys) > 0 || b.JWKSURL != "", "signing_keys", "is missing: give the installation's public key, or jwks_url")
	if b.JWKSURL != "" {
		u, err := url.Parse(b.JWKSURL)
		b.Check(err == nil && u.Scheme == "https" && u.Host != "", "jwks_url", "is not an https URL")
		v.set = newKeySet(b.JWKSURL, b.Options)
	}
	return v
}

// Verify decides.
func (v *verifier) Verify(ctx context.Context, r *webhookverify.Request) webhookverify.Verdict {
	given, found := webhookverify.HeaderSignature(r.Header, SignatureHeader, base64.StdEncoding.DecodeString)
	if found != webhookverify.Genuine {
		return found
	}
	sum := sha256.Sum256(r.Body)
	if webhookverify.AnyRSA(v.pinned, crypto.SHA256, sum[:], given) {
		return webhookverify.Genuine
	}
	if v.set == nil {
		return webhookverify.Refused
	}
	r.Await()
	keys, err := v.set.find(ctx, webhookverify.HeaderOnce(r.Header, keyIDHeader))
	if err != nil {
		return webhookverify.Unsure
	}
	if len(keys) == 0 {
		return webhookverify.UnknownKey
	}
	return webhookverify.VerdictOf(webhookverify.AnyRSA(keys, crypto.SHA256, sum[:], given))
}
