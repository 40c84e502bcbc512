// Package address turns an email address into the form by which Mailstream
// knows it: canonical text, and a keyed hash that represents the recipient
// where the address itself should not be sent. It does not check that the
// mailbox exists, and it never rewrites the address that mail is sent to.
package address

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/idna"
	"golang.org/x/text/unicode/norm"

	"github.com/mailstream/mailstream/services/internal/platform/config"
)

// Limits of an address, in bytes. RFC 5321, section 4.5.3.1.3 allows a path of
// 256 with its angle brackets; RFC 1035, section 2.3.4 a domain of 255 on the
// wire, 253 as text. The local part is given more than RFC 5321's 64, because
// real bounce reports carry longer ones (VERP).
const (
	bytesMax       = 512
	domainBytesMax = 253
)

// HashBytes is the size of a recipient hash before hex.
const HashBytes = 16

// pepperBytesMin keeps the pepper from being guessed: 16 bytes are 128 bits.
const pepperBytesMin = 16

// ErrInvalid is what every refusal of Canonical wraps.
var ErrInvalid = errors.New("not an email address")

// Canonical returns the form of s that is the same for all spellings of one
// mailbox: without display name and angle brackets, NFC, lower case, the domain
// as A-labels (RFC 5890) without a trailing dot. RFC 5321, section 2.4 makes the
// local part case-sensitive in theory; next to no server does, and providers
// report in any case, so it is lowered too. Dots and +tags stay: they
// distinguish mailboxes outside of consumer Gmail. The error holds no part of s.
func Canonical(s string) (string, error) {
	s = strings.TrimSpace(s)
	if i := strings.LastIndexByte(s, '<'); i >= 0 && strings.HasSuffix(s, ">") {
		s = strings.TrimSpace(s[i+1 : len(s)-1])
	}
	at := strings.LastIndexByte(s, '@')
	if at <= 0 || at == len(s)-1 || len(s) > bytesMax {
		return "", ErrInvalid
	}
	if plainLower(s) {
		return s, nil
	}
	return canonicalSlow(s[:at], s[at+1:])
}

// plainLower says that s is canonical already, as nearly all are: lower-case
// ASCII letters, digits and the few signs that need no thought, around one @ with
// something before it, and a host name of two labels or more behind it. What it does
// not know goes the slow way. It reads s once: a check of a million addresses asks.
func plainLower(s string) bool {
	at := strings.IndexByte(s, '@')
	if at <= 0 || len(s) > bytesMax || len(s)-at-1 > domainBytesMax {
		return false
	}
	for i := range at {
		if plainBytes[s[i]] == 0 {
			return false
		}
	}
	begin := at + 1 // of the label
	last := byte('.')
	for i := begin; i < len(s); i++ {
		c := s[i]
		switch {
		case plainBytes[c] == ofLabels, c == '-' && last != '.' && last != '-':
		case c == '.' && last != '.' && last != '-' && i-begin <= labelBytesMax:
			begin = i + 1
		default:
			return false
		}
		last = c
	}
	return last != '.' && last != '-' && len(s)-begin <= labelBytesMax && begin > at+1
}

// labelBytesMax is that of RFC 1035, section 2.3.4.
const labelBytesMax = 63

// What plainBytes says of a byte that needs no thought.
const (
	ofLocals byte = 1 + iota // before the @
	ofLabels                 // on both sides of it
)

var plainBytes = func() (table [256]byte) {
	for _, c := range []byte("-+_.") {
		table[c] = ofLocals
	}
	for _, c := range []byte("abcdefghijklmnopqrstuvwxyz0123456789") {
		table[c] = ofLabels
	}
	return table
}()

