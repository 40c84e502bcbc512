// Package jsonscan finds the parts of a JSON text without copying or changing
// them: Split checks the whole text once and says where its items lie, byte for
// byte; Object, Array and Value then walk what is known to be valid.
//
// It accepts what encoding/json accepts (a test and a fuzz test hold it to
// that): RFC 8259 with invalid UTF-8 tolerated inside strings. It builds no tree
// and allocates only for strings with escapes. Strings it returns share memory
// with the text, which therefore must never be written to again.
package jsonscan

import (
	"bytes"
	"strconv"
)

// SyntaxError says where a text stops being JSON, and never what stands there.
type SyntaxError struct {
	Offset int    // bytes before the fault
	What   string // a constant phrase
}

// Error returns the fault with its offset.
func (e *SyntaxError) Error() string { return e.What + " at byte " + strconv.Itoa(e.Offset) }

// LimitError says that a text is JSON as far as it was read, but more of it than
// allowed.
type LimitError struct {
	Offset int
	What   string // a constant phrase
}

// Error returns the limit with the offset where it was passed.
func (e *LimitError) Error() string { return e.What + " at byte " + strconv.Itoa(e.Offset) }

// Limits bound one text. Both must be above 0.
type Limits struct {
	Depth int // arrays and objects inside each other
	Items int // elements of the outermost array
}

// bom is the UTF-8 byte order mark, which RFC 8259 lets a reader ignore.
var bom = []byte("\xef\xbb\xbf")

// Split checks that data is one JSON value, apart from white space and a leading
// byte order mark, and appends its items to dst: the elements of an array, or
// the value itself when it is none. The items are slices of data without white
// space around them. The error is a *SyntaxError or a *LimitError.
func Split(dst []Value, data []byte, lim Limits) ([]Value, error) {
	s := scanner{data: data, depthMax: lim.Depth}
	if bytes.HasPrefix(data, bom) {
		s.pos = len(bom)
	}
	s.space()
	var err error
	if s.peek() == '[' {
		dst, err = s.items(dst, lim.Items)
	} else {
		start := s.pos
		if err = s.value(0); err == nil {
			dst = append(dst, data[start:s.pos])
		}
	}
	if err != nil {
		return dst, err
	}
	s.space()
	if s.pos < len(data) {
		return dst, s.fault("unexpected text after the value")
	}
	return dst, nil
}

// scanner walks a text that may be anything.
type scanner struct {
	data     []byte
	pos      int
	depthMax int
}

func (s *scanner) fault(what string) error { return &SyntaxError{Offset: s.pos, What: what} }

func (s *scanner) peek() byte {
	if s.pos < len(s.data) {
		return s.data[s.pos]
	}
	return 0 // no JSON token starts with NUL
}

func (s *scanner) space() {
	for s.pos < len(s.data) && isSpace(s.data[s.pos]) {
		s.pos++
	}
}

func isSpace(c byte) bool { return c <= ' ' && (c == ' ' || c == '\n' || c == '\r' || c == '\t') }

// items reads the outermost array.
func (s *scanner) items(dst []Value, itemsMax int) ([]Value, error) {
	s.pos++
	s.space()
	if s.peek() == ']' {
		s.pos++
		return dst, nil
	}
	for n := 0; ; n++ {
		if n == itemsMax {
			return dst, &LimitError{Offset: s.pos, What: "too many items"}
		}
		s.space()
		start := s.pos
		if err := s.value(1); err != nil {
			return dst, err
		}
		dst = append(dst, s.data[start:s.pos])
		more, err := s.separator(']')
		if !more {
			return dst, err
		}
	}
}

// separator reads a comma, which says that more follows, or the closing byte.
func (s *scanner) separator(closing byte) (more bool, err error) {
	s.space()
	switch s.peek() {
	case ',':
		s.pos++
		return true, nil
	case closing:
		s.pos++
		return false, nil
	}
	return false, s.unexpected()
}

func (s *scanner) unexpected() error {
	if s.pos >= len(s.data) {
		return s.fault("unexpected end")
	}
	return s.fault("unexpected byte")
}

// value reads one value below depth open arrays and objects.
func (s *scanner) value(depth int) error {
	switch c := s.peek(); {
	case c == '"':
		return s.text()
	case c == '{' || c == '[':
		if depth >= s.depthMax {
			return &LimitError{Offset: s.pos, What: "too deep"}
		}
		if c == '{' {
			return s.object(depth + 1)
		}
		return s.array(depth + 1)
	case c == '-' || c >= '0' && c <= '9':
		return s.number()
	case c == 't':
		return s.literal("true")
	case c == 'f':
		return s.literal("false")
	case c == 'n':
		return s.literal("null")
	}
	return s.unexpected()
}

func (s *scanner) object(depth int) error {
	s.pos++
	s.space()
	if s.peek() == '}' {
		s.pos++
		return nil
	}
	for {
		s.space()
		if s.peek() != '"' {
			return s.unexpected()
		}
		if err := s.text(); err != nil {
			return err
		}
		s.space()
		if s.peek() != ':' {
			return s.unexpected()
		}
		s.pos++
		s.space()
		if err := s.value(depth); err != nil {
			return err
		}
		if more, err := s.separator('}'); !more {
			return err
		}
	}
}

func (s *scanner) array(depth int) error {
	s.pos++
	s.space()
	if s.peek() == ']' {
		s.pos++
		return nil
	}
	for {
		s.space()
		if err := s.value(depth); err != nil {
			return err
		}
		if more, err := s.separator(']'); !more {
			return err
		}
	}
}

func (s *scanner) literal(word string) error {
	for i := range len(word) {
		if s.peek() != word[i] {
			return s.unexpected()
		}
		s.pos++
	}
	return nil
}

// ordinary are the bytes that stand in a string for themselves.
var ordinary = func() (table [256]bool) {
	for c := 0x20; c < len(table); c++ {
		table[c] = c != '"' && c != '\\'
	}
	return table
}()

func (s *scanner) text() error {
	data, i := s.data, s.pos+1
	for i < len(data) {
		c := data[i]
		if ordinary[c] {
			i++
			continue
		}
		if c == '"' {
			s.pos = i + 1
			return nil
		}
		s.pos = i
		if c != '\\' {
			return s.fault("control character in a string")
		}
		if err := s.escape(); err != nil {
			return err
		}
		i = s.pos
	}
	s.pos = len(data)
	return s.fault("unexpected end")
}

// escape reads \n, \u0041 and their like, with s.pos on the backslash.
func (s *scanner) escape() error {
	s.pos++
	switch s.peek() {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		s.pos++
		return nil
	case 'u':
		s.pos++
		for range 4 {
			if _, ok := hexValue(s.peek()); !ok {
				return s.unexpected()
			}
			s.pos++
		}
		return nil
	}
	return s.unexpected()
}

func (s *scanner) number() error {
	if s.peek() == '-' {
		s.pos++
	}
	if s.peek() == '0' {
		s.pos++
	} else if err := s.digits(); err != nil {
		return err
	}
	if s.peek() == '.' {
		s.pos++
		if err := s.digits(); err != nil {
			return err
		}
	}
	if c := s.peek(); c == 'e' || c == 'E' {
		s.pos++
		if c := s.peek(); c == '+' || c == '-' {
			s.pos++
		}
		return s.digits()
	}
	return nil
}

func (s *scanner) digits() error {
	start := s.pos
	for c := s.peek(); c >= '0' && c <= '9'; c = s.peek() {
		s.pos++
	}
	if s.pos == start {
		return s.unexpected()
	}
	return nil
}
