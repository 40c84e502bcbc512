// Package classify says why a message did not arrive, in one vocabulary for all
// providers, and whether it is any use to try the address again. The knowledge
// is one versioned data file, classifier.yaml, whose version travels with each
// event, so that a later one can be run again over the raw items.
//
// It is a pure function of its input: no lookup, no state, no clock. It does not
// decide what happened (delivered, bounced, blocked): that is the provider's
// own word.
package classify

import (
	"strings"

	"github.com/mailstream/mailstream/schemas"
)

// replyBytesMax is how much of a reply is searched. The reason stands in its
// first line or two; RFC 5321, section 4.5.3.1.5 allows 512 bytes a line.
const replyBytesMax = 2048

// Input is what a provider said about one failure. Every field may be empty.
type Input struct {
	Provider string // schemas.Event.Provider
	Class    string // the provider's own word for the reason, in any case
	// Reason is the provider's own word where configuration has already put it
	// into ours; it stands like a Class.
	Reason schemas.Reason
	// Permanent is the provider's own word on whether the address is done for; nil
	// when it has none. It stands above everything the tables say.
	Permanent *bool
	// Hard says that the provider calls the bounce hard, with or without a reason.
	// The address is done for then, unless the remote server blames something else:
	// providers call any final refusal hard.
	Hard     bool
	Reply    string // SMTP reply text
	SMTPCode int    // 0: taken from Reply
	Enhanced string // RFC 3463; empty: taken from Reply
}

// Verdict is the answer to an Input.
type Verdict struct {
	Reason    schemas.Reason
	Cause     schemas.Cause
	Permanent *bool // nil: unknown
}

// Classifier answers from the data file. It is safe for concurrent use.
type Classifier struct {
	version  string
	classes  map[string]map[string]entry
	enhanced map[string]entry
	ranges   []enhancedRange
	replies  replyRules
	codes    map[int]entry
	yes, no  bool // what Verdict.Permanent points to
}

// entry is one answer.
type entry struct {
	reason    schemas.Reason
	permanent permanence
	weak      bool
	over      bool // of a reply: stands above a code or class that blames the address
}

// permanence is what an entry says about the address.
type permanence uint8

const (
	unknown permanence = iota
	permanent
	passing
	byClass // 5.x.x and 5xx are permanent, 4.x.x and 4xx are not
)

// Version returns the version of the data file.
func (c *Classifier) Version() string { return c.version }

// Classify returns the reason of a failure; schemas.OtherReason when nothing
// tells.
func (c *Classifier) Classify(in Input) Verdict {
	code, enhanced := in.SMTPCode, in.Enhanced
	if (code == 0 || enhanced == "") && in.Reply != "" {
		foundCode, foundEnhanced := Codes(in.Reply)
		if code == 0 {
			code = foundCode
		}
		if enhanced == "" {
			enhanced = foundEnhanced
		}
	}
	found := c.find(in, code, enhanced)
	reason := found.reason
	if reason == "" {
		reason = schemas.OtherReason
	}
	v := Verdict{Reason: reason, Cause: schemas.CauseOf(reason), Permanent: in.Permanent}
	if v.Permanent == nil && in.Hard {
		v.Permanent = c.hard(found, in.Reply, code, enhanced)
	}
	if v.Permanent == nil {
		v.Permanent = c.permanent(found.permanent, code, enhanced)
	}
	if v.Permanent == nil && found.permanent == byClass { // of a code, and there is none
		if class, _ := c.class(in.Provider, in.Class); class.permanent == permanent {
			v.Permanent = &c.yes // "user unknown" does not take back what the provider calls permanent
		}
	}
	return v
}

// hard says whether a bounce that is called hard is the end of the address. The
// class does not take that back, since both are the provider's words.
func (c *Classifier) hard(found entry, reply string, code int, enhanced string) *bool {
	if found.permanent != permanent {
		server := c.find(Input{Reply: reply}, code, enhanced)
		if server.permanent == passing && server.reason != schemas.OtherReason {
			return &c.no
		}
	}
	return &c.yes
}

