package sqltext

import (
	"bytes"
)

type tokenKind uint8

const (
	tokenEnd    tokenKind = iota
	tokenWord             // bare identifier, keyword or number
	tokenQuoted           // `identifier` or "identifier"
	tokenString           // 'literal' or $tag$heredoc$tag$
	tokenPunct            // one byte of anything else
)

// token is one lexical element; text[start:end] are its bytes.
type token struct {
	kind       tokenKind
	start, end int
}

// scanner yields the tokens of ClickHouse SQL. It never fails: an unterminated
// literal or comment extends to the end of the text, and the engine's own parser
// reports it.
type scanner struct {
	text []byte
	pos  int
}

// next returns the token at the current position and moves behind it.
func (s *scanner) next() token {
	s.skipBlank()
	start := s.pos
	if start >= len(s.text) {
		return token{kind: tokenEnd, start: len(s.text), end: len(s.text)}
	}
	c := s.text[start]
	switch {
	case isWordByte(c):
		s.pos++
		for s.pos < len(s.text) && (isWordByte(s.text[s.pos]) || isDigit(s.text[s.pos])) {
			s.pos++
		}
		return token{tokenWord, start, s.pos}
	case isDigit(c):
		for s.pos < len(s.text) && (isWordByte(s.text[s.pos]) || isDigit(s.text[s.pos])) {
			s.pos++
		}
		return token{tokenWord, start, s.pos}
	case c == '\'':
		s.skipQuoted(c)
		return token{tokenString, start, s.pos}
	case c == '`' || c == '"':
		s.skipQuoted(c)
		return token{tokenQuoted, start, s.pos}
	case c == '$':
		if s.skipHeredoc() {
			return token{tokenString, start, s.pos}
		}
	}
	s.pos = start + 1
	return token{tokenPunct, start, s.pos}
}

// skipBlank moves over white space and comments.
func (s *scanner) skipBlank() {
	for s.pos < len(s.text) {
		rest := s.text[s.pos:]
		switch {
		case isSpace(rest[0]):
			s.pos++
		case bytes.HasPrefix(rest, []byte("--")), bytes.HasPrefix(rest, []byte("#!")), bytes.HasPrefix(rest, []byte("# ")):
			s.skipPast("\n")
		case bytes.HasPrefix(rest, []byte("/*")):
			s.pos += 2
			s.skipPast("*/")
		default:
			return
		}
	}
}

// skipPast moves behind the next mark, or to the end when there is none.
func (s *scanner) skipPast(mark string) {
	i := bytes.Index(s.text[s.pos:], []byte(mark))
	if i < 0 {
		s.pos = len(s.text)
		return
	}
	s.pos += i + len(mark)
}

// skipQuoted moves behind a literal whose quote is doubled or escaped by a
// backslash inside.
func (s *scanner) skipQuoted(quote byte) {
	s.pos++
	for s.pos < len(s.text) {
		switch s.text[s.pos] {
		case '\\':
			s.pos += 2
		case quote:
			s.pos++
			if s.pos < len(s.text) && s.text[s.pos] == quote {
				s.pos++
				continue
			}
			return
		default:
			s.pos++
		}
	}
	s.pos = len(s.text)
}

// skipHeredoc moves behind $tag$...$tag$ and reports whether there was one.
func (s *scanner) skipHeredoc() bool {
	i := s.pos + 1
	for i < len(s.text) && (isWordByte(s.text[i]) || isDigit(s.text[i])) {
		i++
	}
	if i >= len(s.text) || s.text[i] != '$' {
		return false
	}
	tag := s.text[s.pos : i+1]
	end := bytes.Index(s.text[i+1:], tag)
	if end < 0 {
		return false
	}
	s.pos = i + 1 + end + len(tag)
	return true
}

func isSpace(c byte) bool {
	return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f' || c == '\v'
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

func isWordByte(c byte) bool {
	return c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}
