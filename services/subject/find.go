package subject

import (
	"bytes"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/idna"
	"golang.org/x/text/unicode/norm"

	"github.com/mailstream/mailstream/services/internal/address"
)

// Finder finds one address in bytes of any form: plain, in either case and any Unicode
// normalisation, within a return path, and in whatever forms knows.
type Finder struct {
	mailbox string // canonical
	plain   [][]byte
	paths   [][]byte // within the local part of a return path
}

// NewFinder returns a finder of a canonical address.
func NewFinder(canonical string) Finder {
	f := Finder{mailbox: address.Mailbox(canonical)}
	for _, s := range address.Spellings(canonical) {
		local, domain := s[:strings.LastIndexByte(s, '@')], address.Domain(s)
		domains := []string{domain}
		if readable, err := idna.ToUnicode(domain); err == nil && readable != domain {
			domains = append(domains, strings.ToLower(readable))
		}
		for _, domain := range domains {
			f.plain = append(f.plain, []byte(local+"@"+domain))
			if !strings.HasPrefix(local, `"`) {
				f.plain = append(f.plain, []byte(`"`+local+`"@`+domain))
			}
			f.paths = append(f.paths, []byte(local+"="+domain+"@"), []byte("="+domain+"="+local+"@")) // VERP, SRS
		}
	}
	return f
}

// In reports whether text holds the address.
func (f Finder) In(text []byte) bool {
	for form := range forms(text) {
		if f.in(folded(form)) {
			return true
		}
	}
	return false
}

// folded is text as Finder looks at it.
func folded(text []byte) []byte { return norm.NFC.Bytes(bytes.ToLower(text)) }

// in looks for the address alone: in joana@example.com there is no ana@example.com.
func (f Finder) in(folded []byte) bool {
	for _, s := range f.plain {
		if stands(folded, s, continues, goesOn) {
			return true
		}
	}
	for _, s := range f.paths {
		if stands(folded, s, continuesPath, func(_, _ []byte) bool { return false }) {
			return true
		}
	}
	return false
}

// stands reports whether text holds word where neither side belongs to it.
func stands(text, word []byte, left, right func(side, word []byte) bool) bool {
	for from := 0; ; from++ {
		i := bytes.Index(text[from:], word)
		if i < 0 {
			return false
		}
		from += i
		if !left(text[:from], word) && !right(text[from+len(word):], word) {
			return true
		}
	}
}

// continues reports whether a local part goes on to the left. Of the signs that a local
// part may have, those count that people have in theirs: others stand around addresses.
func continues(before, word []byte) bool {
	if n := len(before); n > 1 && before[n-1] == '\'' { // o'neil, and not rcpt='neil
		before = before[:n-1]
	} else if n > 0 && bytes.IndexByte([]byte(".-+_"), before[n-1]) >= 0 {
		return true
	}
	r, _ := utf8.DecodeLastRune(before)
	first, _ := utf8.DecodeRune(word)
	return belongs(r, first)
}

// continuesPath is continues in a return path, where a sign stands before the address.
func continuesPath(before, word []byte) bool {
	r, _ := utf8.DecodeLastRune(before)
	first, _ := utf8.DecodeRune(word)
	return first != '=' && (belongs(r, first) || r == '.' || r == '_')
}

// goesOn reports whether a domain goes on to the right.
func goesOn(after, word []byte) bool {
	if len(after) > 1 && after[0] == '.' {
		after = after[1:]
	}
	r, _ := utf8.DecodeRune(after)
	last, _ := utf8.DecodeLastRune(word)
	return r == '-' || belongs(r, last)
}

// unspaced are scripts that are written without spaces around an address.
var unspaced = []*unicode.RangeTable{
	unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Hangul, unicode.Thai, unicode.Lao, unicode.Khmer, unicode.Myanmar,
}

// belongs reports whether r is part of the word beside it, which begins or ends with edge.
func belongs(r, edge rune) bool {
	if r == utf8.RuneError {
		return false
	}
	return (unicode.IsLetter(r) || unicode.IsMark(r) || unicode.IsNumber(r)) && (edge >= utf8.RuneSelf || !unicode.In(r, unspaced...))
}