// find asks the tables in their order. A weak answer is kept until a later table
// has a firm one, or a better one than "other".
func (c *Classifier) find(in Input, code int, enhanced string) entry {
	best, ok := c.class(in.Provider, in.Class)
	if !ok && in.Reason != "" {
		best = usual(in.Reason)
	}
	class := best
	if best.firm() {
		if e, ok := c.excuse(best, in.Reply, enhanced); ok {
			return e
		}
		return best
	}
	if e, ok := c.lookupEnhanced(enhanced); ok {
		if e.firm() && !e.blames() {
			return e.with(class)
		}
		best = best.or(e)
	}
	if e, ok := c.reply(in.Reply, enhanced); ok && (e.over || !best.firm()) {
		return e.with(class)
	}
	return best.or(c.codes[code]).with(class)
}

// excuse finds what a server says of sender or message where the class calls the
// address done for. Some servers say 5.1.1 of anything, and providers make their
// class of it.
func (c *Classifier) excuse(class entry, reply, enhanced string) (entry, bool) {
	if !class.blames() || schemas.CauseOf(class.reason) != schemas.CauseRecipient {
		return entry{}, false
	}
	e, ok := c.reply(reply, enhanced)
	cause := schemas.CauseOf(e.reason)
	return e, ok && e.over && (cause == schemas.CauseSender || cause == schemas.CauseContent)
}

// usual returns what a reason that stands alone says about the address.
func usual(reason schemas.Reason) entry {
	e := entry{reason: reason, permanent: passing}
	switch reason {
	case schemas.InvalidRecipient, schemas.MailboxInactive, schemas.DomainNotFound,
		schemas.SuppressedBounce, schemas.SuppressedComplaint, schemas.SuppressedUnsubscribe:
		e.permanent = permanent
	case schemas.OtherReason:
		e.permanent, e.weak = unknown, true
	}
	return e
}

func (e entry) firm() bool { return e.reason != "" && !e.weak }

// blames says that e may call the address itself done for.
func (e entry) blames() bool { return e.permanent == permanent || e.permanent == byClass }

// or returns next when that is better than e: firm, or e says nothing, or e
// blames the address without being sure and next clears it.
func (e entry) or(next entry) entry {
	switch {
	case e.reason == "":
		return next
	case next.reason == "", e.firm() && next.weak:
		return e
	case next.reason == schemas.OtherReason:
		return e.with(next)
	case e.reason == schemas.OtherReason, !next.weak, e.blames() && next.permanent == passing:
		return next
	default:
		return e
	}
}

// with fills in what the provider's class knows about the address when the finer
// answer does not.
func (e entry) with(class entry) entry {
	if e.permanent == unknown {
		e.permanent = class.permanent
	}
	return e
}

// permanent resolves byClass. Of two codes that contradict each other the one that
// says "later" counts: it costs another try, the other one an address.
func (c *Classifier) permanent(p permanence, code int, enhanced string) *bool {
	if p == byClass {
		switch {
		case code >= 400 && code < 500:
			p = passing
		case strings.HasPrefix(enhanced, "5") || enhanced == "" && code >= 500:
			p = permanent
		case strings.HasPrefix(enhanced, "4"):
			p = passing
		}
	}
	switch p {
	case permanent:
		return &c.yes
	case passing:
		return &c.no
	default:
		return nil
	}
}

func (c *Classifier) class(provider, class string) (entry, bool) {
	if class == "" {
		return entry{}, false
	}
	table := c.classes[provider]
	e, ok := table[class]
	if !ok {
		e, ok = table[strings.ToLower(strings.TrimSpace(class))]
	}
	return e, ok
}

// lookupEnhanced finds 5.7.1 exactly, then in a range of details, then as x.7.1. A
// detail that nobody has defined is x.7.0, "other or undefined" (RFC 3463, section 3).
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

// reply searches the text. It is the slow step; failures that a class or a code
// explains without blaming the address do not come here.
func (c *Classifier) reply(text, enhanced string) (entry, bool) {
	if text == "" {
		return entry{}, false
	}
	var room [replyBytesMax + 1]byte
	return c.replies.find(fold(room[:0], text[:min(len(text), replyBytesMax)]), enhanced)
}
