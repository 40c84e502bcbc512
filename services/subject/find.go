package subject

import (
	"bytes"
	"encoding/base64"
	"html"
	"strconv"
	"strings"
	"unicode/utf8"

	"golang.org/x/net/idna"

	"github.com/mailstream/mailstream/services/internal/address"
)

// depthMax bounds encodings within encodings: a form inside JSON inside base64 is
// two, and what is deeper was made to be.
const depthMax = 3

// base64RunMin is below what no address fits: a@b.c takes 8 digits.
const base64RunMin = 8

// Finder finds one address in bytes of any form: plain, in either case, escaped as
// in JSON, URLs, HTML and quoted-printable, as base64, and these within each other.
type Finder struct {
	spellings [][]byte // in lower case
}

// NewFinder returns a finder of a canonical address.
func NewFinder(canonical string) Finder {
	spellings := address.Spellings(canonical)
	domain := address.Domain(canonical)
	local := strings.TrimSuffix(canonical, "@"+domain)
	if readable, err := idna.ToUnicode(domain); err == nil && readable != domain {
		spellings = append(spellings, local+"@"+strings.ToLower(readable))
	}
	var f Finder
	for _, s := range spellings {
		f.spellings = append(f.spellings, []byte(s))
	}
	return f
}

// In reports whether text holds the address.
func (f Finder) In(text []byte) bool { return f.within(text, 0) }

func (f Finder) within(text []byte, depth int) bool {
	for range depthMax {
		if f.plain(text) || depth < depthMax && f.inBase64(text, depth) {
			return true
		}
		decoded := unescape(text)
		if bytes.Equal(decoded, text) {
			return false
		}
		text = decoded
	}
	return f.plain(text)
}

// plain looks for the address alone: in joana@example.com there is no
// ana@example.com.
func (f Finder) plain(text []byte) bool {
	lower := bytes.ToLower(text)
	for _, s := range f.spellings {
		for from := 0; ; {
			i := bytes.Index(lower[from:], s)
			if i < 0 {
				break
			}
			from += i
			if !continues(lower[:from]) && !goesOn(lower[from+len(s):]) {
				return true
			}
			from++
		}
	}
	return false
}

// continues reports whether a local part goes on to the left. A quote, a bracket
// and the like do not belong to it.
func continues(before []byte) bool {
	r, _ := utf8.DecodeLastRune(before)
	return len(before) > 0 && (r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r > 0x7f && r != utf8.RuneError || strings.ContainsRune(".!#$&'*+-/=?^_`{|}~", r) && !boundary(before))
}

// boundary reports whether what is before is the end of another thing, such as the
// sign of a parameter or of a path.
func boundary(before []byte) bool {
	switch before[len(before)-1] {
	case '=', '&', '?', '/', '\'', '{', '|':
		return true
	default:
		return false
	}
}

// goesOn reports whether a domain goes on to the right.
func goesOn(after []byte) bool {
	if len(after) > 1 && after[0] == '.' {
		after = after[1:]
	}
	r, _ := utf8.DecodeRune(after)
	return len(after) > 0 && (r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '-' || r > 0x7f && r != utf8.RuneError)
}

// unescape undoes one layer of every escape: \u0040, %40, =40 and soft line breaks,
// &#64; and &commat;. What is not an escape stays.
func unescape(text []byte) []byte {
	if !bytes.ContainsAny(text, `\%=&`) {
		return text
	}
	out := make([]byte, 0, len(text))
	for i := 0; i < len(text); {
		value, n := escape(text[i:])
		out = append(out, value...)
		i += n
	}
	if bytes.IndexByte(out, '&') >= 0 {
		return []byte(html.UnescapeString(string(out)))
	}
	return out
}

// escape returns what text begins with and how many bytes of text that is.
func escape(text []byte) (value []byte, n int) {
	switch text[0] {
	case '\\':
		return backslash(text)
	case '%', '=':
		if v, ok := hex(text, 1, 2); ok {
			return []byte{byte(v)}, 3
		}
		if text[0] == '=' && bytes.HasPrefix(text[1:], []byte("\r\n")) {
			return nil, 3
		}
		if text[0] == '=' && bytes.HasPrefix(text[1:], []byte("\n")) {
			return nil, 2
		}
	}
	return text[:1], 1
}

func backslash(text []byte) (value []byte, n int) {
	if len(text) < 2 {
		return text[:1], 1
	}
	switch text[1] {
	case 'u':
		if v, ok := hex(text, 2, 4); ok {
			return utf8.AppendRune(nil, rune(v)), 6
		}
	case 'x':
		if v, ok := hex(text, 2, 2); ok {
			return []byte{byte(v)}, 4
		}
	case '/', '"', '\\', '@', '.':
		return text[1:2], 2
	}
	return text[:1], 1
}

func hex(text []byte, from, digits int) (uint64, bool) {
	if len(text) < from+digits {
		return 0, false
	}
	v, err := strconv.ParseUint(string(text[from:from+digits]), 16, 32)
	return v, err == nil
}

// inBase64 looks into every run of digits of base64, with and without padding and
// line breaks, in both alphabets.
func (f Finder) inBase64(text []byte, depth int) bool {
	for len(text) > 0 {
		start := bytes.IndexFunc(text, isBase64)
		if start < 0 {
			return false
		}
		text = text[start:]
		run, n := base64Run(text)
		text = text[n:]
		if len(run) < base64RunMin {
			continue
		}
		for shift := range 4 { // the run may begin with a word that stands before it
			part := run[shift:]
			decoded := make([]byte, base64.RawStdEncoding.DecodedLen(len(part)-len(part)%4+3))
			if k, _ := base64.RawStdEncoding.Decode(decoded, whole(part)); f.within(decoded[:k], depth+1) {
				return true
			}
		}
	}
	return false
}

// base64Run returns the digits that text begins with, without line breaks and in
// the standard alphabet, and how many bytes of text they take.
func base64Run(text []byte) (run []byte, n int) {
	for ; n < len(text); n++ {
		switch c := text[n]; {
		case c == '-':
			run = append(run, '+')
		case c == '_':
			run = append(run, '/')
		case isBase64(rune(c)):
			run = append(run, c)
		case c == '\r' || c == '\n':
		default:
			return run, n
		}
	}
	return run, n
}

// whole cuts digits that make no byte.
func whole(digits []byte) []byte {
	if len(digits)%4 == 1 {
		return digits[:len(digits)-1]
	}
	return digits
}

func isBase64(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '+' || r == '/' || r == '-' || r == '_'
}
