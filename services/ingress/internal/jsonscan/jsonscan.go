// Package jsonscan finds the parts of a JSON text without copying or changing
// them: a Document checks the whole text once and knows where its items and
// their members lie, byte for byte; Value walks what lies deeper.
//
// It accepts what encoding/json accepts (a test and a fuzz test hold it to
// that): RFC 8259 with invalid UTF-8 tolerated inside strings. It builds no tree
// and allocates only for strings with escapes. Strings it returns share memory
// with the text, which therefore must never be written to again.
package jsonscan

import (
	"bytes"
	"math"
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

// Document is a parsed text. The zero value is ready, and Parse may be called
// again and again: it reuses its memory.
type Document struct {
	text    []byte
	array   bool
	items   []Value
	members []member // of all items that are objects, one after the other
	ends    []int    // members[ends[i-1]:ends[i]] are those of items[i]
}

// member is where one member of an item lies, bytes from the start of the text.
// It has no pointer, so the garbage collector need not look at thousands of them.
type member struct {
	key, keyEnd     uint32 // between the quotes
	value, valueEnd uint32
	escaped         bool // the key has a backslash
}

// textBytesMax is what the offsets of a member can say.
const textBytesMax = math.MaxUint32

// Parse checks that data is one JSON value, apart from white space and a leading
// byte order mark, and finds its items: the elements of an array, or the value
// itself when it is none. The error is a *SyntaxError or a *LimitError, and d is
// empty then.
func (d *Document) Parse(data []byte, lim Limits) error {
	d.Reset()
	if len(data) > textBytesMax {
		return &LimitError{Offset: textBytesMax, What: "too long"}
	}
	d.text = data
	s := scanner{data: data, depthMax: lim.Depth}
	if bytes.HasPrefix(data, bom) {
		s.pos = len(bom)
	}
	s.space()
	var err error
	if s.peek() == '[' {
		d.array = true
		err = d.list(&s, lim)
	} else {
		err = d.item(&s, 0)
	}
	if err == nil {
		if s.space(); s.pos < len(data) {
			err = s.fault("unexpected text after the value")
		}
	}
	if err != nil {
		d.Reset()
	}
	return err
}

// Reset empties d and lets go of the text.
func (d *Document) Reset() {
	clear(d.items)
	d.text, d.array, d.items, d.members, d.ends = nil, false, d.items[:0], d.members[:0], d.ends[:0]
}

// IsArray says whether the text was an array rather than a single value.
func (d *Document) IsArray() bool { return d.array }

// Items returns the items as slices of the text without white space around
// them. d owns the slice.
func (d *Document) Items() []Value { return d.items }

// Members returns a walk over the members of item i; over nothing when it is no
// object.
func (d *Document) Members(i int) Members {
	start := 0
	if i > 0 {
		start = d.ends[i-1]
	}
	return Members{text: d.text, found: d.members[start:d.ends[i]], next: len(d.text)}
}

// list reads the outermost array.
func (d *Document) list(s *scanner, lim Limits) error {
	s.pos++
	s.space()
	if s.peek() == ']' {
		s.pos++
		return nil
	}
	for n := 0; ; n++ {
		if n == lim.Items {
			return &LimitError{Offset: s.pos, What: "too many items"}
		}
		s.space()
		if err := d.item(s, 1); err != nil {
			return err
		}
		if more, err := s.separator(']'); !more {
			return err
		}
	}
}

// item reads one item below depth open arrays.
func (d *Document) item(s *scanner, depth int) error {
	start := s.pos
	var err error
	if s.peek() == '{' {
		err = s.object(depth, &d.members)
	} else {
		err = s.value(depth)
	}
	d.items = append(d.items, s.data[start:s.pos])
	d.ends = append(d.ends, len(d.members))
	return err
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

// space skips white space. There mostly is none, which is all that is inlined.
func (s *scanner) space() {
	if s.pos < len(s.data) && s.data[s.pos] <= ' ' {
		s.skipSpace()
	}
}

func (s *scanner) skipSpace() {
	for s.pos < len(s.data) && isSpace(s.data[s.pos]) {
		s.pos++
	}
}

func isSpace(c byte) bool { return c <= ' ' && (c == ' ' || c == '\n' || c == '\r' || c == '\t') }

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
		_, err := s.text()
		return err
	case c == '{':
		return s.object(depth, nil)
	case c == '[':
		return s.array(depth)
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

// object reads an object below depth open arrays and objects, and appends where
// its members lie to found unless that is nil.
func (s *scanner) object(depth int, found *[]member) error {
	if depth >= s.depthMax {
		return &LimitError{Offset: s.pos, What: "too deep"}
	}
	s.pos++
	s.space()
	if s.peek() == '}' {
		s.pos++
		return nil
	}
	for {
		s.space()
		key := s.pos
		if s.peek() != '"' {
			return s.unexpected()
		}
		escaped, err := s.text()
		if err != nil {
			return err
		}
		keyEnd := s.pos
		s.space()
		if s.peek() != ':' {
			return s.unexpected()
		}
		s.pos++
		s.space()
		start := s.pos
		if s.peek() == '"' {
			_, err = s.text() // what nearly all values are
		} else {
			err = s.value(depth + 1)
		}
		if err != nil {
			return err
		}
		if found != nil {
			*found = append(*found, member{
				key: uint32(key + 1), keyEnd: uint32(keyEnd - 1), value: uint32(start), valueEnd: uint32(s.pos), escaped: escaped,
			})
		}
		if s.peek() == ',' {
			s.pos++
			continue
		}
		if more, err := s.separator('}'); !more {
			return err
		}
	}
}

func (s *scanner) array(depth int) error {
	if depth >= s.depthMax {
		return &LimitError{Offset: s.pos, What: "too deep"}
	}
	s.pos++
	s.space()
	if s.peek() == ']' {
		s.pos++
		return nil
	}
	for {
		s.space()
		if err := s.value(depth + 1); err != nil {
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

// text reads a string, with s.pos on its first quote.
func (s *scanner) text() (escaped bool, err error) {
	for i := s.pos + 1; ; i = s.pos {
		i = special(s.data, i)
		if i == len(s.data) {
			s.pos = i
			return escaped, s.fault("unexpected end")
		}
		s.pos = i
		switch s.data[i] {
		case '"':
			s.pos = i + 1
			return escaped, nil
		case '\\':
			if err := s.escape(); err != nil {
				return escaped, err
			}
			escaped = true
		default:
			return escaped, s.fault("control character in a string")
		}
	}
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
	i := s.pos
	for i < len(s.data) && s.data[i]-'0' <= 9 {
		i++
	}
	if i == s.pos {
		return s.unexpected()
	}
	s.pos = i
	return nil
}
