package jsonlex

import (
	"encoding/binary"
	"math/bits"
	"slices"
	"unicode/utf16"
	"unicode/utf8"
)

// Form is what has to be done to what is between the quotes of a string to get
// its value; 0 for nothing.
type Form uint8

// The forms.
const (
	Escaped Form = 1 << iota // there are escapes
	High                     // there are bytes beyond ASCII, which may be no UTF-8
)

// String moves over a string.
func (l *Lexer) String() (Form, error) {
	data, i := l.Data, l.Pos
	if i >= len(data) || data[i] != '"' {
		return 0, l.Fail(AString)
	}
	end, seen := Run(data, i+1)
	if end >= len(data) || data[end] != '"' {
		return l.escapes(end, seen)
	}
	l.Pos = end + 1
	if seen&highs != 0 {
		return High, nil
	}
	return 0, nil
}

// escapes moves to behind a string from its first escape, or what is wrong, at i.
func (l *Lexer) escapes(i int, seen uint64) (Form, error) {
	form := Escaped
	for {
		if seen&highs != 0 {
			form |= High
		}
		l.Pos = i
		switch {
		case i >= len(l.Data):
			return form, l.Fail(ClosingQuote)
		case l.Data[i] == '"':
			l.Pos++
			return form, nil
		case l.Data[i] != '\\':
			return form, l.Fail(NoControl)
		}
		if err := l.escape(); err != nil {
			return form, err
		}
		i, seen = Run(l.Data, l.Pos)
	}
}

// escape moves over one escape.
func (l *Lexer) escape() error {
	start := l.Pos
	l.Pos++
	switch l.Peek() {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		l.Pos++
		return nil
	case 'u':
		for range 4 {
			l.Pos++
			if hexValue(l.Peek()) > 0xf {
				return &Error{Offset: start, At: l.Pos, Want: Escape}
			}
		}
		l.Pos++
		return nil
	}
	return &Error{Offset: start, At: l.Pos, Want: Escape}
}

// Masks of eight bytes each, for arithmetic on all of them at once.
const (
	ones        = 0x0101010101010101
	highs       = 0x8080808080808080
	quotes      = '"' * ones
	backslashes = '\\' * ones
	spaces      = ' ' * ones
)

// Run returns the index of the first byte from i on that is not part of a
// string as it is: a quote, a backslash or a control character; len(data) when
// there is none. In seen the highest bit of a byte is set if a byte beyond
// ASCII came before it, or soon behind. Strings are most of what is read, so it
// takes eight bytes at a time.
func Run(data []byte, i int) (end int, seen uint64) {
	for ; i+8 <= len(data); i += 8 {
		w := binary.LittleEndian.Uint64(data[i:])
		seen |= w
		// A byte that is 0 after the xor, or below the space, borrows from its own
		// highest bit. A borrow may reach further up, never down, so the lowest mark
		// is right (Hacker's Delight, section 6-1).
		marks := (((w ^ quotes) - ones) | ((w ^ backslashes) - ones) | (w - spaces)) &^ w & highs
		if marks != 0 {
			return i + bits.TrailingZeros64(marks)/8, seen
		}
	}
	for ; i < len(data); i++ {
		c := data[i]
		if c < ' ' || c == '"' || c == '\\' {
			break
		}
		seen |= uint64(c)
	}
	return i, seen
}

// AppendUnescaped appends the value of what is between the quotes of a string
// that String has passed. Half a surrogate pair is U+FFFD; bytes that are no
// UTF-8 stay (AppendValid). What it writes is never longer than what it has read, so
// whole words may be copied ahead of the next backslash.
func AppendUnescaped(dst, in []byte) []byte {
	dst = slices.Grow(dst, len(in))
	out := dst[len(dst) : len(dst)+len(in)]
	n := 0
	for i := 0; i < len(in); {
		switch {
		case i+8 <= len(in):
			w := binary.LittleEndian.Uint64(in[i:])
			binary.LittleEndian.PutUint64(out[n:], w)
			back := w ^ backslashes
			run := bits.TrailingZeros64((back-ones)&^back&highs) / 8 // 8 when there is none
			i, n = i+run, n+run
			if run == 8 {
				continue
			}
		case in[i] != '\\':
			out[n] = in[i]
			i, n = i+1, n+1
			continue
		}
		if c := in[i+1]; c != 'u' {
			out[n] = unescaped(c)
			i, n = i+2, n+1
			continue
		}
		r, size := codePoint(in[i:])
		i, n = i+size, n+utf8.EncodeRune(out[n:], r)
	}
	return dst[:len(dst)+n]
}

// codePoint reads \uXXXX, or a surrogate pair of two, at the start of in.
func codePoint(in []byte) (r rune, size int) {
	r = codeUnit(in[2:])
	if !utf16.IsSurrogate(r) {
		return r, escapeBytes
	}
	if low := in[escapeBytes:]; len(low) >= escapeBytes && low[0] == '\\' && low[1] == 'u' {
		if pair := utf16.DecodeRune(r, codeUnit(low[2:])); pair != utf8.RuneError {
			return pair, 2 * escapeBytes
		}
	}
	return utf8.RuneError, escapeBytes
}

// escapeBytes is the length of \uXXXX.
const escapeBytes = 6

// codeUnit reads four hexadecimal digits.
func codeUnit(in []byte) rune {
	var r rune
	for _, c := range in[:4] {
		r = r<<4 | rune(hexValue(c))
	}
	return r
}

// hexValue returns the value of a hexadecimal digit, above 15 for anything else.
func hexValue(c byte) byte {
	switch {
	case c-'0' <= 9:
		return c - '0'
	case c-'a' <= 5:
		return c - 'a' + 10
	case c-'A' <= 5:
		return c - 'A' + 10
	}
	return 0xff
}

func unescaped(c byte) byte {
	switch c {
	case 'b':
		return '\b'
	case 'f':
		return '\f'
	case 'n':
		return '\n'
	case 'r':
		return '\r'
	case 't':
		return '\t'
	default:
		return c // the quote, the backslash, the slash
	}
}

// AppendValid appends b with U+FFFD for each byte that is not UTF-8.
func AppendValid(dst, b []byte) []byte {
	if utf8.Valid(b) {
		return append(dst, b...)
	}
	for len(b) > 0 {
		r, size := utf8.DecodeRune(b)
		if r == utf8.RuneError && size == 1 {
			dst = append(dst, "\ufffd"...)
		} else {
			dst = append(dst, b[:size]...)
		}
		b = b[size:]
	}
	return dst
}
