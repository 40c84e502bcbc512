// Package sqltext finds the few things an HTTP endpoint must know about a piece
// of ClickHouse SQL before the engine sees it: where the one statement ends,
// which output format it asks for, and where the data of an INSERT begins.
//
// It guarantees that bytes after the beginning of the data are never looked at,
// so data may be binary, and that it terminates on any input. It does not
// validate SQL: whatever it does not understand is handed to the engine, whose
// parser gives the error message.
package sqltext

import (
	"bytes"
	"errors"
	"strings"
)

// Kind says how a statement has to be run.
type Kind uint8

// The kinds of statement.
const (
	Other  Kind = iota // DDL, SHOW, INSERT ... SELECT and the like
	Select             // SELECT, WITH or a parenthesised SELECT
	Insert             // INSERT whose data follow the statement
)

// ErrMultiple says that a second statement follows the first; ClickHouse's HTTP
// interface takes one a request.
var ErrMultiple = errors.New("multi-statements are not allowed")

// ErrFile says that the statement names a file of the client, which only the
// command line client can resolve.
var ErrFile = errors.New("INTO OUTFILE and FROM INFILE are not allowed over HTTP")

// formatValues is the format of INSERT ... VALUES.
const formatValues = "Values"

// Statement is one parsed statement. Its slices point into the parsed text.
type Statement struct {
	Kind Kind
	// Text is the statement without the semicolon, without the data of an INSERT.
	Text []byte
	// Format is the name after FORMAT; "Values" for INSERT ... VALUES; empty when
	// the statement names none.
	Format string
	// Data is the part of the parsed text that is data of an INSERT. More may
	// follow from wherever the text came from.
	Data []byte

	// insertAt is where FROM INFILE belongs, insertEnd where FORMAT or VALUES began.
	insertAt, insertEnd int
}

// FromFile returns the INSERT as a statement that reads its data from path
// instead: by column name, with defaults, exactly as the data would have been read.
// path must not contain quotes or backslashes.
func (s Statement) FromFile(path string) []byte {
	var b bytes.Buffer
	b.Grow(len(s.Text) + len(path) + 64)
	b.Write(s.Text[:s.insertAt])
	b.WriteString(" FROM INFILE '" + path + "' ")
	b.Write(s.Text[s.insertAt:s.insertEnd])
	b.WriteString(" FORMAT " + s.Format)
	return b.Bytes()
}

// Parse reads one statement from text. Errors are ErrMultiple and ErrFile.
func Parse(text []byte) (Statement, error) {
	s := &scanner{text: text}
	first := s.next()
	if s.word(first) == "INSERT" {
		st, found, err := parseInsert(s, first.start)
		if found || err != nil {
			return st, err
		}
	}
	s.pos = first.start
	return parsePlain(s)
}

// parsePlain reads a statement that has no data behind it.
func parsePlain(s *scanner) (Statement, error) {
	begin, end := s.pos, len(s.text)
	st := Statement{Kind: leadingKind(s.text[begin:])}
	depth, previous := 0, ""
	for {
		t := s.next()
		if t.kind == tokenEnd {
			break
		}
		if s.is(t, ';') {
			if !s.onlyBlank() {
				return Statement{}, ErrMultiple
			}
			end = t.start
			break
		}
		w := s.word(t)
		switch {
		case s.is(t, '('):
			depth++
		case s.is(t, ')'):
			depth--
		case depth != 0:
		case previous == "INTO" && w == "OUTFILE":
			return Statement{}, ErrFile
		case previous == "FORMAT" && t.isName() && s.endsQuery():
			st.Format = unquote(s.text[t.start:t.end])
		}
		previous = w
	}
	st.Text = withoutSync(bytes.TrimSpace(s.text[begin:end]))
	return st, nil
}

// namesFollow are the words of a DROP that a name follows: a table may be called sync.
var namesFollow = map[string]bool{"TABLE": true, "DATABASE": true, "VIEW": true, "DICTIONARY": true, "EXISTS": true, "TEMPORARY": true}

// withoutSync removes SYNC (or NO DELAY) from the end of a DROP. It means: return
// when the files are gone. The embedded engine removes files at its next start
// only, so it would wait for ever; the name is free without it.
func withoutSync(text []byte) []byte {
	s := &scanner{text: text}
	if s.word(s.next()) != "DROP" {
		return text
	}
	var last, beforeLast token
	for t := s.next(); t.kind != tokenEnd; t = s.next() {
		beforeLast, last = last, t
	}
	switch {
	case s.word(last) == "SYNC" && beforeLast.isName() && !namesFollow[s.word(beforeLast)]:
		return bytes.TrimSpace(text[:last.start])
	case s.word(last) == "DELAY" && s.word(beforeLast) == "NO":
		return bytes.TrimSpace(text[:beforeLast.start])
	}
	return text
}

// leadingKind distinguishes a query that returns the rows of a SELECT from
// everything else.
func leadingKind(text []byte) Kind {
	s := &scanner{text: text}
	t := s.next()
	for s.is(t, '(') {
		t = s.next()
	}
	switch s.word(t) {
	case "SELECT", "WITH", "FROM":
		return Select
	}
	return Other
}

