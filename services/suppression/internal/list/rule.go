package list

import (
	"slices"
	"time"

	"github.com/mailstream/mailstream/schemas"
)

// Action is what a rule does to an entry.
type Action string

// The actions.
const (
	Suppress Action = "suppress" // add, or add again later
	Lift     Action = "lift"     // end it at the event's time
)

// Breadth is how a rule finds the scope of its entry.
type Breadth int

// The breadths.
const (
	WholeAccount Breadth = iota // schemas.ScopeAccount whatever the mail was
	OfTheMail                   // the list the event names, else the account
)

// Rule is one row of the table: which events, and what they do to which entry.
type Rule struct {
	On     schemas.Type
	Bounce schemas.BounceType // "": any
	Unless []schemas.Reason   // events with one of these reasons are not meant

	Do     Action
	Reason schemas.SuppressionReason
	Scope  Breadth
	// Probation is how long an address stays suppressed after one event; a second
	// event at least secondStrikeAfter later makes it permanent. Zero: permanent at once.
	Probation time.Duration
}

// secondStrikeAfter is how far apart two events must be to count as two: a
// broken server answers one campaign with the same wrong code all day.
const secondStrikeAfter = 24 * time.Hour

// futureMax is how far ahead of the ingress a provider's clock may be before
// its time is taken for wrong: a stamp from the future could not be lifted.
const futureMax = 5 * time.Minute

// entriesMax bounds the entries of one address, so that its record stays far
// below the largest Kafka takes (1 MiB at about 300 bytes an entry). Past it an
// unsubscribe from one more list counts for the whole account.
const entriesMax = 1000

// Rules is a table of rules; the first row that matches an event decides.
type Rules []Rule

// notTheAddress are the reasons of a hard bounce that say nothing about the
// address: the sender, the text, the network or a full mailbox was at fault, or
// the provider did not try for a reason that has its own event.
var notTheAddress = [...]schemas.Reason{
	schemas.Blocklist, schemas.Reputation, schemas.Authentication, schemas.SenderAddress, schemas.RelayDenied,
	schemas.ProtocolError, schemas.Policy, schemas.RateLimited,
	schemas.SpamContent, schemas.MessageTooLarge, schemas.TemplateError,
	schemas.Greylisted, schemas.Timeout, schemas.Loop, schemas.SystemError, schemas.MailboxFull,
	schemas.SuppressedComplaint, schemas.SuppressedUnsubscribe,
}

// DefaultRules returns the table. probation is that of a hard bounce, zero for
// permanent at once. A block, a soft bounce and a delivery have no row: they
// change nothing.
func DefaultRules(probation time.Duration) Rules {
	return Rules{
		{
			On: schemas.Bounced, Bounce: schemas.Hard, Unless: slices.Clone(notTheAddress[:]),
			Do: Suppress, Reason: schemas.SuppressHardBounce, Scope: WholeAccount, Probation: probation,
		},
		{On: schemas.Complained, Do: Suppress, Reason: schemas.SuppressComplaint, Scope: WholeAccount},
		{On: schemas.Unsubscribed, Do: Suppress, Reason: schemas.SuppressUnsubscribe, Scope: OfTheMail},
		{On: schemas.Subscribed, Do: Lift, Reason: schemas.SuppressUnsubscribe, Scope: OfTheMail},
	}
}

// Types returns the event types that some rule is about, each once.
func (r Rules) Types() []schemas.Type {
	var out []schemas.Type
	for _, rule := range r {
		if !slices.Contains(out, rule.On) {
			out = append(out, rule.On)
		}
	}
	return out
}

// Match returns the first rule that e falls under.
func (r Rules) Match(e *schemas.Event) (Rule, bool) {
	for _, rule := range r {
		if rule.matches(e) {
			return rule, true
		}
	}
	return Rule{}, false
}

func (r Rule) matches(e *schemas.Event) bool {
	if r.Bounce == schemas.Hard && e.Permanent != nil && !*e.Permanent {
		return false // hard is the provider's word for having given up; the address is said to be fine
	}
	return r.On == e.Type && (r.Bounce == "" || r.Bounce == e.BounceType) && !slices.Contains(r.Unless, e.Reason)
}

