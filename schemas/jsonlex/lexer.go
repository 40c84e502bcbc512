// Package jsonlex reads the tokens of a JSON text (RFC 8259): white space,
// strings, numbers and literals, and whole values that are passed over. It does
// not build a tree and does not allocate, but for the value of a string that has
// escapes.
//
// It accepts what encoding/json accepts, and its strings are the same; a fuzz
// test compares both. Two readers are built on it: the reader of event records
// in package schemas, which goes from field to field, and the index of a whole
// text in Mailstream's services. That is why it is exported: the services and
// the contract are different modules. It is no part of the contract, and its
// functions may change in any version. It does not write JSON.
package jsonlex

import "strconv"

// Want is what a text should have had where it stops being JSON.
type Want string

// What a Lexer wants.
const (
	End          Want = "the end"
	Value        Want = "a value"
	AnObject     Want = "an object"
	AnArray      Want = "an array"
	AString      Want = "a string"
	ClosingQuote Want = "a closing quote"
	Escape       Want = "an escape"
	NoControl    Want = "no control character"
	Bool         Want = "true or false"
	Number       Want = "a number"
	Digit        Want = "a digit"
	Integer      Want = "an integer in range"
	Colon        Want = "a colon"
	CommaOrEnd   Want = "a comma or the end"
	LessNesting  Want = "less nesting"
)

// Error says where a text is not what was wanted.
type Error struct {
	Offset int // the first byte of the token at fault, from 0
	At     int // the byte that shows it: in an escape or a literal behind Offset
	Want   Want
}

// Error returns the message. It holds nothing of the text, which may be personal.
func (e *Error) Error() string {
	return "offset " + strconv.Itoa(e.Offset) + ": want " + string(e.Want)
}

// Lexer is a position in one text. The zero value is the start of an
// empty one. It is not safe for concurrent use.
type Lexer struct {
	Data []byte // must not change while it is read
	Pos  int    // of the next byte
}

// Fail returns the error that want does not come next.
func (l *Lexer) Fail(want Want) error { return &Error{Offset: l.Pos, At: l.Pos, Want: want} }

// Peek returns the next byte, 0 at the end: no token starts with it.
func (l *Lexer) Peek() byte {
	if l.Pos < len(l.Data) {
		return l.Data[l.Pos]
	}
	return 0
}

// Space skips white space. Mostly there is none, which is all that is inlined.
func (l *Lexer) Space() {
	if l.Pos < len(l.Data) && l.Data[l.Pos] <= ' ' {
		l.skipSpace()
	}
}

func (l *Lexer) skipSpace() {
	for l.Pos < len(l.Data) && IsSpace(l.Data[l.Pos]) {
		l.Pos++
	}
}

// IsSpace says whether c is white space between tokens.
func IsSpace(c byte) bool { return c <= ' ' && (c == ' ' || c == '\n' || c == '\r' || c == '\t') }

// Take skips white space and c, and says whether c was there.
func (l *Lexer) Take(c byte) bool {
	if l.Pos < len(l.Data) && l.Data[l.Pos] == c {
		l.Pos++
		return true
	}
	return l.takeAfterSpace(c)
}

func (l *Lexer) takeAfterSpace(c byte) bool {
	if l.Space(); l.Pos < len(l.Data) && l.Data[l.Pos] == c {
		l.Pos++
		return true
	}
	return false
}

// Literal moves over word, which is true, false or null.
func (l *Lexer) Literal(word string, want Want) error {
	for i := range len(word) {
		if l.Pos+i >= len(l.Data) || l.Data[l.Pos+i] != word[i] {
			return &Error{Offset: l.Pos, At: l.Pos + i, Want: want}
		}
	}
	l.Pos += len(word)
	return nil
}

// Number moves over a number: RFC 8259, section 6.
func (l *Lexer) Number() error {
	if l.Peek() == '-' {
		l.Pos++
	}
	if l.Peek() == '0' {
		l.Pos++
	} else if !l.digits() {
		return l.Fail(Number)
	}
	if l.Peek() == '.' {
		if l.Pos++; !l.digits() {
			return l.Fail(Digit)
		}
	}
	if c := l.Peek(); c == 'e' || c == 'E' {
		l.Pos++
		if c := l.Peek(); c == '+' || c == '-' {
			l.Pos++
		}
		if !l.digits() {
			return l.Fail(Digit)
		}
	}
	return nil
}

func (l *Lexer) digits() bool {
	i := l.Pos
	for i < len(l.Data) && l.Data[i]-'0' <= 9 {
		i++
	}
	moved := i > l.Pos
	l.Pos = i
	return moved
}

// Scalar moves over a value that is neither an array nor an object, without white space
// in front of it.
func (l *Lexer) Scalar() error {
	switch c := l.Peek(); {
	case c == '"':
		_, err := l.String()
		return err
	case c == '-' || c-'0' <= 9:
		return l.Number()
	case c == 't':
		return l.Literal("true", Bool)
	case c == 'f':
		return l.Literal("false", Bool)
	case c == 'n':
		return l.Literal("null", Value)
	}
	return l.Fail(Value)
}

// Skip moves over a value of any kind below depth open arrays and objects, of
// which there may be at most depthMax.
func (l *Lexer) Skip(depth, depthMax int) error {
	l.Space()
	c := l.Peek()
	if c != '{' && c != '[' {
		return l.Scalar()
	}
	if depth >= depthMax {
		return l.Fail(LessNesting)
	}
	l.Pos++
	if c == '{' {
		return l.skipMembers(depth+1, depthMax)
	}
	return l.skipElements(depth+1, depthMax)
}

// skipMembers moves to behind an object that was entered.
func (l *Lexer) skipMembers(depth, depthMax int) error {
	if l.Take('}') {
		return nil
	}
	for {
		l.Space()
		if _, err := l.String(); err != nil {
			return err
		}
		if !l.Take(':') {
			return l.Fail(Colon)
		}
		if err := l.Skip(depth, depthMax); err != nil {
			return err
		}
		if l.Take(',') {
			continue
		}
		if !l.Take('}') {
			return l.Fail(CommaOrEnd)
		}
		return nil
	}
}

// skipElements moves to behind an array that was entered.
func (l *Lexer) skipElements(depth, depthMax int) error {
	if l.Take(']') {
		return nil
	}
	for {
		if err := l.Skip(depth, depthMax); err != nil {
			return err
		}
		if l.Take(',') {
			continue
		}
		if !l.Take(']') {
			return l.Fail(CommaOrEnd)
		}
		return nil
	}
}
