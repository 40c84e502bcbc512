// Package jsonscan reads one JSON text (RFC 8259) from left to right, without
// building a tree and without allocating: the caller asks for what it expects
// next and gets slices of the input.
//
// It accepts exactly what encoding/json accepts, and its strings are the same;
// a fuzz test holds it to that. It exists because `raw` must be stored byte for
// byte, which no parser that builds a tree gives back, and because decoding is
// the largest part of our own work on an event. It does not write JSON.
package jsonscan

import (
	"encoding/binary"
	"fmt"
	"math/bits"
	"unicode/utf8"
)

// depthMax bounds nesting, as encoding/json does.
const depthMax = 10_000

// Error says where a text is not what was asked for.
type Error struct {
	Offset int    // byte in the text, from 0
	Want   string // what should stand there
}

// Error returns the message. It holds nothing of the text, which may be personal.
func (e *Error) Error() string { return fmt.Sprintf("offset %d: want %s", e.Offset, e.Want) }

// Scanner is a position in one text. The zero value is ready for Reset. It is
// not safe for concurrent use.
type Scanner struct {
	data    []byte
	pos     int
	first   bool // no member of the present object or array was read yet
	scratch []byte
}

// Reset starts on data, which must not change while it is read.
func (s *Scanner) Reset(data []byte) {
	s.data, s.pos, s.scratch = data, 0, s.scratch[:0]
}

func (s *Scanner) fail(want string) error { return &Error{Offset: s.pos, Want: want} }

func (s *Scanner) space() {
	if s.pos < len(s.data) && s.data[s.pos] > ' ' {
		return
	}
	for s.pos < len(s.data) {
		switch s.data[s.pos] {
		case ' ', '\n', '\r', '\t':
			s.pos++
		default:
			return
		}
	}
}

// peek returns the next byte that is no white space, 0 at the end.
func (s *Scanner) peek() byte {
	s.space()
	if s.pos >= len(s.data) {
		return 0
	}
	return s.data[s.pos]
}

// take moves over c if it comes next. Records of ours have no white space, so it
// is looked for only when something else stands there.
func (s *Scanner) take(c byte) bool {
	if s.pos < len(s.data) && s.data[s.pos] == c {
		s.pos++
		return true
	}
	return s.takeAfterSpace(c)
}

func (s *Scanner) takeAfterSpace(c byte) bool {
	if s.pos < len(s.data) && s.data[s.pos] > ' ' || s.peek() != c || s.pos >= len(s.data) {
		return false
	}
	s.pos++
	return true
}

// End returns nil when nothing but white space is left.
func (s *Scanner) End() error {
	if s.space(); s.pos < len(s.data) {
		return s.fail("the end")
	}
	return nil
}

// Object enters an object.
func (s *Scanner) Object() error {
	if !s.take('{') {
		return s.fail("an object")
	}
	s.first = true
	return nil
}

// Array enters an array.
func (s *Scanner) Array() error {
	if !s.take('[') {
		return s.fail("an array")
	}
	s.first = true
	return nil
}

// Key moves to the next member of the object and returns its key, valid until
// the next Reset. ok is false at the end of the object.
func (s *Scanner) Key() (key []byte, ok bool, err error) {
	if ok, err = s.next('}'); err != nil || !ok {
		return nil, false, err
	}
	s.space()
	if key, err = s.String(); err != nil {
		return nil, false, err
	}
	if !s.take(':') {
		return nil, false, s.fail("a colon")
	}
	return key, true, nil
}

// Element moves to the next element of the array. It is false at the end.
func (s *Scanner) Element() (bool, error) { return s.next(']') }

func (s *Scanner) next(end byte) (bool, error) {
	first := s.first
	s.first = false
	switch {
	case !first && s.take(','):
		return true, nil
	case s.take(end):
		return false, nil
	case first:
		return true, nil
	default:
		return false, s.fail("a comma or the end")
	}
}

// Null skips a null and reports whether there was one.
func (s *Scanner) Null() bool {
	if s.at('"') { // most values are strings
		return false
	}
	if s.peek() == 'n' && s.literal("null") {
		s.first = false
		return true
	}
	return false
}

func (s *Scanner) literal(word string) bool {
	if len(s.data)-s.pos < len(word) || string(s.data[s.pos:s.pos+len(word)]) != word {
		return false
	}
	s.pos += len(word)
	return true
}

// Bool reads true or false.
func (s *Scanner) Bool() (bool, error) {
	switch s.peek() {
	case 't':
		if s.literal("true") {
			return true, nil
		}
	case 'f':
		if s.literal("false") {
			return false, nil
		}
	}
	return false, s.fail("true or false")
}

// Uint reads an integer in [0, max].
func (s *Scanner) Uint(max uint64) (uint64, error) {
	s.space()
	start := s.pos
	text, err := s.number()
	if err != nil {
		return 0, err
	}
	var n uint64
	for _, c := range text {
		if c < '0' || c > '9' || n > max/10 {
			s.pos = start
			return 0, s.fail("an integer in range")
		}
		n = n*10 + uint64(c-'0')
	}
	if n > max {
		s.pos = start
		return 0, s.fail("an integer in range")
	}
	return n, nil
}