func canonicalSlow(local, domain string) (string, error) {
	if !utf8.ValidString(local) || !utf8.ValidString(domain) || strings.ContainsFunc(local, forbidden) {
		return "", ErrInvalid
	}
	local = unquoted(strings.ToLower(norm.NFC.String(local)))
	// Underscores and "ab--cd" are not host names (RFC 1123, RFC 5891), yet some mail
	// domains have them.
	profile := idna.New(idna.MapForLookup(), idna.BidiRule(), idna.VerifyDNSLength(true), idna.StrictDomainName(false), idna.CheckHyphens(false))
	domain, err := profile.ToASCII(strings.TrimSuffix(domain, "."))
	if err != nil || domain == "" || strings.HasSuffix(domain, ".") || len(domain) > domainBytesMax || strings.ContainsFunc(domain, forbidden) {
		return "", ErrInvalid
	}
	return local + "@" + strings.ToLower(domain), nil
}

// unquoted takes needless quotes off: "ana"@ is ana@ (RFC 5321, section 4.1.2).
func unquoted(local string) string {
	inner := strings.TrimSuffix(strings.TrimPrefix(local, `"`), `"`)
	if len(inner) != len(local)-2 || inner == "" || strings.Trim(inner, ".") != inner || strings.Contains(inner, "..") ||
		strings.ContainsAny(inner, `"\()[]:;@`) {
		return local
	}
	return inner
}

// forbidden are the characters that no unquoted address has and that would let
// two addresses look like one.
func forbidden(r rune) bool {
	return unicode.IsControl(r) || unicode.IsSpace(r) || r == '<' || r == '>' || r == ','
}

// DomainOf returns the domain of s, an address or a domain in any spelling: lower
// case, as A-labels; empty when it has none.
func DomainOf(s string) string {
	if s == "" {
		return "" // and no error is made of it
	}
	if !strings.Contains(s, "@") {
		s = "postmaster@" + strings.TrimSpace(s)
	}
	canonical, err := Canonical(s)
	if err != nil {
		return ""
	}
	return Domain(canonical)
}

// Domain returns the part after the last @ of a canonical address.
func Domain(canonical string) string {
	return canonical[strings.LastIndexByte(canonical, '@')+1:]
}

// Hasher gives recipient hashes. It is safe for concurrent use.
type Hasher struct {
	macs sync.Pool // of *mac
}

type mac struct {
	hash.Hash
	sum  [sha256.Size]byte
	text []byte
}

// NewHasher returns a hasher with the given pepper. All services of a deployment
// need the same one, for ever: with another pepper the hashes change, and no
// stored suppression matches any recipient.
func NewHasher(pepper config.Secret) (*Hasher, error) {
	key := []byte(pepper.Reveal())
	if len(key) < pepperBytesMin {
		return nil, fmt.Errorf("make recipient hasher: the pepper has %d bytes, want at least %d", len(key), pepperBytesMin)
	}
	return &Hasher{macs: sync.Pool{New: func() any { return &mac{Hash: hmac.New(sha256.New, key)} }}}, nil
}

// Hash returns the first HashBytes of HMAC-SHA256(pepper, canonical) in hex. The
// domains of one mailbox have one hash: googlemail.com hashes as gmail.com.
func (h *Hasher) Hash(canonical string) string {
	key := h.Key(canonical)
	return hex.EncodeToString(key[:])
}

// Key is Hash before hex.
func (h *Hasher) Key(canonical string) [HashBytes]byte {
	return h.sum(Mailbox(canonical))
}

// Former returns the hash that the mailbox had under its other domain before
// both had one, "" for most. Records of that time still have it.
func (h *Hasher) Former(canonical string) string {
	key, ok := h.FormerKey(canonical)
	if !ok {
		return ""
	}
	return hex.EncodeToString(key[:])
}

// FormerKey is Former before hex; ok is false for most.
func (h *Hasher) FormerKey(canonical string) (key [HashBytes]byte, ok bool) {
	former, ok := aliasOf(canonical)
	if !ok {
		return key, false
	}
	return h.sum(former), true
}

func (h *Hasher) sum(canonical string) (key [HashBytes]byte) {
	m := h.macs.Get().(*mac)
	m.Reset()
	m.text = append(m.text[:0], canonical...) // what is handed to an interface would be allocated
	m.Write(m.text)
	copy(key[:], m.Sum(m.sum[:0]))
	h.macs.Put(m)
	return key
}
