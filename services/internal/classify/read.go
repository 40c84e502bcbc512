package classify

import (
	"unicode"
	"unicode/utf8"
)

// Limits of what is read of one reply.
const (
	// replyBytesMax: the reason is in its first line or two; RFC 5321, section
	// 4.5.3.1.5 allows 512 bytes a line.
	replyBytesMax = 2048
	// tokensMax words hold any reply that people wrote; what is longer repeats itself.
	tokensMax = 256
	// wordBytesMax: no word of a phrase is longer.
	wordBytesMax = 32
)

// token is one word of a reply.
type token struct {
	word     *lexWord // nil: no phrase has it
	from, to uint16   // bytes of the reply
	marks    marks
}

// marks say where and how a token occurs in its reply.
type marks uint8

const (
	inHost  marks = 1 << iota // of a host name or URL: only signatures look there
	opens                     // the first of its clause
	aNumber                   // may be passed over
	address                   // a mail address, which may be passed over
)

// free says that a phrase may pass over the token as if it were not there: "user
// <ana@example.com> unknown", the code at the start of each line.
func (t *token) free() bool { return t.marks&(aNumber|address|inHost) != 0 }

// reading is a reply as the phrases want it: words in lower case without accents,
// apostrophes and stop words, cut at spaces, dashes, underscores and capitals
// ("RecipientNotFound"), each ideograph a separate word.
type reading struct {
	text   string
	lex    *lexicon
	tokens [tokensMax]token
	n      int
	opens  bool // the next token is the first of its clause
	word   [wordBytesMax]byte
	len    int
	heard  *[]string // every word, when phrases are read
}

func (r *reading) read(lex *lexicon, text string) {
	r.lex, r.text, r.opens = lex, text, true
	for i := 0; i < len(text) && r.n < tokensMax; {
		switch c := text[i]; {
		case c == '.':
			end := i + 1
			for end < len(text) && text[end] == '.' {
				end++
			}
			r.opens = r.opens || end == i+1 // "<ana@example.com>... User unknown" is one clause
			i = end
		case c == ';' || c == '!' || c == '?':
			r.opens = true
			i++
		case isWord(c) || c >= utf8.RuneSelf || c == '/' && i+1 < len(text) && text[i+1] == '/':
			i = r.chunk(i)
		default:
			i++
		}
	}
}

// chunk reads what is at i: an address, a URL, a host name, a number or a word.
// It returns where it ends.
func (r *reading) chunk(i int) int {
	end, at := i, -1
	url := r.text[i] == '/' || hasPrefixFold(r.text[i:], "www.")
	dots := false
scan:
	for ; end < len(r.text); end++ {
		switch what := chunkByte[r.text[end]]; what {
		case inChunk:
		case endsChunk:
			break scan
		case '@':
			if at < 0 {
				at = end
			}
		case '.':
			dots = true
		case ':':
			if end+2 < len(r.text) && r.text[end+1] == '/' && r.text[end+2] == '/' {
				url = at < 0
			} else if at < 0 && !url {
				break scan // "unknown:user@example.com" is two things
			}
		}
	}
	switch {
	case url:
		r.host(i, end)
		return end
	case at >= 0:
		end = endOfHost(r.text, at+1)
		r.put(token{from: uint16(i), to: uint16(end), marks: address})
		return end
	case isDigit(r.text[i]):
		return r.digits(i, end)
	}
	if dots {
		if stop := hostAt(r.text, i, end); stop > 0 && !r.twoSentences(i, stop) {
			if stop < end && r.text[stop] == '/' {
				stop = end
			}
			r.host(i, stop)
			return stop
		}
	}
	return r.letters(i, end)
}

// chunkByte says what a byte means to chunk: inChunk, endsChunk or itself.
var chunkByte = func() (table [256]byte) {
	for _, c := range []byte(" \t\r\n<>()[]{}\"|,;*`") {
		table[c] = endsChunk
	}
	for _, c := range []byte("@.:") {
		table[c] = c
	}
	return table
}()

const (
	inChunk byte = iota
	endsChunk
)

