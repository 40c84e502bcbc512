package jsontext

import (
	"bytes"
	"unsafe"

	"github.com/mailstream/mailstream/schemas/jsonlex"
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
	if len(v) > 0 && v[0] == '"' { // what nearly all values are
		return v.content(), true
	}
	switch v.Kind() {
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

// unescape returns the content of a valid string with escapes.
func unescape(inner []byte) string {
	return view(jsonlex.AppendUnescaped(make([]byte, 0, len(inner)), inner))
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

// Members returns a walk over v; over nothing when v is not an object.
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
	keyEnd, _ := jsonlex.Run(m.text, key+1)
	escaped := m.text[keyEnd] != '"'
	if escaped {
		keyEnd = stringEnd(m.text, key) - 1
	}
	value := skipTo(m.text, keyEnd+1, ':') + 1
	for jsonlex.IsSpace(m.text[value]) {
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

// Elements returns a walk over v; over nothing when v is not an array.
func (v Value) Elements() Elements {
	if v.Kind() != Array {
		return Elements{}
	}
	return Elements{rest: v[1 : len(v)-1]}
}

// Next goes to the next element, false after the last.
func (e *Elements) Next() bool {
	i := 0
	for i < len(e.rest) && (e.rest[i] == ',' || jsonlex.IsSpace(e.rest[i])) {
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
		i, _ = jsonlex.Run(data, i)
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
	for i < len(data) && !jsonlex.IsSpace(data[i]) && data[i] != ',' && data[i] != '}' && data[i] != ']' {
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
