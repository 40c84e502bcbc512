package webhookverify

import (
	"cmp"
	"context"
	"crypto/ed25519"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"hash"
	"net/http"
	"strings"
	"time"

	"github.com/mailstream/mailstream/services/internal/webhooksign"
)

// Custom describes a signature that is not of a provider we know. The keys are
// auth.signing_keys.
type Custom struct {
	// Algorithm is hmac-sha1, hmac-sha256, hmac-sha384, hmac-sha512, ed25519 or
	// standard-webhooks; with the last nothing else is set. Required.
	Algorithm string `yaml:"algorithm"`
	// Header carries the signature. Required but for standard-webhooks.
	Header string `yaml:"header,omitempty"`
	// Prefix precedes the signature, as in "sha256="; a value without it is
	// refused. Default none.
	Prefix string `yaml:"prefix,omitempty"`
	// Param is the name of the signatures where the header is a list "t=1,v1=...".
	// Default none.
	Param string `yaml:"param,omitempty"`
	// Encoding of the signature: hex or base64 (either alphabet, with or without
	// padding). Default hex.
	Encoding string `yaml:"encoding,omitempty"`
	// KeyEncoding of auth.signing_keys: text, hex or base64, which may follow
	// whsec_. Default text; ed25519 keys are base64 or hex.
	KeyEncoding string `yaml:"key_encoding,omitempty"`
	// Signed is what is signed: text with {body}, {timestamp}, {method}, {url} (the
	// public_url) and {header:NAME}. Default "{body}".
	Signed string `yaml:"signed,omitempty"`
	// TimestampHeader carries the timestamp. Default none.
	TimestampHeader string `yaml:"timestamp_header,omitempty"`
	// TimestampParam is the name of the timestamp where it is part of the list in
	// Header. Default none.
	TimestampParam string `yaml:"timestamp_param,omitempty"`
	// TimestampUnit is s or ms since 1970. Default s.
	TimestampUnit string `yaml:"timestamp_unit,omitempty"`
}

// algorithmStandard is Standard Webhooks, which is a separate scheme.
const algorithmStandard = "standard-webhooks"

const algorithmEd25519 = "ed25519"

func hashOf(algorithm string) func() hash.Hash {
	switch algorithm {
	case "hmac-sha1":
		return sha1.New
	case "hmac-sha256":
		return sha256.New
	case "hmac-sha384":
		return sha512.New384
	case "hmac-sha512":
		return sha512.New
	default:
		return nil
	}
}

// custom is a configured scheme.
type custom struct {
	Custom
	hash   func() hash.Hash // nil for ed25519
	keys   [][]byte
	parts  []part
	url    string
	unit   time.Duration // 0: no time is signed
	window TimeWindow
}

// part is a piece of what is signed.
type part struct {
	kind partKind
	text string // a literal, or the header's name
}

type partKind int

const (
	partLiteral partKind = iota
	partBody
	partTimestamp
	partMethod
	partURL
	partHeader
)

func newCustom(b *Builder) Verifier {
	if b.Custom == nil {
		b.Check(false, "signature", "is missing: signing_keys alone do not say what is signed")
		return nil
	}
	if b.Custom.Algorithm == algorithmStandard {
		b.Check(*b.Custom == Custom{Algorithm: algorithmStandard}, "signature", "must have no other field beside algorithm: %s fixes them", algorithmStandard)
		return newStandard(b)
	}
	c := &custom{Custom: b.Custom.WithDefaults(), hash: hashOf(b.Custom.Algorithm), url: b.PublicURL, window: b.TimeWindow()}
	b.Check(c.hash != nil || c.Algorithm == algorithmEd25519, "signature.algorithm",
		"%q is not one of hmac-sha1, hmac-sha256, hmac-sha384, hmac-sha512, ed25519, standard-webhooks", c.Algorithm)
	b.Check(c.Header != "", "signature.header", "is missing")
	b.Check(c.Param == "" || c.Prefix == "", "signature.prefix", "cannot be combined with signature.param")
	b.Check(c.Encoding == "hex" || c.Encoding == "base64", "signature.encoding", "%q is neither hex nor base64", c.Encoding)
	c.readKeys(b)
	c.readSigned(b)
	c.readTimestamp(b)
	return c
}

