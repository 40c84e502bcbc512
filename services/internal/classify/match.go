package classify

// match is a phrase found in a reply.
type match struct {
	rule     int32
	from, to uint16 // tokens
	weight   int16
}

// search is one pass over a reading.
type search struct {
	g       *grammar
	r       *reading
	rules   []rule
	steps   int
	matches [matchesMax]match
	n       int
}

// run finds every phrase of the reading.
func (s *search) run() {
	for i := range s.r.n {
		t := &s.r.tokens[i]
		if t.marks&inHost == 0 {
			s.enter(rootWords, i)
		}
		s.enter(rootSigns, i)
	}
	s.shadow()
}

// enter starts the phrases that begin with token i.
func (s *search) enter(root int32, i int) {
	t := &s.r.tokens[i]
	if t.marks&address != 0 {
		s.follow(root, anAddress, i, i)
	} else if t.word != nil {
		for _, to := range t.word.starts[root] {
			s.at(to, i, i+1, 0)
		}
	}
}

func (s *search) follow(from int32, sym symbol, start, i int) {
	if to, ok := s.g.step(from, sym); ok {
		s.at(to, start, i+1, 0)
	}
}

// at is called at node after the tokens from start to i have matched; gap is
// how many more words may be skipped.
func (s *search) at(id int32, start, i, gap int) {
	if s.steps++; s.steps > stepsMax {
		return
	}
	n := &s.g.nodes[id]
	if gap == 0 {
		if n.rule >= 0 {
			s.found(n.rule, start, i, n.length)
		}
		if n.coded >= 0 {
			s.found(n.coded, start, i, n.length)
		}
		if n.start >= 0 && s.r.tokens[start].marks&opens != 0 {
			s.found(n.start, start, i, n.length)
		}
		if n.gap != 0 {
			s.at(n.gap, start, i, gapWordsMax+1)
		}
		if n.short != 0 {
			s.at(n.short, start, i, shortGapWordsMax+1)
		}
	}
	if n.mask == 0 {
		return
	}
	for ; i < s.r.n; i++ {
		t := &s.r.tokens[i]
		if t.marks&opens != 0 {
			return
		}
		if t.marks&address != 0 {
			s.follow(id, anAddress, start, i)
		} else if t.word != nil && t.word.mask&n.mask != 0 {
			for _, sym := range t.word.syms {
				s.follow(id, sym, start, i)
			}
		}
		if t.free() {
			continue
		}
		if gap--; gap <= 0 {
			return
		}
	}
}

// found keeps a match unless a "not" right before it takes it back.
func (s *search) found(rule int32, start, end int, length uint8) {
	if start > 0 && s.rules[rule].deniable {
		if w := s.r.tokens[start-1].word; w != nil && w.denies && s.r.tokens[start].marks&opens == 0 {
			return
		}
	}
	weight := s.rules[rule].weight
	if length == 1 && s.rules[rule].level == firm {
		weight = weights[fair] // one word is not a wording
	}
	weight += wordBonus * int16(min(length, wordsCounted))
	if other := s.rules[rule].ofSender; other >= 0 && s.sender(start, end) {
		rule = int32(other)
	}
	for i := range s.matches[:s.n] {
		if m := &s.matches[i]; m.rule == rule && int(m.from) == start {
			if int(m.to) < end || m.weight < weight {
				m.to, m.weight = uint16(end), max(m.weight, weight)
			}
			return
		}
	}
	if s.n < matchesMax {
		s.matches[s.n] = match{rule: rule, from: uint16(start), to: uint16(end), weight: weight}
		s.n++
	}
}

// shadow removes matches inside of a longer match: "user unknown" of "sender
// verification failed, user unknown". A phrase against the address does not remove
// one of its level in favour of the address.
func (s *search) shadow() {
	for i := range s.matches[:s.n] {
		m := &s.matches[i]
		for j := range s.matches[:s.n] {
			o := &s.matches[j]
			if o.to-o.from > m.to-m.from && o.from <= m.from && o.to >= m.to && abs(o.weight) > abs(m.weight) &&
				(!s.rules[o.rule].dead || s.rules[m.rule].dead || s.rules[o.rule].level > s.rules[m.rule].level) {
				m.weight = -abs(m.weight)
				break
			}
		}
	}
}

// sender says that the words from start to end, or the few before them in their
// clause, are about the sender: "sender account disabled", "domain of your From
// header does not exist".
func (s *search) sender(start, end int) bool {
	for i := start - 1; i >= 0 && i >= start-senderWordsMax && s.r.tokens[i+1].marks&opens == 0; i-- {
		start = i
	}
	for i := start; i < end; i++ {
		w := s.r.tokens[i].word
		if w == nil {
			continue
		}
		if w.sends {
			return true
		}
		if next := i + 1; w.ours && next < s.r.n && s.r.tokens[next].word != nil && s.r.tokens[next].word.owned {
			return true
		}
	}
	return false
}

// senderWordsMax is how many words before a phrase its subject may be.
const senderWordsMax = 4

func abs(n int16) int16 {
	if n < 0 {
		return -n
	}
	return n
}
