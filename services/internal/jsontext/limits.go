package jsontext

import (
	"errors"
	"strconv"

	"github.com/mailstream/mailstream/schemas/jsonlex"
)

// SyntaxError says where a text stops being JSON, and never quotes it.
type SyntaxError struct {
	Offset int    // bytes before the fault
	What   string // a constant phrase
}

// Error returns the fault with its offset.
func (e *SyntaxError) Error() string { return e.What + " at byte " + strconv.Itoa(e.Offset) }

// Limit is which one of the limits a text passed.
type Limit string

// The limits.
const (
	Depth  Limit = "too deep"
	Items  Limit = "too many items"
	Fields Limit = "too many fields" // of a form
	Bytes  Limit = "too long"
)

// LimitError says that a text is well-formed as far as it was read, but more of
// it than allowed.
type LimitError struct {
	Limit  Limit
	Offset int // where it was passed
}

// Error returns the limit with the offset where it was passed.
func (e *LimitError) Error() string { return string(e.Limit) + " at byte " + strconv.Itoa(e.Offset) }

// Limits bound one text. Depth and Items must be above 0.
type Limits struct {
	Depth int // arrays and objects inside each other
	Items int // elements of the outermost array
	Bytes int // of the text; 0 for what a member's offset can say
}

// most is how many bytes a text may have.
func (l Limits) most() int {
	if l.Bytes > 0 {
		return l.Bytes
	}
	return textBytesMax
}

// Check checks that data is one JSON value, as Parse does, and returns it without
// noting the positions of its members: it takes no memory, however many there
// are. Members of the Value finds them in the text.
func Check(data []byte, lim Limits) (Value, error) {
	if len(data) > lim.most() {
		return nil, &LimitError{Limit: Bytes, Offset: lim.most()}
	}
	s := scanner{Lexer: jsonlex.Lexer{Data: data}}
	s.begin()
	start := s.Pos
	err := s.Skip(0, lim.Depth)
	value := Value(data[start:s.Pos])
	if err == nil {
		err = s.end()
	}
	if err != nil {
		return nil, fault(err, len(data))
	}
	return value, nil
}

// fault returns the fault of a text of size bytes in the words that senders and
// dead letters see.
func fault(err error, size int) error {
	e, ok := errors.AsType[*jsonlex.Error](err)
	switch {
	case !ok:
		return err
	case e.Want == jsonlex.LessNesting:
		return &LimitError{Limit: Depth, Offset: e.At}
	case e.Want == jsonlex.End:
		return &SyntaxError{Offset: e.At, What: "unexpected text after the value"}
	case e.Want == jsonlex.NoControl:
		return &SyntaxError{Offset: e.At, What: "control character in a string"}
	case e.At >= size:
		return &SyntaxError{Offset: e.At, What: "unexpected end"}
	default:
		return &SyntaxError{Offset: e.At, What: "unexpected byte"}
	}
}
