package classify

import (
	"strings"

	"github.com/mailstream/mailstream/schemas"
)

// level is how much a piece of evidence says. Specific signals rank above
// generic ones by construction: no number of lower ones outweighs a higher one.
type level uint8

// The levels, by their names in the data files.
const (
	none  level = iota
	weak        // a word that anything may be called: blocked, rejected, policy
	hint        // one meaning among others: mailbox unavailable, spam
	doubt       // says it, but not whether it is permanent: never more than likely
	fair        // subject and state agree: mailbox ... disabled; a code of the registry
	firm        // a wording for just this: user unknown, over quota
	sure        // a signature: a filter, a list, a number of one server
	levels
)

// weights of the levels.
var weights = [levels]int16{weak: 10, hint: 26, doubt: 48, fair: 50, firm: 70, sure: 100}

const (
	// wordBonus is what each word of a phrase adds, up to wordsCounted: of two wordings
	// of one level the longer is the more specific. All of them do not make up for a
	// level.
	wordBonus    = 2
	wordsCounted = 6
	// agreement is what code or class add to the reason that the text gives too.
	agreement = 12
	// contest is how near the text for a living address has to come to that for a dead
	// one to make it doubtful: nearer than from level to level.
	contest = 18
)

// reasonsMax bounds the closed set of reasons, so that the sums need no allocation.
const reasonsMax = 32

// weighing is the evidence for each reason and how it was summed up.
type weighing struct {
	code      int
	enhanced  string
	class     entry
	exact     entry // of the enhanced code
	basic     entry // of the basic code
	text      [reasonsMax]int16
	level     [reasonsMax]level
	rest      [reasonsMax]int16 // of class and codes
	list      int16             // index into lists, -1: none
	listAt    uint16            // the token that names it
	listScore int16
	heard     *[]Evidence // for Explain; nil otherwise
	wordless  bool        // the reply has no word besides codes
}

// sum fills in the evidence of text, codes and class.
func (w *weighing) sum(c *Classifier, s *search) {
	w.list = -1
	w.wordless = s.r.n == 0
	for i := range s.matches[:s.n] {
		m := &s.matches[i]
		rule := &c.rules[m.rule]
		if m.weight < 0 || rule.only != "" && rule.only != w.enhanced {
			continue
		}
		if m.weight > w.text[rule.reason] {
			w.text[rule.reason], w.level[rule.reason] = m.weight, rule.level
		}
		if rule.list >= 0 && m.weight > w.listScore {
			w.list, w.listAt, w.listScore = rule.list, m.from, m.weight
		}
	}
	w.exact, _ = c.lookupEnhanced(w.enhanced)
	w.basic = c.codes[w.code]
	for _, e := range [...]entry{w.class, w.exact, w.basic} {
		w.rest[e.reason] = max(w.rest[e.reason], e.weight)
	}
}

// best returns the reason that weighs most, -1 when nothing was said. Where the text
// has something specific the rest only confirms it: class and code are mostly made
// from the text, and often wrongly. Of equals the one in favour of the address wins.
func (w *weighing) best(c *Classifier) (index int, score int16) {
	specific := false
	for i := range c.reasons {
		specific = specific || w.text[i] >= weights[doubt]
	}
	index = -1
	for i := range c.reasons {
		t, r := w.text[i], w.rest[i]
		n := max(t, r)
		if specific {
			n = t
		}
		if n == 0 {
			continue
		}
		if t > 0 && r > 0 {
			n += agreement
		}
		if n > score || n == score && index >= 0 && c.traits[index].dead && !c.traits[i].dead {
			index, score = i, n
		}
	}
	if index >= 0 && c.traits[index].dead {
		return w.spared(c, index, score)
	}
	return index, score
}

// spared gives way to what the text says just as specifically of sender or content:
// "DMARC check failed, no such user" does not condemn the address.
func (w *weighing) spared(c *Classifier, index int, score int16) (int, int16) {
	if w.text[index] >= weights[sure] {
		return index, score // a signature is not outweighed by a wording
	}
	living, most := index, int16(0)
	for i := range c.reasons {
		least := weights[firm]
		if c.traits[i].passes && c.reasons[index] == schemas.DomainNotFound {
			least = weights[fair] // a name server that does not answer proves nothing
		} else if !c.traits[i].spares {
			continue
		}
		if w.text[i] >= least && w.text[i] > most {
			living, most = i, w.text[i]
		}
	}
	if most > 0 {
		return living, most
	}
	return index, score
}