func hasPrefixFold(s, lower string) bool {
	if len(s) < len(lower) {
		return false
	}
	for i := range len(lower) {
		if s[i]|0x20 != lower[i]|0x20 {
			return false
		}
	}
	return true
}

// endOfHost returns the index behind the host name at i. A dot at its end is not
// of it: "ana@example.com...User unknown".
func endOfHost(text string, i int) int {
	for i < len(text) && (isWord(text[i]) || text[i] == '-' || text[i] == '.' && i+1 < len(text) && isWord(text[i+1])) {
		i++
	}
	return i
}

// hostAt returns the end of the host name at i, 0 where there is none. A capital
// behind the dot starts a sentence: "User unknown.Please check".
func hostAt(text string, i, end int) int {
	stop := i
	dots := false
	for ; stop < end; stop++ {
		c := text[stop]
		if c == '.' {
			if stop+1 >= end || !isWord(text[stop+1]) || text[stop+1] >= 'A' && text[stop+1] <= 'Z' {
				break
			}
			dots = true
		} else if c != '-' && (!isWord(c) || c == '@') {
			break
		}
	}
	if !dots {
		return 0
	}
	return stop
}

// twoSentences says that the one dot between i and end is a full stop without a
// blank behind it: both sides are words of phrases.
func (r *reading) twoSentences(i, end int) bool {
	dot := -1
	for k := i; k < end; k++ {
		if r.text[k] == '.' {
			if dot >= 0 {
				return false
			}
			dot = k
		}
	}
	return dot > 0 && r.known(i, dot) && r.known(dot+1, end)
}

func (r *reading) known(from, to int) bool {
	r.len = 0
	for i := from; i < to; i++ {
		r.push(lower(r.text[i]))
	}
	return r.lex.get(r.word[:r.len]) != nil
}

// host puts the words of a host name or URL.
func (r *reading) host(i, end int) {
	for i < end {
		for i < end && !isWord(r.text[i]) {
			i++
		}
		from := i
		for r.len = 0; i < end && isWord(r.text[i]) && r.text[i] != '_'; i++ {
			r.push(lower(r.text[i]))
		}
		if i == from {
			i++
			continue
		}
		r.flush(from, i, inHost)
	}
}

// digits passes over codes and IP addresses; a number that a phrase knows is a
// word of it ("SC-001"), and "4ever" is a word.
func (r *reading) digits(i, end int) int {
	stop := i
	for stop < end && (isDigit(r.text[stop]) || r.text[stop] == '.') {
		stop++
	}
	if stop < end && (isWord(r.text[stop]) && r.text[stop] != '_') && r.text[stop-1] != '.' {
		return r.letters(i, end)
	}
	r.len = 0
	for k := i; k < stop && r.text[k] != '.'; k++ {
		r.push(r.text[k])
	}
	if r.heard == nil && r.lex.get(r.word[:r.len]) == nil {
		r.len = 0
	}
	r.flush(i, stop, aNumber)
	return stop
}

// letters reads one word.
func (r *reading) letters(i, end int) int {
	from := i
	r.len = 0
	for i < len(r.text) && (i < end || r.softBreak(i) > 0) {
		c := r.text[i]
		switch {
		case c >= 'A' && c <= 'Z':
			if i > from && r.text[i-1] >= 'a' && r.text[i-1] <= 'z' && r.len > 1 {
				r.flush(from, i, 0) // RecipientNotFound
				from = i
			}
			r.push(lower(c))
			i++
		case c >= 'a' && c <= 'z' || isDigit(c):
			r.push(c)
			i++
		case c == '\'':
			if next := r.apostrophe(i, 1); next > 0 {
				i = next
				continue
			}
			r.flush(from, i, 0)
			return i + 1
		case c == '=' && r.softBreak(i) > 0:
			i += r.softBreak(i)
			end = max(end, wordEnd(r.text, i))
		case c >= utf8.RuneSelf:
			size, done := r.rune(i, from)
			if done {
				return i + size
			}
			i += size
		default:
			r.flush(from, i, 0)
			if c == '.' || c == ';' || c == '!' || c == '?' {
				return i // read knows what it means
			}
			return i + 1
		}
	}
	r.flush(from, i, 0)
	return i
}

