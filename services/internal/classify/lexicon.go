package classify

import (
	"bytes"
	"slices"
	"strings"
)

// symbol names a word or a class of words in a phrase.
type symbol uint16

// The symbols that are not words.
const (
	noSymbol  symbol = iota
	anAddress        // "@" in a phrase: a mail address of the reply
	firstSymbol
)

// lexicon finds the symbols of a word: the word itself and each class it is in.
// It is an open hash table that is full at most to a half, so that the many words
// no phrase knows cost one probe.
type lexicon struct {
	slots []slot
	words []lexWord // slot.word is an index into it, plus one
	ids   map[string]int
	next  symbol
}

type slot struct {
	hash uint32
	word uint32
}

type lexWord struct {
	text                       string
	syms                       []symbol
	mask                       uint64            // of syms
	starts                     [rootsMax][]int32 // nodes behind the roots
	stop                       bool              // carries no meaning, in no phrase and no reply
	denies, sends, ours, owned bool              // of the classes that the search itself looks at
}

func newLexicon() *lexicon {
	return &lexicon{ids: map[string]int{}, next: firstSymbol}
}

// word returns the entry of text, made when it is new.
func (l *lexicon) word(text string) *lexWord {
	if i, ok := l.ids[text]; ok {
		return &l.words[i]
	}
	l.ids[text] = len(l.words)
	l.words = append(l.words, lexWord{text: text})
	return &l.words[len(l.words)-1]
}

// own returns the symbol of the word itself.
func (l *lexicon) own(text string) symbol {
	w := l.word(text)
	if len(w.syms) == 0 || w.syms[0] >= symbol(classSymbols) {
		w.syms = append([]symbol{l.next}, w.syms...)
		l.next++
	}
	return w.syms[0]
}

// classSymbols is where the symbols of classes begin.
const classSymbols = 1 << 15

// freeze builds the table; words are only looked up from then on.
func (l *lexicon) freeze() {
	for i := range l.words { // a plural is what its singular is
		w := &l.words[i]
		one, ok := l.ids[strings.TrimSuffix(w.text, "s")]
		if !ok || one == i || w.stop || len(w.text) <= pluralBytesMin {
			continue
		}
		for _, sym := range l.words[one].syms {
			if !slices.Contains(w.syms, sym) {
				w.syms = append(w.syms, sym)
			}
		}
	}
	size := 1
	for size < 2*len(l.words)+2 {
		size *= 2
	}
	l.slots = make([]slot, size)
	for i := range l.words {
		h := hash(l.words[i].text)
		at := int(h) & (size - 1)
		for l.slots[at].word != 0 {
			at = (at + 1) & (size - 1)
		}
		l.slots[at] = slot{hash: h, word: uint32(i + 1)}
	}
}

// find returns the entry of a word of a reply, nil when no phrase knows it. What
// has digits is also looked up by its shape, "rl######"; the last s of a plural
// may be missing in the phrases.
func (l *lexicon) find(word []byte) *lexWord {
	if w := l.get(word); w != nil {
		return w
	}
	if bytes.ContainsAny(word, "0123456789") {
		var shape [wordBytesMax]byte
		for i, c := range word {
			if shape[i] = c; isDigit(c) {
				shape[i] = '#'
			}
		}
		return l.get(shape[:len(word)])
	}
	if last := len(word) - 1; last >= pluralBytesMin && word[last] == 's' {
		return l.get(word[:last])
	}
	return nil
}

// pluralBytesMin keeps "as" and "this" from being plurals.
const pluralBytesMin = 4

func (l *lexicon) get(word []byte) *lexWord {
	h := hash(word)
	mask := len(l.slots) - 1
	for at := int(h) & mask; l.slots[at].word != 0; at = (at + 1) & mask {
		if s := l.slots[at]; s.hash == h && l.words[s.word-1].text == string(word) {
			return &l.words[s.word-1]
		}
	}
	return nil
}

// hash is FNV-1a.
func hash[T string | []byte](s T) uint32 {
	h := uint32(2166136261)
	for i := range len(s) {
		h = (h ^ uint32(s[i])) * 16777619
	}
	return h
}
