package schemas

import (
	"unicode/utf8"

	"github.com/mailstream/mailstream/schemas/jsonlex"
)

// depthMax bounds nesting, as encoding/json does.
const depthMax = 10_000

// scanner goes through one record from left to right: it is asked for what
// should come next and returns slices of the text.
type scanner struct {
	jsonlex.Lexer
	first   bool // no member of the present object or array was read yet
	scratch []byte
}

// reset starts on data. What the scanner returned before is no longer valid.
func (s *scanner) reset(data []byte) {
	s.Data, s.Pos, s.scratch = data, 0, s.scratch[:0]
}

// end returns nil when nothing but white space is left.
func (s *scanner) end() error {
	if s.Space(); s.Pos < len(s.Data) {
		return s.Fail(jsonlex.End)
	}
	return nil
}

// object enters an object.
func (s *scanner) object() error {
	if !s.Take('{') {
		return s.Fail(jsonlex.AnObject)
	}
	s.first = true
	return nil
}

// array enters an array.
func (s *scanner) array() error {
	if !s.Take('[') {
		return s.Fail(jsonlex.AnArray)
	}
	s.first = true
	return nil
}

// key moves to the next member of the object and returns its key. ok is false at
// the end of the object.
func (s *scanner) key() (key []byte, ok bool, err error) {
	if ok, err = s.next('}'); err != nil || !ok {
		return nil, false, err
	}
	key, err = s.name()
	return key, err == nil, err
}

// name reads the key of a member.
func (s *scanner) name() ([]byte, error) {
	key, err := s.text()
	if err == nil && !s.Take(':') {
		err = s.Fail(jsonlex.Colon)
	}
	return key, err
}

// element moves to the next element of the array. It is false at the end.
func (s *scanner) element() (bool, error) { return s.next(']') }

func (s *scanner) next(end byte) (bool, error) {
	first := s.first
	s.first = false
	switch {
	case !first && s.Take(','):
		return true, nil
	case s.Take(end):
		return false, nil
	case first:
		return true, nil
	default:
		return false, s.Fail(jsonlex.CommaOrEnd)
	}
}

// null skips a null and reports whether there was one.
func (s *scanner) null() bool {
	if s.Space(); s.Peek() != 'n' || s.Literal("null", jsonlex.Value) != nil {
		return false
	}
	return true
}

// boolean reads true or false.
func (s *scanner) boolean() (bool, error) {
	s.Space()
	switch s.Peek() {
	case 't':
		return true, s.Literal("true", jsonlex.Bool)
	case 'f':
		return false, s.Literal("false", jsonlex.Bool)
	}
	return false, s.Fail(jsonlex.Bool)
}

// integer reads an integer in [0, most].
func (s *scanner) integer(most int) (int, error) {
	s.Space()
	start := s.Pos
	if err := s.Number(); err != nil {
		return 0, err
	}
	n := 0
	for _, c := range s.Data[start:s.Pos] {
		if n = n*10 + int(c-'0'); c < '0' || c > '9' || n > most {
			s.Pos = start
			return 0, s.Fail(jsonlex.Integer)
		}
	}
	return n, nil
}

// raw skips one value, which is in depth open arrays and objects, and returns
// its bytes as they are in the text.
func (s *scanner) raw(depth int) ([]byte, error) {
	s.Space()
	start := s.Pos
	if err := s.Skip(depth, depthMax); err != nil {
		return nil, err
	}
	return s.Data[start:s.Pos:s.Pos], nil
}

// text reads a string and returns its value. Bytes that are not UTF-8 become
// U+FFFD.
func (s *scanner) text() ([]byte, error) {
	s.Space()
	start := s.Pos + 1
	form, err := s.String()
	if err != nil {
		return nil, err
	}
	inner := s.Data[start : s.Pos-1 : s.Pos-1]
	if form == 0 || form == jsonlex.High && utf8.Valid(inner) {
		return inner, nil
	}
	return s.value(inner, form), nil
}

// value returns the value of a string. It is in scratch, which only grows until
// the next reset; a slice that was returned stays valid when scratch moves.
func (s *scanner) value(inner []byte, form jsonlex.Form) []byte {
	start := len(s.scratch)
	if form&jsonlex.Escaped != 0 {
		s.scratch = jsonlex.AppendUnescaped(s.scratch, inner)
		inner = s.scratch[start:len(s.scratch):len(s.scratch)]
		if utf8.Valid(inner) {
			return inner
		}
		start = len(s.scratch)
	}
	s.scratch = jsonlex.AppendValid(s.scratch, inner)
	return s.scratch[start:len(s.scratch):len(s.scratch)]
}
