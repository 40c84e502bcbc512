package subject

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"html"
	"io"
	"iter"
	"mime"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// depthMax bounds encodings within encodings: a form inside JSON inside base64 is
// two, and what is deeper was made to be.
const depthMax = 4

// base64RunMin is below what no address fits: a@b.c takes 8 digits.
const base64RunMin = 8

// formBytesMax bounds all forms of one text. The largest body that the ingress takes has
// 25 MiB; what unpacks to more than several times of that was made to.
const formBytesMax = 256 << 20

// forms yields text in every way in which it can be read: as it is, without the escapes of
// JSON, URLs, HTML, quoted-printable and headers of mail, out of base64 and gzip, and
// these within each other.
func forms(text []byte) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		r := reading{yield: yield, seen: sums{}, runs: sums{}, left: formBytesMax}
		r.read(text, 0)
	}
}

// reading is under way. Its methods report whether more is wanted.
type reading struct {
	yield func([]byte) bool
	seen  sums // of texts that were read
	runs  sums // of digits of base64 that were read
	left  int  // of formBytesMax
}

type sums map[[sha256.Size]byte]bool

// isNew reports whether text is not among those that were read, and has room.
func (r *reading) isNew(text []byte, among sums) bool {
	sum := sha256.Sum256(text)
	if among[sum] || len(text) > r.left {
		return false
	}
	r.left -= len(text)
	among[sum] = true
	return true
}

func (r *reading) read(text []byte, depth int) bool {
	if !r.isNew(text, r.seen) {
		return true
	}
	// In JSON, \nana@example.com is ana's and not nana's.
	escaped := depth < depthMax && bytes.IndexByte(text, '\\') >= 0 && json.Valid(text)
	if !escaped && bytes.IndexByte(text, '@') >= 0 && !r.yield(text) {
		return false
	}
	if depth == depthMax {
		return true
	}
	if escaped {
		return r.read(unescape(text, `\`), depth+1)
	}
	for _, next := range [][]byte{unescape(text, `\%=&`), unescape(text, `\%&`), words(text), spaced(text), gunzipped(text), narrow(text)} {
		if next != nil && !r.read(next, depth+1) {
			return false
		}
	}
	return r.base64(text, depth)
}

// base64 reads every run of digits of base64, with and without padding and line
// breaks, in both alphabets.
func (r *reading) base64(text []byte, depth int) bool {
	for len(text) > 0 {
		start := bytes.IndexFunc(text, isBase64)
		if start < 0 {
			return true
		}
		run, n := base64Run(text[start:])
		text = text[start+n:]
		if len(run) < base64RunMin || !r.isNew(run, r.runs) {
			continue
		}
		for shift := range 4 { // the run may begin with a word that stands before it
			part := run[shift:]
			decoded := make([]byte, base64.RawStdEncoding.DecodedLen(len(part)-len(part)%4+3))
			if k, _ := base64.RawStdEncoding.Decode(decoded, whole(part)); !r.read(decoded[:k], depth+1) {
				return false
			}
		}
	}
	return true
}

// unescape undoes one layer of those escapes that begin with one of signs: \u0040, %40,
// =40 and soft line breaks, &#64; and &commat;. What is not an escape stays: in
// email=ada%40example.com, =ad is none, so a text is read without '=', too.
func unescape(text []byte, signs string) []byte {
	if !bytes.ContainsAny(text, signs) {
		return text
	}
	out := make([]byte, 0, len(text))
	for i := 0; i < len(text); {
		value, n := text[i:i+1], 1
		if bytes.IndexByte([]byte(signs), text[i]) >= 0 {
			value, n = escape(text[i:])
		}
		out = append(out, value...)
		i += n
	}
	if bytes.IndexByte([]byte(signs), '&') >= 0 && bytes.IndexByte(out, '&') >= 0 {
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
			return unit(rune(v), text)
		}
	case 'x':
		if v, ok := hex(text, 2, 2); ok {
			return []byte{byte(v)}, 4
		}
	case 'n':
		return []byte("\n"), 2
	case 'r':
		return []byte("\r"), 2
	case 't', 'b', 'f':
		return []byte("\t"), 2
	case '/', '"', '\\', '@', '.':
		return text[1:2], 2
	}
	return text[:1], 1
}

// unit is one of UTF-16, or two that are one rune.
func unit(r rune, text []byte) (value []byte, n int) {
	if utf16.IsSurrogate(r) && bytes.HasPrefix(text[6:], []byte(`\u`)) {
		if low, ok := hex(text, 8, 4); ok {
			return utf8.AppendRune(nil, utf16.DecodeRune(r, rune(low))), 12
		}
	}
	return utf8.AppendRune(nil, r), 6
}

func hex(text []byte, from, digits int) (uint64, bool) {
	if len(text) < from+digits {
		return 0, false
	}
	v, err := strconv.ParseUint(string(text[from:from+digits]), 16, 32)
	return v, err == nil
}

// words undoes the encoded words of headers (RFC 2047), nil where there are none.
func words(text []byte) []byte {
	if !bytes.Contains(text, []byte("=?")) {
		return nil
	}
	asIs := func(_ string, in io.Reader) (io.Reader, error) { return in, nil } // an address is ASCII in most
	decoder := mime.WordDecoder{CharsetReader: asIs}
	out, err := decoder.DecodeHeader(string(text))
	if err != nil {
		return nil // asIs has no error
	}
	return []byte(out)
}

// spaced reads a form, where + is a space, nil where text is none.
func spaced(text []byte) []byte {
	if bytes.IndexByte(text, '+') < 0 || bytes.IndexByte(text, '=') < 0 || bytes.ContainsAny(text, " \t\r\n\"{}<>@") {
		return nil
	}
	return bytes.ReplaceAll(text, []byte("+"), []byte(" "))
}

// gunzipped unpacks gzip as far as it goes, nil where text is none.
func gunzipped(text []byte) []byte {
	if !bytes.HasPrefix(text, []byte{0x1f, 0x8b, 8}) {
		return nil
	}
	r, err := gzip.NewReader(bytes.NewReader(text))
	if err != nil {
		return nil
	}
	out, _ := io.ReadAll(io.LimitReader(r, formBytesMax/2)) // what is before a damage counts
	return out
}

// narrow reads ASCII out of UTF-16 of either byte order, nil where text has no zeros.
func narrow(text []byte) []byte {
	if bytes.IndexByte(text, 0) < 0 {
		return nil
	}
	return bytes.ReplaceAll(text, []byte{0}, nil)
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
