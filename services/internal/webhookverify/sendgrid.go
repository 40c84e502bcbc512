package webhookverify

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/mailstream/mailstream/services/internal/webhooksign"
)

// sendGrid is ECDSA P-256 over timestamp and body.
type sendGrid struct {
	keys   []*ecdsa.PublicKey
	window window
}

func newSendGrid(b *builder) Verifier {
	b.needKeys()
	v := &sendGrid{window: b.window()}
	for i, text := range b.Keys {
		parsed, err := publicKey(text)
		key, ok := parsed.(*ecdsa.PublicKey)
		ok = err == nil && ok && key.Curve == elliptic.P256()
		b.check(ok, fmt.Sprintf("signing_keys[%d]", i), "is no ECDSA P-256 public key in base64 (the verification key of the event webhook)")
		v.keys = append(v.keys, key)
	}
	return v
}

// Verify decides.
func (v *sendGrid) Verify(_ context.Context, r *Request) Verdict {
	timestamp := one(r.Header, webhooksign.SendGridTimestampHeader)
	given, found := given(r.Header, webhooksign.SendGridSignatureHeader, base64.StdEncoding.DecodeString)
	if found != Genuine {
		return found
	}
	if decided := v.window.judge(timestamp, time.Second); decided != Genuine {
		return decided
	}
	h := sha256.New()
	h.Write([]byte(timestamp))
	h.Write(r.Body)
	digest := h.Sum(nil)
	for _, key := range v.keys { // public: which one was right is no secret
		if ecdsa.VerifyASN1(key, digest, given) {
			return Genuine
		}
	}
	return Refused
}

// publicKey reads a SubjectPublicKeyInfo in base64 or PEM. The error holds
// nothing of text.
func publicKey(text string) (any, error) {
	der, err := derOf(text)
	if err != nil {
		return nil, err
	}
	key, err := x509.ParsePKIXPublicKey(der)
	if err != nil {
		return nil, errors.New("parse public key: not SubjectPublicKeyInfo")
	}
	return key, nil
}

func derOf(text string) ([]byte, error) {
	if strings.Contains(text, "-----BEGIN") {
		if block, _ := pem.Decode([]byte(text)); block != nil {
			return block.Bytes, nil
		}
		return nil, errors.New("decode key: not PEM")
	}
	der, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(text), ""))
	if err != nil {
		return nil, errors.New("decode key: not base64")
	}
	return der, nil
}
