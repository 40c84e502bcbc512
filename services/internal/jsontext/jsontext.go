// Package jsontext finds the parts of a JSON text without copying or changing
// them: a Document checks the whole text once and knows where its items and the
// members of every object lie, byte for byte; Value walks text without one.
//
// It accepts what encoding/json accepts (a test and a fuzz test hold it to
// that): RFC 8259 with invalid UTF-8 tolerated inside strings. It builds no tree
// and allocates only for strings with escapes. Strings it returns share memory
// with the text, which therefore must never be written to again.
package jsontext

import (
	"bytes"
	"math"
	"sort"
	"unsafe"
)

// bom is the UTF-8 byte order mark, which RFC 8259 lets a reader ignore.
var bom = []byte("\xef\xbb\xbf")

// Document is a parsed text. The zero value is ready, and Parse may be called
// again and again: it reuses its memory.
type Document struct {
	text    []byte
	array   bool
	items   []Value
	members []member // of all objects, in the order of the text
	firsts  []uint32 // where in members those of an item begin
	hint    int      // the member that was looked up last
}

// member is where one member of an object lies, bytes from the start of the text.
// It has no pointer, so the garbage collector need not look at thousands of them.
type member struct {
	key, keyEnd     uint32 // between the quotes
	value, valueEnd uint32
	inside          uint32 // how many members follow that lie in its value
	escaped         bool   // the key has a backslash
}

// memberBytes is the size of a member.
const memberBytes = int64(unsafe.Sizeof(member{}))

// IndexBytes returns what the index of text takes at most: every member has a
// colon.
func IndexBytes(text []byte) int64 { return memberBytes * int64(bytes.Count(text, []byte{':'})) }

// membersKept bounds what Reset keeps for the next text: more than a thousand
// events have.
const membersKept = 64 << 10

// textBytesMax is what the offsets of a member can say.
const textBytesMax = math.MaxUint32

// Parse checks that data is one JSON value, apart from white space and a leading
// byte order mark, and finds its items: the elements of an array, or the value
// itself when it is none. The error is a *SyntaxError or a *LimitError, and d is
// empty then.
func (d *Document) Parse(data []byte, lim Limits) error {
	d.Reset()
	if len(data) > lim.most() {
		return &LimitError{Limit: Bytes, Offset: lim.most()}
	}
	d.text = data
	s := scanner{data: data, depthMax: lim.Depth, members: d.members}
	s.begin()
	var err error
	if s.peek() == '[' {
		d.array = true
		err = d.list(&s, lim)
	} else {
		err = d.item(&s, 0)
	}
	d.members = s.members
	if err == nil {
		err = s.end()
	}
	if err != nil {
		d.Reset()
	}
	return err
}

// Reset empties d and lets go of the text.
func (d *Document) Reset() {
	clear(d.items)
	if cap(d.members) > membersKept {
		d.members = nil
	}
	d.text, d.array, d.items, d.members, d.firsts = nil, false, d.items[:0], d.members[:0], d.firsts[:0]
	d.hint = 0
}

// IsArray says whether the text was an array rather than a single value.
func (d *Document) IsArray() bool { return d.array }

// Items returns the items as slices of the text without white space around
// them. d owns the slice.
func (d *Document) Items() []Value { return d.items }

// Members returns a walk over the members of item i; over nothing when it is no
// object.
func (d *Document) Members(i int) Members {
	v := d.items[i]
	if v.Kind() != Object {
		return Members{}
	}
	return d.walk(int(d.firsts[i]), d.offset(v)+len(v))
}

// MembersOf returns a walk over the members of v; over nothing when it is no
// object. It looks them up where v lies in the text, which is much quicker than
// to find them again.
func (d *Document) MembersOf(v Value) Members {
	if v.Kind() != Object {
		return Members{}
	}
	start := d.offset(v)
	if start < 0 || start >= len(d.text) {
		return v.Members() // of another text
	}
	return d.walk(d.after(start), start+len(v))
}

// walk returns the walk from the member first on to what lies behind end.
func (d *Document) walk(first, end int) Members {
	if len(d.members) == 0 {
		return Members{} // all objects are empty
	}
	return Members{text: d.text, all: d.members, next: first, end: end}
}

// hintSteps is how far from the last lookup the next one is expected: readers go
// on in the order of the text.
const hintSteps = 16

// after returns the first member behind the offset start.
func (d *Document) after(start int) int {
	behind := func(i int) bool { return int(d.members[i].key) > start }
	if d.hint < len(d.members) && !behind(d.hint) {
		for i := d.hint + 1; i < min(d.hint+hintSteps, len(d.members)); i++ {
			if behind(i) {
				d.hint = i - 1
				return i
			}
		}
	}
	first := sort.Search(len(d.members), behind)
	d.hint = max(first-1, 0)
	return first
}

// offset returns where v lies in the text, something outside of it for a value of
// another text.
func (d *Document) offset(v Value) int {
	return int(uintptr(unsafe.Pointer(unsafe.SliceData(v))) - uintptr(unsafe.Pointer(unsafe.SliceData(d.text))))
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
			return &LimitError{Limit: Items, Offset: s.pos}
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
	d.firsts = append(d.firsts, uint32(len(s.members)))
	err := s.value(depth)
	d.items = append(d.items, s.data[start:s.pos])
	return err
}

// scanner walks a text that may be anything.
type scanner struct {
	data     []byte
	pos      int
	depthMax int
	members  []member
	checks   bool // members are not noted
}

// begin goes to the first byte that counts.
func (s *scanner) begin() {
	if bytes.HasPrefix(s.data, bom) {
		s.pos = len(bom)
	}
	s.space()
}

// end says that nothing may follow.
func (s *scanner) end() error {
	if s.space(); s.pos < len(s.data) {
		return s.fault("unexpected text after the value")
	}
	return nil
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
		return s.object(depth)
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

// object reads an object below depth open arrays and objects, and notes where its
// members lie.
func (s *scanner) object(depth int) error {
	if depth >= s.depthMax {
		return &LimitError{Limit: Depth, Offset: s.pos}
	}
	s.pos++
	s.space()
	if s.peek() == '}' {
		s.pos++
		return nil
	}
	for {
		s.space()
		if err := s.member(depth + 1); err != nil {
			return err
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

// member reads a member of an object, its value below depth open arrays and
// objects, and notes where it lies.
func (s *scanner) member(depth int) error {
	key := s.pos
	if s.peek() != '"' {
		return s.unexpected()
	}
	escaped, err := s.text()
	if err != nil {
		return err
	}
	keyEnd := s.pos - 1
	s.space()
	if s.peek() != ':' {
		return s.unexpected()
	}
	s.pos++
	s.space()
	found := member{key: uint32(key + 1), keyEnd: uint32(keyEnd), value: uint32(s.pos), escaped: escaped}
	switch s.peek() {
	case '"': // what nearly all values are
		_, err = s.text()
	case '{', '[':
		if !s.checks {
			return s.nest(found, depth)
		}
		err = s.value(depth)
	default:
		err = s.value(depth)
	}
	if s.checks {
		return err
	}
	found.valueEnd = uint32(s.pos)
	s.members = append(s.members, found)
	return err
}

// nest reads the array or object of a member; the members in it come behind it.
func (s *scanner) nest(found member, depth int) error {
	now := len(s.members)
	s.members = append(s.members, found)
	err := s.value(depth)
	s.members[now].valueEnd, s.members[now].inside = uint32(s.pos), uint32(len(s.members)-now-1)
	return err
}

func (s *scanner) array(depth int) error {
	if depth >= s.depthMax {
		return &LimitError{Limit: Depth, Offset: s.pos}
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