// softBreak returns how many bytes the line break of quoted-printable at i has
// (RFC 2045, section 6.7), 0 where there is none.
func (r *reading) softBreak(i int) int {
	switch {
	case r.text[i] != '=' || i+1 >= len(r.text):
		return 0
	case r.text[i+1] == '\n':
		return 2
	case r.text[i+1] == '\r' && i+2 < len(r.text) && r.text[i+2] == '\n':
		return 3
	default:
		return 0
	}
}

func wordEnd(text string, i int) int {
	for i < len(text) && isWord(text[i]) {
		i++
	}
	return i
}

// apostrophe returns where a word goes on behind the apostrophe at i, size bytes
// long, 0 where it ends: "doesn't" is one word, "n'existe" two, and "recipient's"
// is "recipient".
func (r *reading) apostrophe(i, size int) int {
	next := i + size
	if r.len == 0 || next >= len(r.text) || !isWord(r.text[next]) {
		return 0
	}
	if lower(r.text[next]) == 's' && (next+1 == len(r.text) || !isWord(r.text[next+1])) {
		return 0 // and "s" is a stop word
	}
	if r.len <= 2 {
		return 0
	}
	return next
}

// rune reads what is not ASCII. done says that the word ends with it.
func (r *reading) rune(i, from int) (size int, done bool) {
	c, size := utf8.DecodeRuneInString(r.text[i:])
	switch {
	case c == '\u2019' || c == '\u2018' || c == '\u02bc':
		if next := r.apostrophe(i, size); next > 0 {
			return size, false
		}
		r.flush(from, i, 0)
		return size, true
	case c >= 0xff01 && c <= 0xff5e: // full width
		c -= 0xfee0
		if c >= utf8.RuneSelf || !isWord(byte(c)) {
			r.flush(from, i, 0)
			return size, true
		}
		r.push(lower(byte(c)))
		return size, false
	case c >= 0x2e80: // ideographs and kana
		r.flush(from, i, 0)
		r.pushRune(c)
		r.flush(i, i+size, 0)
		return size, true
	case c >= 0xc0 && int(c-0xc0) < len(plainLatin):
		r.push(plainLatin[c-0xc0])
		return size, false
	case unicode.IsLetter(c):
		r.pushRune(unicode.ToLower(c))
		return size, false
	case unicode.Is(unicode.Mn, c): // the accent of a decomposed letter
		return size, false
	default:
		r.flush(from, i, 0)
		return size, true
	}
}

// plainLatin are the letters from U+00C0 to U+017F without their accents.
const plainLatin = "aaaaaaaceeeeiiiidnooooo ouuuuypsaaaaaaaceeeeiiiidnooooo ouuuuypy" +
	"aaaaaaccccccccddddeeeeeeeeeegggggggghhhhiiiiiiiiiiiijjkkklllllllllln" +
	"nnnnnnnnoooooooorrrrrrssssssssttttttuuuuuuuuuuuuwwyyyzzzzzzs"

func (r *reading) push(c byte) {
	if r.len < wordBytesMax {
		r.word[r.len] = c
		r.len++
	}
}

func (r *reading) pushRune(c rune) {
	if r.len+utf8.UTFMax <= wordBytesMax {
		r.len += len(utf8.AppendRune(r.word[:r.len], c)) - r.len
	}
}

// flush puts the collected word as a token.
func (r *reading) flush(from, to int, m marks) {
	if r.len == 0 {
		return
	}
	w := r.lex.find(r.word[:r.len])
	if r.heard != nil {
		*r.heard = append(*r.heard, string(r.word[:r.len]))
	}
	r.len = 0
	if w != nil && w.stop {
		return
	}
	r.put(token{word: w, from: uint16(from), to: uint16(to), marks: m})
}

func (r *reading) put(t token) {
	if r.n == tokensMax {
		return
	}
	if r.opens && !t.free() {
		t.marks |= opens
		r.opens = false
	}
	r.tokens[r.n] = t
	r.n++
}

func lower(c byte) byte {
	if c >= 'A' && c <= 'Z' {
		return c + ('a' - 'A')
	}
	return c
}