// endsQuery reports, without moving, whether the following text can only come
// after a FORMAT clause. It distinguishes the clause from a column that is
// called format.
func (s *scanner) endsQuery() bool {
	mark := s.pos
	t := s.next()
	s.pos = mark
	return t.kind == tokenEnd || s.is(t, ';') || s.word(t) == "SETTINGS"
}

// onlyBlank reads to the end and reports whether only blanks and semicolons were left.
func (s *scanner) onlyBlank() bool {
	for {
		t := s.next()
		if t.kind == tokenEnd {
			return true
		}
		if !s.is(t, ';') {
			return false
		}
	}
}

// parseInsert reads behind the word INSERT. It reports false for an INSERT with
// a query: no data follow that.
func parseInsert(s *scanner, begin int) (Statement, bool, error) {
	s.skipTarget()
	settingsAt := -1
	for {
		t := s.next()
		if s.is(t, '(') {
			if s.skipParentheses() {
				return Statement{}, false, nil
			}
			continue
		}
		st := Statement{Kind: Insert, insertAt: t.start - begin, insertEnd: t.start - begin}
		switch s.word(t) {
		case "SETTINGS":
			settingsAt = t.start - begin
			continue
		case "FROM":
			if s.word(s.next()) == "INFILE" {
				return Statement{}, false, ErrFile
			}
			return Statement{}, false, nil
		case "SELECT", "WITH", "WATCH", "EXPLAIN":
			return Statement{}, false, nil
		case "VALUES":
			st.Format, st.Text, st.Data = formatValues, s.text[begin:t.end], s.text[t.end:]
		case "FORMAT":
			name := s.next()
			if !name.isName() {
				return Statement{}, false, nil
			}
			st.Format = unquote(s.text[name.start:name.end])
			st.Text, st.Data = s.text[begin:name.end], dataAfter(s.text[name.end:])
		default:
			if t.kind == tokenEnd || s.is(t, ';') {
				return Statement{}, false, nil
			}
			continue
		}
		if settingsAt >= 0 {
			st.insertAt = settingsAt
		}
		return st, true, nil
	}
}

// skipTarget moves behind INTO [TABLE] [FUNCTION] name, so that a table called
// format or values is not taken for the clause.
func (s *scanner) skipTarget() {
	t := s.next()
	for _, keyword := range []string{"INTO", "TABLE", "FUNCTION"} {
		if s.word(t) != keyword {
			continue
		}
		mark := s.pos
		name := s.next()
		if !name.isName() {
			s.pos = mark
			break
		}
		t = name
	}
	for {
		mark := s.pos
		if !s.is(s.next(), '.') {
			s.pos = mark
			return
		}
		s.next()
	}
}

// skipParentheses moves behind the parenthesis that was just opened and reports
// whether it holds a query rather than a list of columns or arguments.
func (s *scanner) skipParentheses() (query bool) {
	t := s.next()
	switch s.word(t) {
	case "SELECT", "WITH":
		query = true
	}
	for depth := 1; t.kind != tokenEnd; t = s.next() {
		switch {
		case s.is(t, '('):
			depth++
		case s.is(t, ')'):
			depth--
		}
		if depth == 0 {
			break
		}
	}
	return query
}

// dataAfter returns the data that follow FORMAT name: blanks up to the end of
// that line, and the line's end, belong to the statement.
func dataAfter(rest []byte) []byte {
	for len(rest) > 0 && (rest[0] == ' ' || rest[0] == '\t' || rest[0] == '\f') {
		rest = rest[1:]
	}
	if len(rest) > 0 && rest[0] == '\r' {
		rest = rest[1:]
	}
	if len(rest) > 0 && rest[0] == '\n' {
		rest = rest[1:]
	}
	return rest
}

// word returns the upper-cased bare word of t, or "" for any other token.
func (s *scanner) word(t token) string {
	if t.kind != tokenWord {
		return ""
	}
	return strings.ToUpper(string(s.text[t.start:t.end]))
}

// is reports whether t is the punctuation mark c.
func (s *scanner) is(t token, c byte) bool {
	return t.kind == tokenPunct && s.text[t.start] == c
}

func (t token) isName() bool { return t.kind == tokenWord || t.kind == tokenQuoted }

// unquote returns a format's name without the quotes an identifier may have.
func unquote(name []byte) string {
	return strings.Trim(string(name), "`\"")
}

// Words returns up to n words at the beginning of text, in capitals; it ends at
// the first thing that is not a bare word.
func Words(text []byte, n int) []string {
	s := &scanner{text: text}
	var words []string
	for len(words) < n {
		word := s.word(s.next())
		if word == "" {
			break
		}
		words = append(words, word)
	}
	return words
}

// ReplaceName returns text with expression in parentheses for every identifier
// that is name, bare or quoted.
func ReplaceName(text []byte, name, expression string) []byte {
	s := &scanner{text: text}
	var out []byte
	copied := 0
	for t := s.next(); t.kind != tokenEnd; t = s.next() {
		if t.isName() && unquote(text[t.start:t.end]) == name {
			out = append(append(out, text[copied:t.start]...), "("+expression+")"...)
			copied = t.end
		}
	}
	return append(out, text[copied:]...)
}