// Raw skips one value of any kind and returns its bytes as they stand in the
// text.
func (s *Scanner) Raw() ([]byte, error) {
	s.space()
	start := s.pos
	if err := s.skip(0); err != nil {
		return nil, err
	}
	s.first = false
	return s.data[start:s.pos], nil
}

func (s *Scanner) skip(depth int) error {
	if depth > depthMax {
		return s.fail("less nesting")
	}
	switch c := s.peek(); c {
	case '{':
		return s.skipObject(depth)
	case '[':
		return s.skipArray(depth)
	case '"':
		_, _, err := s.span()
		return err
	case 't', 'f':
		_, err := s.Bool()
		return err
	case 'n':
		if s.literal("null") {
			return nil
		}
	default:
		if c == '-' || ('0' <= c && c <= '9') {
			_, err := s.number()
			return err
		}
	}
	return s.fail("a value")
}

func (s *Scanner) skipObject(depth int) error {
	s.pos++
	for first := true; ; first = false {
		if !first && s.take(',') {
			s.space()
		} else if s.take('}') {
			return nil
		} else if !first {
			return s.fail("a comma or the end")
		}
		s.space()
		if _, _, err := s.span(); err != nil {
			return err
		}
		if !s.take(':') {
			return s.fail("a colon")
		}
		if err := s.skip(depth + 1); err != nil {
			return err
		}
	}
}

func (s *Scanner) skipArray(depth int) error {
	s.pos++
	for first := true; ; first = false {
		if s.take(']') {
			return nil
		}
		if !first && !s.take(',') {
			return s.fail("a comma or the end")
		}
		if err := s.skip(depth + 1); err != nil {
			return err
		}
	}
}

// number reads by the grammar of RFC 8259, section 6.
func (s *Scanner) number() ([]byte, error) {
	start := s.pos
	if s.at('-') {
		s.pos++
	}
	switch {
	case s.at('0'):
		s.pos++
	case !s.digits():
		return nil, s.fail("a number")
	}
	if s.at('.') {
		if s.pos++; !s.digits() {
			return nil, s.fail("a digit")
		}
	}
	if s.at('e') || s.at('E') {
		s.pos++
		if s.at('+') || s.at('-') {
			s.pos++
		}
		if !s.digits() {
			return nil, s.fail("a digit")
		}
	}
	return s.data[start:s.pos], nil
}

func (s *Scanner) at(c byte) bool { return s.pos < len(s.data) && s.data[s.pos] == c }

func (s *Scanner) digits() bool {
	start := s.pos
	for s.pos < len(s.data) && '0' <= s.data[s.pos] && s.data[s.pos] <= '9' {
		s.pos++
	}
	return s.pos > start
}

// String reads a string and returns its value, valid until the next Reset.
// Bytes that are no UTF-8 become U+FFFD.
func (s *Scanner) String() ([]byte, error) {
	s.space()
	text, plain, err := s.span()
	if err != nil {
		return nil, err
	}
	if plain {
		return text, nil
	}
	return s.unescape(text), nil
}

// span moves over a string and returns what stands between the quotes; plain
// when that is its value: printable ASCII or valid UTF-8 without escapes.
func (s *Scanner) span() (text []byte, plain bool, err error) {
	if !s.at('"') {
		return nil, false, s.fail("a string")
	}
	s.pos++
	start, escaped, high := s.pos, false, uint64(0)
	for {
		n, seen := run(s.data[s.pos:])
		high |= seen
		if s.pos += n; s.pos >= len(s.data) {
			return nil, false, s.fail("a closing quote")
		}
		switch s.data[s.pos] {
		case '"':
			text = s.data[start:s.pos]
			s.pos++
			return text, !escaped && (high == 0 || utf8.Valid(text)), nil
		case '\\':
			escaped = true
			if err := s.escape(); err != nil {
				return nil, false, err
			}
		default:
			return nil, false, s.fail("no control character")
		}
	}
}

const (
	ones  = 0x0101010101010101
	highs = 0x8080808080808080
)

// run returns how many bytes of b come before a quote, a backslash or a control
// character, and a number that is not 0 if a byte beyond ASCII may be among
// them. It looks at eight bytes at a time (Hacker's Delight, section 6-1).
func run(b []byte) (n int, high uint64) {
	for len(b)-n >= 8 {
		x := binary.LittleEndian.Uint64(b[n:])
		quote, slash := x^(ones*'"'), x^(ones*'\\')
		stop := ((x - ones*0x20) | (quote - ones) | (slash - ones)) & highs
		if stop &= (^x & highs); stop != 0 {
			return n + bits.TrailingZeros64(stop)/8, high | x&highs
		}
		high |= x & highs
		n += 8
	}
	for ; n < len(b); n++ {
		if c := b[n]; c < 0x20 || c == '"' || c == '\\' {
			return n, high
		}
		high |= uint64(b[n] & 0x80)
	}
	return n, high
}

// escape moves over one escape sequence.
func (s *Scanner) escape() error {
	rest := s.data[s.pos:]
	if len(rest) < 2 {
		return s.fail("an escape")
	}
	switch rest[1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		s.pos += 2
		return nil
	case 'u':
		if _, ok := hex4(rest); ok {
			s.pos += 6
			return nil
		}
	}
	return s.fail("an escape")
}
