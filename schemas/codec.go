package schemas

import (
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/mailstream/mailstream/schemas/jsonlex"
)

// metadataSortMax is how many metadata keys are sorted without an allocation.
// Providers allow a few dozen at most; a message with more costs one slice.
const metadataSortMax = 16

// MarshalJSON encodes e as AppendJSON does. encoding/json then compacts Raw;
// call AppendJSON to keep it byte for byte.
func (e Event) MarshalJSON() ([]byte, error) {
	return AppendJSON(nil, &e), nil
}

// AppendJSON appends e as one JSON object to dst and returns it, without an
// allocation of its own when dst has room. Fields come in the order of the
// struct, metadata sorted by key, absent fields left out, times in UTC cut to
// milliseconds. Invalid UTF-8 is replaced by U+FFFD, in Raw too; apart from
// that Raw is copied as it is and must hold one JSON value.
func AppendJSON(dst []byte, e *Event) []byte {
	return appendEvent(append(dst, '{'), e)
}

func appendField(dst []byte, name, value string) []byte {
	if value == "" {
		return dst
	}
	dst = append(dst, name...)
	return appendString(dst, value)
}

func appendBool(dst []byte, name string, value *bool) []byte {
	if value == nil {
		return dst
	}
	dst = append(dst, name...)
	return strconv.AppendBool(dst, *value)
}

func appendInt(dst []byte, name string, value int) []byte {
	if value == 0 {
		return dst
	}
	return strconv.AppendInt(append(dst, name...), int64(value), 10)
}

func appendTexts(dst []byte, name string, texts []string) []byte {
	if len(texts) == 0 {
		return dst
	}
	dst = append(dst, name...)
	for i, text := range texts {
		separator := byte(',')
		if i == 0 {
			separator = '['
		}
		dst = appendString(append(dst, separator), text)
	}
	return append(dst, ']')
}

// appendRaw copies raw, which is already JSON, and repairs only invalid UTF-8:
// a record that is not UTF-8 would not be JSON (RFC 8259, section 8.1).
func appendRaw(dst []byte, name string, raw []byte) []byte {
	if len(raw) == 0 {
		return dst
	}
	return jsonlex.AppendValid(append(dst, name...), raw)
}

// pair is one entry of the metadata.
type pair struct{ key, value string }

// appendMap sorts by key, so that one event always has one encoding.
func appendMap(dst []byte, name string, metadata map[string]string) []byte {
	if len(metadata) == 0 {
		return dst
	}
	var room [metadataSortMax]pair
	pairs := room[:0]
	for key, value := range metadata {
		pairs = append(pairs, pair{key, value})
	}
	slices.SortFunc(pairs, func(a, b pair) int { return strings.Compare(a.key, b.key) })
	dst = append(dst, name...)
	for i, p := range pairs {
		separator := byte(',')
		if i == 0 {
			separator = '{'
		}
		dst = appendString(append(dst, separator), p.key)
		dst = appendString(append(dst, ':'), p.value)
	}
	return append(dst, '}')
}

const hexDigits = "0123456789abcdef"

// plain says which bytes a JSON string has without an escape. Bytes of 0x80 and
// above are checked as UTF-8.
var plain = func() (table [256]bool) {
	for c := 0x20; c < utf8.RuneSelf; c++ {
		table[c] = c != '"' && c != '\\'
	}
	return table
}()

// appendString appends s as a JSON string.
func appendString(dst []byte, s string) []byte {
	dst = append(dst, '"')
	start := 0
	for i := 0; i < len(s); {
		for i+4 <= len(s) && plain[s[i]] && plain[s[i+1]] && plain[s[i+2]] && plain[s[i+3]] {
			i += 4
		}
		if i == len(s) {
			break
		}
		c := s[i]
		if plain[c] {
			i++
			continue
		}
		if c >= utf8.RuneSelf {
			r, size := utf8.DecodeRuneInString(s[i:])
			if r == utf8.RuneError && size == 1 {
				dst = append(dst, s[start:i]...)
				dst = append(dst, "\ufffd"...)
				start = i + 1
			}
			i += size
			continue
		}
		dst = append(dst, s[start:i]...)
		dst = appendEscape(dst, c)
		i++
		start = i
	}
	dst = append(dst, s[start:]...)
	return append(dst, '"')
}

func appendEscape(dst []byte, c byte) []byte {
	switch c {
	case '"', '\\':
		return append(dst, '\\', c)
	case '\n':
		return append(dst, '\\', 'n')
	case '\r':
		return append(dst, '\\', 'r')
	case '\t':
		return append(dst, '\\', 't')
	default:
		return append(dst, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&0xf])
	}
}