// against returns the heaviest contrary signal of text and rest: that the
// address works, or that it does not.
func (w *weighing) against(c *Classifier, dead bool) (text, rest int16) {
	for i := range c.reasons {
		if c.traits[i].dead != dead {
			text, rest = max(text, w.text[i]), max(rest, w.rest[i])
		}
	}
	return text, rest
}

func (w *weighing) verdict(c *Classifier, in *Input, text string) Verdict {
	best, _ := w.best(c)
	v := Verdict{Reason: schemas.OtherReason, Cause: schemas.CauseOther, Confidence: schemas.Unknown}
	if best >= 0 {
		v.Reason, v.Cause = c.reasons[best], c.traits[best].cause
		v.Confidence = w.confidence(c, best)
	}
	dead := best >= 0 && c.traits[best].dead
	switch {
	case in.Soft || w.later() || v.Confidence != schemas.Unknown && !dead:
		v.Permanent = &c.no
	case dead && v.Confidence == schemas.Certain:
		v.Permanent = &c.yes
	}
	if w.list >= 0 && (v.Cause == schemas.CauseSender || v.Cause == schemas.CauseContent) {
		v.Listing = c.listing(&c.lists[w.list], text)
	}
	return v
}

// confidence says how sure the reason is.
func (w *weighing) confidence(c *Classifier, best int) schemas.Confidence {
	text, rest := w.text[best], w.rest[best]
	otherText, otherRest := w.against(c, c.traits[best].dead)
	opposed := otherText > 0 && otherText+contest > text || otherRest >= weights[firm] || otherRest >= weights[fair] && text < weights[firm]
	switch {
	case max(text, rest) < weights[hint]:
		return schemas.Likely // a word like "blocked", and nothing that says more
	case c.traits[best].dead && (opposed || c.reasons[best] == schemas.DomainNotFound && w.passing(c)):
		return schemas.Likely
	case w.level[best] == doubt && (int(w.exact.reason) != best || w.exact.weight < weights[fair]):
		return schemas.Likely // a class is made of the same text
	case text >= weights[fair], text >= weights[hint] && rest >= weights[hint]:
		return schemas.Certain
	case rest >= weights[firm], w.class.weight >= weights[fair] && int(w.class.reason) == best:
		return schemas.Certain
	case rest >= weights[fair] && w.wordless:
		return schemas.Certain // nothing but the code, and it says one thing
	default:
		return schemas.Likely
	}
}

// passing says that the text speaks of another try. A name server that was asked
// at a bad moment knows no domain either.
func (w *weighing) passing(c *Classifier) bool {
	for i := range c.reasons {
		if c.traits[i].passes && w.text[i] >= weights[hint] {
			return true
		}
	}
	return false
}

// later says that one of the codes promises that it passes. Of two codes that
// contradict each other this one counts: it costs another try, the other one an
// address.
func (w *weighing) later() bool {
	return w.code >= 400 && w.code < 500 || strings.HasPrefix(w.enhanced, "4.")
}

// lookupEnhanced finds 5.7.1 exactly, then in a range of details, then as x.7.1. A
// detail that is not registered is read as x.7.0, "other or undefined" (RFC 3463,
// section 3).
func (c *Classifier) lookupEnhanced(code string) (entry, bool) {
	class, subject, detail, ok := splitEnhanced(code)
	if !ok || class == 2 {
		return entry{}, false
	}
	if e, ok := c.enhanced[code]; ok {
		return e, true
	}
	for _, r := range c.ranges {
		if r.holds(class, subject, detail) {
			return r.entry, true
		}
	}
	var room [len("x.999.999")]byte
	key := append(room[:0], 'x')
	key = append(key, code[1:]...)
	if e, ok := c.enhanced[string(key)]; ok {
		return e, true
	}
	key = append(key[:strings.LastIndexByte(code, '.')+1], '0')
	e, ok := c.enhanced[string(key)]
	return e, ok
}

// bare takes off what a mail system writes around a reply that it passes on:
// "5.1.0 - Unknown address error 550-'5.2.2 mailbox full' (delivery attempts: 0)".
// Its own words are a guess from the code.
func bare(reply string) string {
	for i := 3; i+1 < len(reply); i++ {
		if reply[i] != '-' || reply[i+1] != '\'' || i+2 >= len(reply) {
			continue
		}
		if _, ok := smtpCode(reply[i-3 : i]); !ok || i > 3 && reply[i-4] != ' ' {
			continue
		}
		end := strings.LastIndexByte(reply, '\'')
		if end <= i+1 {
			end = len(reply)
		}
		return reply[i-3 : end]
	}
	return reply
}
