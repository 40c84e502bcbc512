// Package jsontext finds the parts of a JSON text without copying or changing
// them: a Document checks the whole text once and knows the byte offsets of its
// items and of the members of every object; Value walks text without one. The
// tokens are those of package jsonlex.
//
// It accepts what encoding/json accepts (a test and a fuzz test hold it to
// that): RFC 8259 with invalid UTF-8 tolerated inside strings. It builds no tree
// and allocates only for strings with escapes. Strings it returns share memory
// with the text, which therefore must not be changed afterwards.
package jsontext

import (
	"bytes"
	"math"
	"sort"
	"unsafe"

	"github.com/mailstream/mailstream/schemas/jsonlex"
)

// bom is the UTF-8 byte order mark, which RFC 8259 lets a reader ignore.
var bom = []byte("\xef\xbb\xbf")

// Document is a parsed text. The zero value is ready, and Parse may be called
// many times: it reuses its memory.
type Document struct {
	text    []byte
	array   bool
	items   []Value
	members []member // of all objects, in the order of the text
	firsts  []uint32 // where in members those of an item begin
	hint    int      // the member that was looked up last
}

// member is the position of one member of an object, in bytes from the start of
// the text. It has no pointer, so the garbage collector need not look at
// thousands of them.
type member struct {
	key, keyEnd     uint32 // between the quotes
	value, valueEnd uint32
	inside          uint32 // how many of the following members are inside its value
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
// itself when it is not one. The error is a *SyntaxError or a *LimitError, and d is
// empty then.
func (d *Document) Parse(data []byte, lim Limits) error {
	d.Reset()
	if len(data) > lim.most() {
		return &LimitError{Limit: Bytes, Offset: lim.most()}
	}
	d.text = data
	s := scanner{Lexer: jsonlex.Lexer{Data: data}, depthMax: lim.Depth, members: d.members}
	s.begin()
	var err error
	if s.Peek() == '[' {
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
		return fault(err, len(data))
	}
	return nil
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
// object. It uses the offset of v in the text, which is much quicker than to
// search the text.
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

// walk returns the walk from the member first up to the position end.
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

// offset returns the position of v in the text, one outside of it for a value of
// another text.
func (d *Document) offset(v Value) int {
	return int(uintptr(unsafe.Pointer(unsafe.SliceData(v))) - uintptr(unsafe.Pointer(unsafe.SliceData(d.text))))
}

// list reads the outermost array.
func (d *Document) list(s *scanner, lim Limits) error {
	s.Pos++
	s.Space()
	if s.Peek() == ']' {
		s.Pos++
		return nil
	}
	for n := 0; ; n++ {
		if n == lim.Items {
			return &LimitError{Limit: Items, Offset: s.Pos}
		}
		s.Space()
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
	start := s.Pos
	d.firsts = append(d.firsts, uint32(len(s.members)))
	err := s.value(depth)
	d.items = append(d.items, s.Data[start:s.Pos])
	return err
}

// scanner walks untrusted text and notes the positions of members.
type scanner struct {
	jsonlex.Lexer
	depthMax int
	members  []member
}

// begin goes to the first byte that counts.
func (s *scanner) begin() {
	if bytes.HasPrefix(s.Data, bom) {
		s.Pos = len(bom)
	}
	s.Space()
}

// end checks that nothing follows.
func (s *scanner) end() error {
	if s.Space(); s.Pos < len(s.Data) {
		return s.Fail(jsonlex.End)
	}
	return nil
}

// separator reads a comma, which says that more follows, or the closing byte.
func (s *scanner) separator(closing byte) (more bool, err error) {
	s.Space()
	switch s.Peek() {
	case ',':
		s.Pos++
		return true, nil
	case closing:
		s.Pos++
		return false, nil
	}
	return false, s.Fail(jsonlex.CommaOrEnd)
}

// value reads one value below depth open arrays and objects.
func (s *scanner) value(depth int) error {
	switch s.Peek() {
	case '{':
		return s.object(depth)
	case '[':
		return s.array(depth)
	}
	return s.Scalar()
}

// object reads an object below depth open arrays and objects, and notes the
// positions of its members.
func (s *scanner) object(depth int) error {
	if depth >= s.depthMax {
		return s.Fail(jsonlex.LessNesting)
	}
	s.Pos++
	s.Space()
	if s.Peek() == '}' {
		s.Pos++
		return nil
	}
	for {
		s.Space()
		if err := s.member(depth + 1); err != nil {
			return err
		}
		if s.Peek() == ',' {
			s.Pos++
			continue
		}
		if more, err := s.separator('}'); !more {
			return err
		}
	}
}

// member reads a member of an object, its value below depth open arrays and
// objects, and notes its position.
func (s *scanner) member(depth int) error {
	key := s.Pos
	form, err := s.String()
	if err != nil {
		return err
	}
	keyEnd := s.Pos - 1
	s.Space()
	if s.Peek() != ':' {
		return s.Fail(jsonlex.Colon)
	}
	s.Pos++
	s.Space()
	found := member{key: uint32(key + 1), keyEnd: uint32(keyEnd), value: uint32(s.Pos), escaped: form&jsonlex.Escaped != 0}
	switch s.Peek() {
	case '"': // what nearly all values are
		_, err = s.String()
	case '{', '[':
		return s.nest(found, depth)
	default:
		err = s.Scalar()
	}
	found.valueEnd = uint32(s.Pos)
	s.members = append(s.members, found)
	return err
}

// nest reads the array or object of a member; the members in it come behind it.
func (s *scanner) nest(found member, depth int) error {
	now := len(s.members)
	s.members = append(s.members, found)
	err := s.value(depth)
	s.members[now].valueEnd, s.members[now].inside = uint32(s.Pos), uint32(len(s.members)-now-1)
	return err
}

func (s *scanner) array(depth int) error {
	if depth >= s.depthMax {
		return s.Fail(jsonlex.LessNesting)
	}
	s.Pos++
	s.Space()
	if s.Peek() == ']' {
		s.Pos++
		return nil
	}
	for {
		s.Space()
		if err := s.value(depth + 1); err != nil {
			return err
		}
		if more, err := s.separator(']'); !more {
			return err
		}
	}
}
