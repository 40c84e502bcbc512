// Package classify says why a message did not arrive, in one vocabulary for all
// providers, how sure that is, and whether it is any use to try the address again. The
// knowledge is data: classifier.yaml, wordings.yaml, blocklists.yaml and the classes
// that each provider hands to New, whose version travels with each event, so that a
// later version can be applied to the raw items. It also knows the user agents of
// programs that open messages before a person does (machine.go).
//
// It is a pure function of its input: no lookup, no state, no clock. It does not
// decide what happened (delivered, bounced, blocked): that is the provider's
// own word.
//
// All that is known is evidence with a weight: the phrases of the reply, its codes,
// the provider's class. See docs/classifier.md.
package classify

import (
	"maps"
	"slices"

	"github.com/mailstream/mailstream/schemas"
)

// Input is what a provider said about one failure. Every field may be empty.
type Input struct {
	Provider string // schemas.Event.Provider
	Class    string // the provider's own word for the reason, in any case
	// Reason is the provider's own word where configuration has already put it
	// into ours; it weighs what an explicit Class does.
	Reason schemas.Reason
	// Soft says that the provider itself calls the failure passing: the address is not
	// done for, whatever the reply says.
	Soft     bool
	Reply    string // SMTP reply text
	SMTPCode int    // 0: taken from Reply
	Enhanced string // RFC 3463; empty: taken from Reply
}

// Verdict is the answer to an Input.
type Verdict struct {
	Reason     schemas.Reason
	Cause      schemas.Cause
	Confidence schemas.Confidence
	Permanent  *bool // true only of a dead address that is certain; nil: unknown
	Listing    Listing
}

// Dead says that the address or its domain is no more, or likely so.
func (v Verdict) Dead() bool {
	if v.Permanent != nil {
		return *v.Permanent
	}
	return v.Confidence == schemas.Likely // false, not nil, for a working address
}

// Classifier answers from the data files. It is safe for concurrent use.
type Classifier struct {
	version  string
	reasons  []schemas.Reason
	traits   []traits // by index into reasons
	classes  map[string]map[string]entry
	enhanced map[string]entry
	ranges   []enhancedRange
	codes    map[int]entry
	grammar  *grammar
	rules    []rule
	lists    []list
	yes, no  bool // what Verdict.Permanent points to
}

// traits of a reason that weighing asks for.
type traits struct {
	cause schemas.Cause
	dead  bool // it says that the address or its domain is no more
	// spares says that a phrase in favour of the address outweighs one against it.
	// Policy and protocol are too wide for that.
	spares bool
	passes bool // it is about this moment
}

// entry is what a class or a code says.
type entry struct {
	reason int8 // index into reasons
	weight int16
	fact   bool // the provider did it itself: no reply can know better
	dead   bool // of a fact: the provider gave the address up
}

// rule is what a phrase says.
type rule struct {
	reason   int8
	level    level
	weight   int16
	deniable bool
	dead     bool
	only     string // the enhanced code it counts for, empty for any
	list     int16  // index into lists, -1 for none
	ofSender int16  // the rule instead where the subject is the sender, -1 for none
}

// Version returns the version of the data files.
func (c *Classifier) Version() string { return c.version }

// Providers returns whose classes are known, in alphabetical order.
func (c *Classifier) Providers() []string { return slices.Sorted(maps.Keys(c.classes)) }

// Classify returns the reason of a failure; schemas.OtherReason when no signal
// matches.
func (c *Classifier) Classify(in Input) Verdict {
	var w weighing
	return c.weigh(&in, &w)
}

// weigh leaves in w what led to the verdict.
func (c *Classifier) weigh(in *Input, w *weighing) Verdict {
	w.code, w.enhanced = in.SMTPCode, in.Enhanced
	text := bare(in.Reply[:min(len(in.Reply), replyBytesMax)])
	if w.code == 0 || w.enhanced == "" {
		code, enhanced := Codes(text)
		if w.code == 0 {
			w.code = code
		}
		if w.enhanced == "" {
			w.enhanced = enhanced
		}
	}
	if e, ok := c.class(in.Provider, in.Class); ok {
		w.class = e
	} else if in.Reason != "" {
		w.class = c.usual(in.Reason)
	}
	if w.class.fact {
		return c.verdictOfFact(w.class, in.Soft)
	}
	var r reading
	r.read(c.grammar.lex, text)
	s := search{g: c.grammar, r: &r, rules: c.rules}
	s.run()
	if w.heard != nil {
		*w.heard = c.evidence(&s)
	}
	w.sum(c, &s)
	return w.verdict(c, in, text)
}

func (c *Classifier) class(provider, class string) (entry, bool) {
	if class == "" {
		return entry{}, false
	}
	table := c.classes[provider]
	e, ok := table[class]
	if !ok {
		e, ok = table[folded(class)]
	}
	return e, ok
}

// usual returns what a reason says without other signals: the same as an explicit
// class.
func (c *Classifier) usual(reason schemas.Reason) entry {
	for i, r := range c.reasons {
		if r != reason {
			continue
		}
		e := entry{reason: int8(i), weight: weights[fair]}
		switch c.traits[i].cause {
		case schemas.CauseProvider:
			e.fact, e.dead = true, true
		case schemas.CauseOther:
			e.weight = 0
		}
		return e
	}
	return entry{}
}

// verdictOfFact is the answer where the provider itself did not try.
func (c *Classifier) verdictOfFact(e entry, soft bool) Verdict {
	v := Verdict{Reason: c.reasons[e.reason], Cause: c.traits[e.reason].cause, Confidence: schemas.Certain, Permanent: &c.no}
	if e.dead && !soft {
		v.Permanent = &c.yes
	}
	return v
}