// WithDefaults returns c with what is left out filled in.
func (c Custom) WithDefaults() Custom {
	c.Encoding = cmp.Or(c.Encoding, "hex")
	c.KeyEncoding = cmp.Or(c.KeyEncoding, "text")
	c.Signed = cmp.Or(c.Signed, "{body}")
	c.TimestampUnit = cmp.Or(c.TimestampUnit, "s")
	return c
}

func (c *custom) readKeys(b *Builder) {
	b.NeedKeys()
	if c.Algorithm == algorithmEd25519 && c.KeyEncoding == "text" {
		c.KeyEncoding = "base64"
	}
	known := c.KeyEncoding == "text" || c.KeyEncoding == "hex" || c.KeyEncoding == "base64"
	b.Check(known, "signature.key_encoding", "%q is not one of text, hex, base64", c.KeyEncoding)
	for i, text := range b.Keys {
		key, ok := []byte(text), true
		if c.KeyEncoding != "text" {
			// The prefix reads as base64 too, of another key.
			key, ok = decoded(strings.TrimPrefix(text, webhooksign.StandardSecretPrefix), c.KeyEncoding)
		}
		name := fmt.Sprintf("signing_keys[%d]", i)
		b.Check(ok && len(key) > 0, name, "is not %s", c.KeyEncoding)
		b.Check(c.Algorithm != algorithmEd25519 || len(key) == ed25519.PublicKeySize, name, "is not a public key of %d bytes", ed25519.PublicKeySize)
		c.keys = append(c.keys, key)
	}
}

func (c *custom) readSigned(b *Builder) {
	body := false
	for rest := c.Signed; rest != ""; {
		before, after, found := strings.Cut(rest, "{")
		if before != "" {
			c.parts = append(c.parts, part{text: before})
		}
		if !found {
			break
		}
		name, tail, closed := strings.Cut(after, "}")
		rest = tail
		p, ok := placeholder(name)
		b.Check(closed && ok, "signature.signed", "{%s} is not one of {body}, {timestamp}, {method}, {url}, {header:NAME}", name)
		c.parts = append(c.parts, p)
		body = body || p.kind == partBody
	}
	// Without the body one signature would prove every body.
	b.Check(body, "signature.signed", "%q has no {body}", c.Signed)
	uses := func(kind partKind) bool {
		for _, p := range c.parts {
			if p.kind == kind {
				return true
			}
		}
		return false
	}
	if uses(partURL) {
		b.NeedPublicURL("{url} is signed")
	} else {
		b.Check(b.PublicURL == "", "public_url", "must be empty: signature.signed has no {url}")
	}
	stamped := c.TimestampHeader != "" || c.TimestampParam != ""
	b.Check(!uses(partTimestamp) || stamped, "signature.signed", "{timestamp} needs timestamp_header or timestamp_param")
	b.Check(uses(partTimestamp) || !stamped, "signature.signed", "a timestamp that is not signed proves nothing: add {timestamp}")
	b.Check(stamped || b.Settings.Window == windowUsual, "replay_window", "needs signature.timestamp_header or timestamp_param")
}

func placeholder(name string) (part, bool) {
	switch name {
	case "body":
		return part{kind: partBody}, true
	case "timestamp":
		return part{kind: partTimestamp}, true
	case "method":
		return part{kind: partMethod}, true
	case "url":
		return part{kind: partURL}, true
	}
	header, ok := strings.CutPrefix(name, "header:")
	return part{kind: partHeader, text: header}, ok && header != ""
}

