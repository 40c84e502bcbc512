package classify

import (
	"fmt"
	"strings"
)

// Classes that the search itself looks at.
const (
	denials     = "not"     // negate the phrase directly after them
	senders     = "sends"   // what is said beside them is said of the sender
	possessives = "yours"   // the same in front of one of
	possessions = "belongs" // "your domain", "From header"
)

// Limits of the phrases and of the search for them.
const (
	// gapWordsMax is how many words ".." may pass over: "the email account [that you
	// tried to] reach does not exist".
	gapWordsMax = 6
	// shortGapWordsMax is how many "~" may pass over: "exceeds [our fixed] size".
	shortGapWordsMax = 2
	// phrasesMax is how many spellings the alternatives of one phrase may make.
	phrasesMax = 8192
	// stepsMax bounds the search in one reply: five times what the wordiest reply of
	// the test data needs, so that hostile text costs no more.
	stepsMax = 20_000
	// matchesMax phrases of one reply are weighed; the first ones speak of the reason.
	matchesMax = 48
)

// grammar finds phrases in a reading. Phrases share their beginnings: it is a tree
// whose edges are symbols.
type grammar struct {
	lex     *lexicon
	classes map[string]symbol
	nodes   []node
	edges   map[edge]int32
	table   []edgeSlot
}

type edge struct {
	node   int32
	symbol symbol
}

type edgeSlot struct {
	key uint64 // of edge, plus one; 0: empty
	to  int32
}

// node is a place in a phrase.
type node struct {
	rule   int32  // what is found here, -1 for nothing
	start  int32  // the same for phrases that must open a clause
	coded  int32  // the same for phrases that count for one enhanced code
	gap    int32  // the node behind "..", 0 for none
	short  int32  // the node behind "~"
	mask   uint64 // of the symbols that continue a phrase: it rejects most tokens without a lookup
	length uint8  // words of the phrase so far
}

// The roots: phrases of words, and signatures, which are searched in host names
// too.
const (
	rootWords int32 = iota
	rootSigns
	rootsMax
)

func newGrammar() *grammar {
	g := &grammar{lex: newLexicon(), classes: map[string]symbol{}, edges: map[edge]int32{}}
	for range rootsMax {
		g.newNode(0)
	}
	return g
}

func (g *grammar) newNode(length uint8) int32 {
	g.nodes = append(g.nodes, node{rule: -1, start: -1, coded: -1, length: length})
	return int32(len(g.nodes) - 1)
}

// class adds words to the class called name, "<name>" in a phrase.
func (g *grammar) class(name string, words []string) error {
	sym, ok := g.classes[name]
	if !ok {
		sym = classSymbols + symbol(len(g.classes))
		g.classes[name] = sym
	}
	for _, text := range words {
		parts := split(text)
		if len(parts) != 1 {
			return fmt.Errorf("class %q: %q is not one word", name, text)
		}
		w := g.lex.word(parts[0])
		w.syms = append(w.syms, sym)
		w.denies = w.denies || name == denials
		w.sends = w.sends || name == senders
		w.ours = w.ours || name == possessives
		w.owned = w.owned || name == possessions
	}
	return nil
}

// split reads the words of a phrase as those of a reply are read. What has a # is
// the shape of one word.
func split(text string) []string {
	if strings.Contains(text, "#") {
		return []string{text}
	}
	var out []string
	r := reading{heard: &out}
	r.read(&lexicon{slots: make([]slot, 1)}, text)
	return out
}

// add puts one phrase of the last of rules under root. Where it has another level
// already the higher one is kept. It may have <classes>, alternatives
// "(blocked|has been blocked)", an optional "[at this time]", ".." and "~" for a
// few words, "@" for an address, and "^" before all for the start of a clause.
func (g *grammar) add(root int32, phrase string, rules []rule) error {
	text, anchored := strings.CutPrefix(strings.TrimSpace(phrase), "^")
	spellings, err := expand(text)
	if err != nil {
		return fmt.Errorf("phrase %q: %w", phrase, err)
	}
	for _, s := range spellings {
		if err := g.addSpelling(root, s, rules, anchored); err != nil {
			return fmt.Errorf("phrase %q: %w", phrase, err)
		}
	}
	return nil
}

