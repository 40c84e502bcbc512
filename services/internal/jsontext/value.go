package jsontext

import (
	"bytes"
	"encoding/binary"
	"math/bits"
	"unicode/utf16"
	"unicode/utf8"
	"unsafe"
)

// Value is one JSON value without white space around it, found by a
// Document or inside such a value. Its bytes are those that were received.
type Value []byte

// Kind is what a Value is.
type Kind byte

// The kinds.
const (
	Invalid Kind = iota // an empty Value
	Null
	Bool
	Number
	String
	Array
	Object
)

// Kind returns what v is, judged by its first byte.
func (v Value) Kind() Kind {
	if len(v) == 0 {
		return Invalid
	}
	switch v[0] {
	case '{':
		return Object
	case '[':
		return Array
	case '"':
		return String
	case 't', 'f':
		return Bool
	case 'n':
		return Null
	default:
		return Number
	}
}

// Text returns a string's content, or a number or boolean as it is written: 2^63
// keeps every digit. It is false for null, arrays and objects. The string shares
// v's memory unless it had escapes.
func (v Value) Text() (string, bool) {
	switch v.Kind() {
	case String:
		return v.content(), true
	case Number, Bool:
		return view(v), true
	default:
		return "", false
	}
}

func (v Value) content() string {
	inner := v[1 : len(v)-1]
	if bytes.IndexByte(inner, '\\') < 0 {
		return view(inner)
	}
	return unescape(inner)
}

// view returns b as a string without a copy: the text is never written to.
func view(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// Members walks the members of an object in the order of the text. The same key
// may come twice: like encoding/json, let the last one win.
type Members struct {
	text []byte
	all  []member // those a Document has found; nil to look into text
	next int      // the next one in all, or where in text to look for it
	end  int      // where in text the object ends that all are looked up for
	now  member
}

// Members returns a walk over v; over nothing when v is no object.
func (v Value) Members() Members {
	if v.Kind() != Object {
		return Members{}
	}
	return Members{text: v[1 : len(v)-1]}
}

// Next goes to the next member, false after the last.
func (m *Members) Next() bool {
	if m.all == nil {
		return m.look()
	}
	if m.next >= len(m.all) || int(m.all[m.next].key) >= m.end {
		return false
	}
	m.now = m.all[m.next]
	m.next += 1 + int(m.now.inside)
	return true
}

// look finds the next member in the text.
func (m *Members) look() bool {
	key := skipTo(m.text, m.next, '"')
	if key >= len(m.text) {
		return false
	}
	keyEnd := special(m.text, key+1)
	escaped := m.text[keyEnd] != '"'
	if escaped {
		keyEnd = stringEnd(m.text, key) - 1
	}
	value := skipTo(m.text, keyEnd+1, ':') + 1
	for isSpace(m.text[value]) {
		value++
	}
	m.next = valueEnd(m.text, value)
	m.now = member{key: uint32(key + 1), keyEnd: uint32(keyEnd), value: uint32(value), valueEnd: uint32(m.next), escaped: escaped}
	return true
}

// Key returns the present member's key. It shares memory with the text unless it
// had escapes.
func (m *Members) Key() string {
	inner := m.text[m.now.key:m.now.keyEnd]
	if !m.now.escaped {
		return view(inner)
	}
	return unescape(inner)
}

// KeyIs says whether the present member has the key. Unlike Key it takes no memory
// for a key that is longer than one with escapes can be.
func (m *Members) KeyIs(key string) bool {
	inner := m.text[m.now.key:m.now.keyEnd]
	if !m.now.escaped {
		return string(inner) == key
	}
	return len(inner) <= escapeBytesMax*len(key) && unescape(inner) == key
}

// escapeBytesMax is how much longer text gets by escapes: \u0061 for a.
const escapeBytesMax = 6

// Value returns the present member's value.
func (m *Members) Value() Value { return m.text[m.now.value:m.now.valueEnd:m.now.valueEnd] }

// Elements walks the elements of an array in the order of the text.
type Elements struct {
	rest  []byte
	value Value
}

// Elements returns a walk over v; over nothing when v is no array.
func (v Value) Elements() Elements {
	if v.Kind() != Array {
		return Elements{}
	}
	return Elements{rest: v[1 : len(v)-1]}
}

// Next goes to the next element, false after the last.
func (e *Elements) Next() bool {
	i := 0
	for i < len(e.rest) && (e.rest[i] == ',' || isSpace(e.rest[i])) {
		i++
	}
	if i >= len(e.rest) {
		return false
	}
	end := valueEnd(e.rest, i)
	e.value = Value(e.rest[i:end])
	e.rest = e.rest[end:]
	return true
}

// Value returns the present element.
func (e *Elements) Value() Value { return e.value }

// What follows walks text that a Document has found valid, so it checks nothing.

func skipTo(data []byte, i int, c byte) int {
	for i < len(data) && data[i] != c {
		i++
	}
	return i
}

// stringEnd returns the index after the string that starts at i.
func stringEnd(data []byte, i int) int {
	for i++; ; i += 2 {
		i = special(data, i)
		if data[i] == '"' {
			return i + 1
		}
	}
}

// valueEnd returns the index after the value that starts at i.
func valueEnd(data []byte, i int) int {
	switch data[i] {
	case '"':
		return stringEnd(data, i)
	case '{', '[':
		return nestEnd(data, i)
	}
	for i < len(data) && !isSpace(data[i]) && data[i] != ',' && data[i] != '}' && data[i] != ']' {
		i++
	}
	return i
}

// nestEnd returns the index after the array or object that starts at i.
func nestEnd(data []byte, i int) int {
	for depth := 0; ; i++ {
		switch data[i] {
		case '"':
			i = stringEnd(data, i) - 1
		case '{', '[':
			depth++
		case '}', ']':
			depth--
			if depth == 0 {
				return i + 1
			}
		}
	}
}

func hexValue(c byte) (rune, bool) {
	switch {
	case c >= '0' && c <= '9':
		return rune(c - '0'), true
	case c >= 'a' && c <= 'f':
		return rune(c-'a') + 10, true
	case c >= 'A' && c <= 'F':
		return rune(c-'A') + 10, true
	}
	return 0, false
}

// unescape returns the content of a valid string; a lone surrogate becomes
// U+FFFD, as in encoding/json. What it writes is never longer than what it has
// read, so whole words may be copied ahead of the next backslash.
func unescape(in []byte) string {
	out := make([]byte, len(in))
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
		r := codeUnit(in[i+2:])
		i += 6
		if utf16.IsSurrogate(r) {
			low := rune(-1)
			if i+6 <= len(in) && in[i] == '\\' && in[i+1] == 'u' {
				low = codeUnit(in[i+2:])
			}
			if r = utf16.DecodeRune(r, low); r != utf8.RuneError {
				i += 6
			}
		}
		n += utf8.EncodeRune(out[n:], r)
	}
	return view(out[:n])
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

// codeUnit reads four hexadecimal digits.
func codeUnit(in []byte) rune {
	var r rune
	for _, c := range in[:4] {
		n, _ := hexValue(c) // checked by Parse
		r = r<<4 | n
	}
	return r
}