func (c *custom) readTimestamp(b *Builder) {
	b.Check(c.TimestampHeader == "" || c.TimestampParam == "", "signature.timestamp_param", "cannot be combined with signature.timestamp_header")
	b.Check(c.TimestampParam == "" || c.Param != "", "signature.param", "is missing: timestamp_param says that the header is a list")
	b.Check(c.TimestampUnit == "s" || c.TimestampUnit == "ms", "signature.timestamp_unit", "%q is neither s nor ms", c.TimestampUnit)
	if c.TimestampHeader == "" && c.TimestampParam == "" {
		return
	}
	c.unit = time.Second
	if c.TimestampUnit == "ms" {
		c.unit = time.Millisecond
	}
}

// headerValuesMax bounds the values of the signature's header that are tried.
const headerValuesMax = 4

// Verify decides: one proven value of the header is enough.
func (c *custom) Verify(_ context.Context, r *Request) Verdict {
	values := r.Header.Values(c.Header)
	if len(values) > headerValuesMax {
		return BadSignature
	}
	found, decided := false, NoSignature
	for _, value := range values {
		if value = strings.TrimSpace(value); value == "" {
			continue
		}
		decided = c.proves(value, r)
		found = decided == Genuine || found
	}
	if found {
		return Genuine
	}
	return decided
}

// proves says whether one value of the header is a signature of r.
func (c *custom) proves(value string, r *Request) Verdict {
	timestamp, decided := c.timestamp(value, r.Header)
	if decided != Genuine {
		return decided
	}
	signatures := []string{value}
	if c.Param != "" {
		signatures = HeaderPairs(value, c.Param)
	}
	content := c.content(r, timestamp)
	var macs [][]byte
	if c.hash == nil {
		signatures = signatures[:min(len(signatures), publicTriesMax)]
	} else {
		macs = MACs(c.keys, func(key []byte) []byte { return webhooksign.MAC(c.hash, key, content) })
	}
	readable, found := false, false
	for _, text := range signatures {
		text, ok := strings.CutPrefix(text, c.Prefix)
		given, fits := decoded(text, c.Encoding)
		if !ok || !fits || len(given) == 0 {
			continue
		}
		readable, found = true, AnyEqual(macs, given) || c.hash == nil && c.verifies(content, given) || found
	}
	if !readable {
		return BadSignature
	}
	return VerdictOf(found)
}

// verifies tries public keys: which one was right is not a secret.
func (c *custom) verifies(content, given []byte) bool {
	for _, key := range c.keys {
		if ed25519.Verify(key, content, given) {
			return true
		}
	}
	return false
}

func (c *custom) timestamp(value string, h http.Header) (string, Verdict) {
	text := ""
	switch {
	case c.unit == 0:
		return "", Genuine
	case c.TimestampParam != "":
		text, _ = HeaderPair(value, c.TimestampParam) // "" is not a time
	default:
		text = HeaderOnce(h, c.TimestampHeader)
	}
	return text, c.window.Judge(text, c.unit)
}

func (c *custom) content(r *Request, timestamp string) []byte {
	if len(c.parts) == 1 { // {body} alone, as most have
		return r.Body
	}
	var out []byte
	for _, p := range c.parts {
		switch p.kind {
		case partLiteral:
			out = append(out, p.text...)
		case partBody:
			out = append(out, r.Body...)
		case partTimestamp:
			out = append(out, timestamp...)
		case partMethod:
			out = append(out, r.Method...)
		case partURL:
			out = append(out, c.url...)
		case partHeader:
			out = append(out, HeaderOnce(r.Header, p.text)...)
		}
	}
	return out
}

// decoded reads hex or base64: either alphabet, with or without padding.
func decoded(text, encoding string) ([]byte, bool) {
	if encoding == "hex" {
		b, err := hex.DecodeString(text)
		return b, err == nil
	}
	text = strings.TrimRight(strings.NewReplacer("-", "+", "_", "/").Replace(text), "=")
	b, err := base64.RawStdEncoding.DecodeString(text)
	return b, err == nil
}
