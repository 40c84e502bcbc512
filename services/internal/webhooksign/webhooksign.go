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

// MailtrapHeader carries Mailtrap's Hex.
const MailtrapHeader = "Mailtrap-Signature"

// Hex returns the hex HMAC-SHA256 of body, as Mailtrap and MailerSend sign.
func Hex(key string, body []byte) string {
	return hex.EncodeToString(MAC(sha256.New, []byte(key), body))
}

// Headers of Postal's signature.
const (
	PostalHeader   = "X-Postal-Signature-256"
	PostalKeyID    = "X-Postal-Signature-KID"
	PostalHeaderV1 = "X-Postal-Signature" // SHA-1, before Postal 3.2
)

// Postal returns the value of PostalHeader, base64, under an RSA key.
func Postal(key crypto.Signer, body []byte) (string, error) {
	return signRSA(key, crypto.SHA256, body)
}

func signRSA(key crypto.Signer, algorithm crypto.Hash, content []byte) (string, error) {
	signature, err := key.Sign(rand.Reader, digest(algorithm.New(), content), algorithm)
	return base64.StdEncoding.EncodeToString(signature), err
}

// GenericHeader carries the signature of the development configuration's
// generic source, which has the form of Mailchimp's.
const GenericHeader = "Company-Webhook-Signature"

// TimedHex returns "t=", Unix seconds, ",v1=" and the hex HMAC-SHA256 of the seconds,
// a dot and body, at the time t: Mailchimp's header, and GenericHeader.
func TimedHex(secret string, t time.Time, body []byte) string {
	seconds := strconv.FormatInt(t.Unix(), 10)
	mac := MAC(sha256.New, []byte(secret), []byte(seconds), []byte{'.'}, body)
	return "t=" + seconds + ",v1=" + hex.EncodeToString(mac)
}

// SNSMessage is what Amazon SNS posts and signs. Fields that a kind of message
// does not have are empty.
type SNSMessage struct {
	Type             string
	MessageID        string `json:"MessageId"`
	Token            string `json:",omitempty"`
	TopicArn         string
	Subject          string `json:",omitempty"`
	Message          string
	SubscribeURL     string `json:",omitempty"`
	Timestamp        string
	SignatureVersion string
	Signature        string
	SigningCertURL   string
	UnsubscribeURL   string `json:",omitempty"`
}

// The kinds of SNSMessage.Type, also in the header x-amz-sns-message-type.
const (
	SNSNotification = "Notification"
	SNSSubscribe    = "SubscriptionConfirmation"
	SNSUnsubscribe  = "UnsubscribeConfirmation"
	SNSTypeHeader   = "X-Amz-Sns-Message-Type"
)

// Content returns what SNS signs: name and value of the message's fields, each
// with a newline, in the order of the names.
func (m *SNSMessage) Content() []byte {
	fields := [][2]string{{"Message", m.Message}, {"MessageId", m.MessageID}}
	if m.Type == SNSNotification {
		if m.Subject != "" {
			fields = append(fields, [2]string{"Subject", m.Subject})
		}
		fields = append(fields, [2]string{"Timestamp", m.Timestamp})
	} else {
		fields = append(fields, [2]string{"SubscribeURL", m.SubscribeURL},
			[2]string{"Timestamp", m.Timestamp}, [2]string{"Token", m.Token})
	}
	fields = append(fields, [2]string{"TopicArn", m.TopicArn}, [2]string{"Type", m.Type})
	var out []byte
	for _, f := range fields {
		out = append(append(out, f[0]...), '\n')
		out = append(append(out, f[1]...), '\n')
	}
	return out
}

// Sign sets m.Signature for m.SignatureVersion: 1 is SHA-1, 2 is SHA-256.
func (m *SNSMessage) Sign(key crypto.Signer) error {
	algorithm := crypto.SHA256
	if m.SignatureVersion == "1" {
		algorithm = crypto.SHA1
	}
	signature, err := signRSA(key, algorithm, m.Content())
	m.Signature = signature
	return err
}