func (g *grammar) addSpelling(root int32, text string, rules []rule, anchored bool) error {
	rule := len(rules) - 1
	at := root
	fields := strings.Fields(text)
	for len(fields) > 0 && (fields[len(fields)-1] == ".." || fields[len(fields)-1] == "~") {
		fields = fields[:len(fields)-1] // what comes behind does not matter
	}
	for _, field := range fields {
		switch {
		case field == "..":
			at = g.pass(at, func(n *node) *int32 { return &n.gap })
		case field == "~":
			at = g.pass(at, func(n *node) *int32 { return &n.short })
		case field == "@":
			at = g.follow(at, anAddress)
		case strings.HasPrefix(field, "<") && strings.HasSuffix(field, ">"):
			sym, ok := g.classes[field[1:len(field)-1]]
			if !ok {
				return fmt.Errorf("no class %s", field)
			}
			at = g.follow(at, sym)
		default:
			for _, word := range split(field) {
				if w := g.lex.word(word); !w.stop {
					at = g.follow(at, g.lex.own(word))
				}
			}
		}
	}
	if at == root {
		return fmt.Errorf("has no words")
	}
	place := &g.nodes[at].rule
	if anchored {
		place = &g.nodes[at].start
	} else if rules[rule].only != "" {
		place = &g.nodes[at].coded
	}
	if had := *place; had >= 0 && rules[had].level == rules[rule].level && rules[had].reason != rules[rule].reason {
		return fmt.Errorf("is listed under two reasons on one level, as %q", text)
	} else if had < 0 || rules[had].level < rules[rule].level {
		*place = int32(rule)
	}
	return nil
}

// pass returns the node behind a gap of at.
func (g *grammar) pass(at int32, gap func(*node) *int32) int32 {
	if *gap(&g.nodes[at]) == 0 {
		behind := g.newNode(g.nodes[at].length)
		*gap(&g.nodes[at]) = behind
	}
	return *gap(&g.nodes[at])
}

func (g *grammar) follow(from int32, sym symbol) int32 {
	key := edge{from, sym}
	to, ok := g.edges[key]
	if !ok {
		to = g.newNode(g.nodes[from].length + 1)
		g.edges[key] = to
	}
	return to
}

// freeze builds the table of edges.
func (g *grammar) freeze() {
	g.lex.freeze()
	size := 1
	for size < 2*len(g.edges)+2 {
		size *= 2
	}
	g.table = make([]edgeSlot, size)
	for e, to := range g.edges {
		g.nodes[e.node].mask |= e.symbol.mask()
		key := uint64(e.node)<<16 | uint64(e.symbol) + 1
		at := g.slot(key)
		for g.table[at].key != 0 {
			at = (at + 1) & (size - 1)
		}
		g.table[at] = edgeSlot{key: key, to: to}
	}
	g.edges = nil
	for i := range g.lex.words {
		w := &g.lex.words[i]
		for _, sym := range w.syms {
			w.mask |= sym.mask()
			for root := range rootsMax {
				if to, ok := g.step(root, sym); ok {
					w.starts[root] = append(w.starts[root], to)
				}
			}
		}
	}
}

func (s symbol) mask() uint64 { return 1 << (s & 63) }

func (g *grammar) slot(key uint64) int {
	return int(key*0x9E3779B97F4A7C15>>32) & (len(g.table) - 1)
}

func (g *grammar) step(from int32, sym symbol) (int32, bool) {
	key := uint64(from)<<16 | uint64(sym) + 1
	for at := g.slot(key); g.table[at].key != 0; at = (at + 1) & (len(g.table) - 1) {
		if g.table[at].key == key {
			return g.table[at].to, true
		}
	}
	return 0, false
}

// expand writes out the alternatives and optional parts of a phrase.
func expand(text string) ([]string, error) {
	open := strings.IndexAny(text, "([")
	if open < 0 {
		if strings.ContainsAny(text, ")]|") {
			return nil, fmt.Errorf("has an unopened bracket or a bare |")
		}
		return []string{text}, nil
	}
	closing, err := closes(text, open)
	if err != nil {
		return nil, err
	}
	choices := branches(text[open+1 : closing])
	if text[open] == '[' {
		choices = append(choices, "")
	}
	var out []string
	for _, choice := range choices {
		more, err := expand(text[:open] + " " + choice + " " + text[closing+1:])
		if err != nil {
			return nil, err
		}
		if out = append(out, more...); len(out) > phrasesMax {
			return nil, fmt.Errorf("has more than %d spellings", phrasesMax)
		}
	}
	return out, nil
}

func closes(text string, open int) (int, error) {
	depth := 0
	for i := open; i < len(text); i++ {
		switch text[i] {
		case '(', '[':
			depth++
		case ')', ']':
			if depth--; depth == 0 {
				return i, nil
			}
		}
	}
	return 0, fmt.Errorf("has an unclosed bracket")
}

// branches splits at each | outside of nested brackets.
func branches(text string) []string {
	var out []string
	depth, from := 0, 0
	for i := range len(text) {
		switch text[i] {
		case '(', '[':
			depth++
		case ')', ']':
			depth--
		case '|':
			if depth == 0 {
				out = append(out, text[from:i])
				from = i + 1
			}
		}
	}
	return append(out, text[from:])
}
