// Package webhooksign makes the signatures that email providers put on their
// webhooks, as their documentation says, and builds the text they sign. The
// ingress checks signatures over the same text; simulations and tests sign with
// it.
//
// It verifies nothing and keeps no key.
package webhooksign

import (
	"crypto"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"hash"
	"strconv"
	"strings"
	"time"
)

// MAC returns the HMAC of the parts, one after the other, under key.
func MAC(algorithm func() hash.Hash, key []byte, parts ...[]byte) []byte {
	m := hmac.New(algorithm, key)
	for _, part := range parts {
		m.Write(part)
	}
	return m.Sum(nil)
}

func digest(h hash.Hash, parts ...[]byte) []byte {
	for _, part := range parts {
		h.Write(part)
	}
	return h.Sum(nil)
}

// Prefixes of the keys of Standard Webhooks.
const (
	StandardSecretPrefix  = "whsec_" // HMAC key, v1
	StandardPrivatePrefix = "whsk_"  // ed25519 private key, v1a
	StandardPublicPrefix  = "whpk_"  // ed25519 public key, v1a
)

// StandardWebhooks returns one entry of a webhook-signature (svix-signature)
// header: "v1," and a base64 HMAC. secret is base64 with or without
// StandardSecretPrefix, timestamp is in Unix seconds.
func StandardWebhooks(secret, id, timestamp string, body []byte) (string, error) {
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, StandardSecretPrefix))
	if err != nil {
		return "", errors.New("decode secret: not base64")
	}
	mac := MAC(sha256.New, key, StandardContent(id, timestamp, body))
	return "v1," + base64.StdEncoding.EncodeToString(mac), nil
}

// StandardWebhooksEd25519 is StandardWebhooks for v1a. private is base64 of seed
// and public key with or without StandardPrivatePrefix.
func StandardWebhooksEd25519(private, id, timestamp string, body []byte) (string, error) {
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(private, StandardPrivatePrefix))
	if err != nil || len(key) != ed25519.PrivateKeySize {
		return "", errors.New("decode private key: not 64 bytes in base64")
	}
	signature := ed25519.Sign(key, StandardContent(id, timestamp, body))
	return "v1a," + base64.StdEncoding.EncodeToString(signature), nil
}

// StandardContent returns what Standard Webhooks signs: id.timestamp.body.
func StandardContent(id, timestamp string, body []byte) []byte {
	out := make([]byte, 0, len(id)+len(timestamp)+len(body)+2)
	out = append(append(out, id...), '.')
	out = append(append(out, timestamp...), '.')
	return append(out, body...)
}

// Hex returns the hex HMAC-SHA256 of body.
func Hex(key string, body []byte) string {
	return hex.EncodeToString(MAC(sha256.New, []byte(key), body))
}

// RSA returns the PKCS #1 v1.5 signature of content in base64.
func RSA(key crypto.Signer, algorithm crypto.Hash, content []byte) (string, error) {
	signature, err := key.Sign(rand.Reader, digest(algorithm.New(), content), algorithm)
	return base64.StdEncoding.EncodeToString(signature), err
}

// TimedHex returns "t=", Unix seconds, ",v1=" and the hex HMAC-SHA256 of the seconds,
// a dot and body, at the time t.
func TimedHex(secret string, t time.Time, body []byte) string {
	seconds := strconv.FormatInt(t.Unix(), 10)
	mac := MAC(sha256.New, []byte(secret), []byte(seconds), []byte{'.'}, body)
	return "t=" + seconds + ",v1=" + hex.EncodeToString(mac)
}
