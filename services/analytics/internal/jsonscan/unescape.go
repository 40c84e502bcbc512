package jsonscan

import (
	"unicode/utf16"
	"unicode/utf8"
)

// unescape returns the value of a string that span has checked. The result
// lives in scratch, which only grows until the next Reset; a slice that was
// handed out stays valid when scratch moves.
func (s *Scanner) unescape(text []byte) []byte {
	start := len(s.scratch)
	for i := 0; i < len(text); {
		switch c := text[i]; {
		case c == '\\' && text[i+1] == 'u':
			r, n := codePoint(text[i:])
			s.scratch = utf8.AppendRune(s.scratch, r)
			i += n
		case c == '\\':
			s.scratch = append(s.scratch, short(text[i+1]))
			i += 2
		case c < utf8.RuneSelf:
			s.scratch = append(s.scratch, c)
			i++
		default:
			r, n := utf8.DecodeRune(text[i:])
			s.scratch = utf8.AppendRune(s.scratch, r)
			i += n
		}
	}
	return s.scratch[start:len(s.scratch):len(s.scratch)]
}

// codePoint reads \uXXXX, or a surrogate pair of two, at the start of b. Half a
// pair is U+FFFD.
func codePoint(b []byte) (r rune, n int) {
	r, _ = hex4(b)
	if !utf16.IsSurrogate(r) {
		return r, 6
	}
	if low, ok := hex4(b[6:]); ok {
		if pair := utf16.DecodeRune(r, low); pair != utf8.RuneError {
			return pair, 12
		}
	}
	return utf8.RuneError, 6
}

// hex4 reads \uXXXX at the start of b.
func hex4(b []byte) (rune, bool) {
	if len(b) < 6 || b[0] != '\\' || b[1] != 'u' {
		return 0, false
	}
	var r rune
	for _, c := range b[2:6] {
		switch {
		case '0' <= c && c <= '9':
			c -= '0'
		case 'a' <= c && c <= 'f':
			c -= 'a' - 10
		case 'A' <= c && c <= 'F':
			c -= 'A' - 10
		default:
			return 0, false
		}
		r = r<<4 | rune(c)
	}
	return r, true
}

func short(c byte) byte {
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
		return c // '"', '\\', '/'
	}
}