// Apply returns the state of an address after e, whose hash the state has. It
// is Merge with what the rule makes of e, so an event that is already in cur,
// or older than a newer decision, changes nothing that matters.
func (r Rule) Apply(cur schemas.Suppression, e *schemas.Event) schemas.Suppression {
	at := eventTime(e)
	had := Find(cur, r.scope(cur, e), r.Reason)
	var delta schemas.SuppressionEntry
	switch r.Do {
	case Lift:
		delta = Lifted(had, at)
		delta.RemovedBy = e.ID
	default:
		delta = Added(had, at)
		delta.Evidence, delta.Provider, delta.Source = e.ID, e.Provider, e.Source
		delta = r.withExpiry(delta, had)
	}
	return Merge(cur, schemas.Suppression{
		Hash: cur.Hash, Address: cur.Address, UpdatedAt: cur.UpdatedAt,
		Entries: []schemas.SuppressionEntry{delta},
	})
}

// Added returns what has to be merged into had, the present entry of that key,
// to say that it was added at at. The caller fills in the evidence.
func Added(had schemas.SuppressionEntry, at time.Time) schemas.SuppressionEntry {
	delta := schemas.SuppressionEntry{Scope: had.Scope, Reason: had.Reason, AddedAt: Stamp(at)}
	if delta.AddedAt.Before(had.RemovedAt) {
		return delta
	}
	delta.RemovedAt, delta.RemovedBy, delta.RemovedNote = had.RemovedAt, had.RemovedBy, had.RemovedNote
	delta.Since = delta.AddedAt
	if added(had) {
		delta.Since = earlierSet(Since(had), delta.AddedAt)
	}
	return delta
}

// Lifted returns what has to be merged into had, the present entry of that key,
// to say that it was lifted at at. The caller fills in who did it.
func Lifted(had schemas.SuppressionEntry, at time.Time) schemas.SuppressionEntry {
	delta := schemas.SuppressionEntry{Scope: had.Scope, Reason: had.Reason, RemovedAt: Stamp(at)}
	if delta.RemovedAt.Before(had.RemovedAt) || had.AddedAt.Before(delta.RemovedAt) {
		return delta // an older lift, or nothing newer than this one to keep
	}
	delta.Since = had.AddedAt
	if since := Since(had); !since.Before(delta.RemovedAt) {
		delta.Since = since
	}
	return delta
}

// withExpiry puts delta on probation unless the address has failed before. The
// last of two strikes may be delta or the one that had knows: order must not
// matter.
func (r Rule) withExpiry(delta, had schemas.SuppressionEntry) schemas.SuppressionEntry {
	if r.Probation == 0 {
		return delta
	}
	last := delta
	if had.AddedAt.After(delta.AddedAt) {
		last = had
	}
	if !delta.Since.IsZero() && last.AddedAt.Sub(delta.Since) >= secondStrikeAfter {
		delta.AddedAt, delta.Evidence = last.AddedAt, last.Evidence
		delta.Provider, delta.Source, delta.Note = last.Provider, last.Source, last.Note
		delta.ExpiresAt = time.Time{}
		return delta
	}
	delta.ExpiresAt = delta.AddedAt.Add(r.Probation)
	return delta
}

func (r Rule) scope(cur schemas.Suppression, e *schemas.Event) string {
	if r.Scope == WholeAccount || e.ListID == "" {
		return schemas.ScopeAccount
	}
	scope := ListScope(e.ListID)
	if r.Do == Suppress && len(cur.Entries) >= entriesMax && Find(cur, scope, r.Reason).AddedAt.IsZero() {
		return schemas.ScopeAccount
	}
	return scope
}

// eventTime is the provider's time, unless that lies in the future by the clock
// of the ingress.
func eventTime(e *schemas.Event) time.Time {
	if !e.ReceivedAt.IsZero() && e.Time.After(e.ReceivedAt.Add(futureMax)) {
		return e.ReceivedAt
	}
	return e.Time
}
