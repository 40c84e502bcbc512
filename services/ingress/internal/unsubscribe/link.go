package unsubscribe

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

const (
	// fieldBytesMax bounds each value of a link. The longest address is 254 bytes (RFC
	// 5321, section 4.5.3.1), and so are the longest list ids of providers.
	fieldBytesMax = 254
	// tokenBytesMax bounds a token: the line of a header has at most 998 bytes (RFC
	// 5322, section 2.1.1), and the URL around it needs some of them.
	tokenBytesMax = 900
	// purpose keeps the signature from being one of something else under the same key.
	purpose = "mailstream-unsubscribe-1:"
)

// Mail is what a link says: who got which mail.
type Mail struct {
	// Recipient is the address that the mail was sent to. Required.
	Recipient string `json:"a"`
	// List is the id of the list that the link leaves; Stream is the stream where there
	// is not a list. With neither the link is about all mail.
	List   string `json:"l,omitempty"`
	Stream string `json:"s,omitempty"`
	// MessageID and Campaign are of the mail, as in its other events; "" when unknown.
	MessageID string `json:"m,omitempty"`
	Campaign  string `json:"c,omitempty"`
}

// errToken says that a token was not made with one of our keys. It does not say why.
var errToken = errors.New("the token is not genuine")

var encoding = base64.RawURLEncoding.Strict()

// Token returns m, signed: the base64url of its JSON, a dot, and the base64url of the
// HMAC-SHA256 of purpose and the part before the dot.
func Token(key string, m Mail) (string, error) {
	if err := m.validate(); err != nil {
		return "", err
	}
	text, err := json.Marshal(m)
	if err != nil {
		return "", err
	}
	payload := encoding.EncodeToString(text)
	token := payload + "." + encoding.EncodeToString(sign([]byte(key), payload))
	if len(token) > tokenBytesMax {
		return "", fmt.Errorf("the link is %d bytes long, the limit is %d: a header line has no room for more", len(token), tokenBytesMax)
	}
	return token, nil
}

func sign(key []byte, payload string) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(purpose + payload)) // a hash takes everything
	return mac.Sum(nil)
}

func (m Mail) validate() error {
	if m.Recipient == "" {
		return errors.New("the recipient is missing")
	}
	if m.List != "" && m.Stream != "" {
		return errors.New("list and stream are both given: a link leaves one of them")
	}
	for _, f := range []struct{ name, value string }{
		{"recipient", m.Recipient}, {"list", m.List}, {"stream", m.Stream}, {"message id", m.MessageID}, {"campaign", m.Campaign},
	} {
		if len(f.value) > fieldBytesMax {
			return fmt.Errorf("the %s is %d bytes long, the limit is %d", f.name, len(f.value), fieldBytesMax)
		}
	}
	return nil
}

// read returns what a token says that was made with one of keys. All keys are tried
// each time.
func read(keys [][]byte, token string) (Mail, error) {
	payload, signature, ok := strings.Cut(token, ".")
	if !ok || len(token) > tokenBytesMax || strings.ContainsAny(token, "\r\n") { // which base64 passes over
		return Mail{}, errToken
	}
	given, err := encoding.DecodeString(signature)
	if err != nil {
		return Mail{}, errToken
	}
	genuine := false
	for _, key := range keys {
		genuine = hmac.Equal(given, sign(key, payload)) || genuine
	}
	if !genuine {
		return Mail{}, errToken
	}
	var m Mail
	text, err := encoding.DecodeString(payload)
	if err != nil || json.Unmarshal(text, &m) != nil || m.validate() != nil {
		return Mail{}, errToken
	}
	return m, nil
}
