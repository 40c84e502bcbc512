package list

import (
	"math"
	"slices"
	"strings"
	"time"

	"github.com/mailstream/mailstream/schemas"
)

// Action is what a rule does to an entry.
type Action string

// The actions.
const (
	Suppress Action = "suppress" // add, or re-add later
	Lift     Action = "lift"     // end it at the event's time
	Count    Action = "count"    // keep it as a soft bounce: Ladder.Settle makes the entry
	End      Action = "heal"     // end what bounces made: Heals.Apply
)

// Breadth is how a rule finds the scope of its entry.
type Breadth int

// The breadths.
const (
	WholeAccount Breadth = iota // schemas.ScopeAccount whatever the mail was
	OfTheMail                   // the list or stream the event names, else the account
)

// Proof is how sure an event has to be that the address is dead.
type Proof int

// The proofs.
const (
	NoProof  Proof = iota // what the event is says it all
	Certain               // address or domain are said to be dead, and that is no guess
	Likely                // something hints at it, and nothing is against it
	Reasoned              // its reason is no guess
)

// Rule is one row of the table: which events, and what they do to which entry.
type Rule struct {
	On     schemas.Type
	Bounce schemas.BounceType // "": any
	Proof  Proof
	Only   []schemas.Reason // nil: any
	Unless []schemas.Reason // events with one of these reasons are not meant

	Do     Action
	Reason schemas.SuppressionReason
	Scope  Breadth
	// Probation is how long an address stays suppressed after one event; a second
	// event at least SecondStrikeAfter later makes it permanent. Zero: permanent at once.
	Probation         time.Duration
	SecondStrikeAfter time.Duration
}

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
// address: the sender, the text, the network or a full mailbox was at fault.
var notTheAddress = [...]schemas.Reason{
	schemas.Blocklist, schemas.Reputation, schemas.Authentication, schemas.SenderAddress, schemas.RelayDenied,
	schemas.ProtocolError, schemas.Policy, schemas.RateLimited,
	schemas.SpamContent, schemas.MessageTooLarge, schemas.TemplateError,
	schemas.Greylisted, schemas.Timeout, schemas.Loop, schemas.SystemError, schemas.MailboxFull,
}

// ofTheProvider are the reasons of what a provider did not try, because its own list
// has the address.
var ofTheProvider = [...]schemas.Reason{
	schemas.SuppressedBounce, schemas.SuppressedComplaint, schemas.SuppressedUnsubscribe,
}

// ofTheAddress are the reasons that say that the address is dead.
var ofTheAddress = [...]schemas.Reason{
	schemas.InvalidRecipient, schemas.MailboxInactive, schemas.DomainNotFound,
}

// Probations are how long one hard bounce suppresses.
type Probations struct {
	Certain           time.Duration // of a bounce that is certain; zero: for ever
	Likely            time.Duration // of one that is likely; not zero
	SecondStrikeAfter time.Duration // how far apart two bounces are two
	Provider          time.Duration // of a message that a provider did not try; not zero
}

// neverForGood is the SecondStrikeAfter of what a repeat only prolongs.
const neverForGood = math.MaxInt64

// DefaultRules returns the table. No address is listed for ever on a guess: a
// likely bounce lists it for a while, and one without a known reason not at all. A
// block has no row unless the provider's own list was the reason.
func DefaultRules(p Probations, l Ladder) Rules {
	bounce := Rule{
		On: schemas.Bounced, Bounce: schemas.Hard, Unless: slices.Clone(notTheAddress[:]),
		Do: Suppress, Reason: schemas.SuppressHardBounce, Scope: WholeAccount, SecondStrikeAfter: p.SecondStrikeAfter,
	}
	certain, likely := bounce, bounce
	certain.Proof, certain.Probation = Certain, p.Certain
	likely.Proof, likely.Probation = Likely, p.Likely
	dropped := Rule{
		Only: slices.Clone(ofTheProvider[:]), Do: Suppress, Reason: schemas.SuppressProvider, Scope: WholeAccount,
		Probation: p.Provider, SecondStrikeAfter: neverForGood,
	}
	var drops Rules
	for _, dropped.On = range []schemas.Type{schemas.Bounced, schemas.Blocked, schemas.Failed} {
		drops = append(drops, dropped)
	}
	return append(drops,
		certain,
		likely,
		Rule{On: schemas.Bounced, Proof: Reasoned, Only: l.reasons(), Do: Count, Reason: schemas.SuppressSoftBounce, Scope: WholeAccount},
		Rule{On: schemas.Complained, Do: Suppress, Reason: schemas.SuppressComplaint, Scope: WholeAccount},
		Rule{On: schemas.Unsubscribed, Do: Suppress, Reason: schemas.SuppressUnsubscribe, Scope: OfTheMail},
		Rule{On: schemas.Subscribed, Do: Lift, Reason: schemas.SuppressUnsubscribe, Scope: OfTheMail},
		Rule{On: schemas.Delivered, Do: End},
		Rule{On: schemas.Opened, Do: End},
		Rule{On: schemas.Clicked, Do: End},
	)
}

// Healing returns the event types that do nothing but end what bounces made.
func (r Rules) Healing() []schemas.Type {
	var out []schemas.Type
	for _, rule := range r {
		if rule.Do == End {
			out = append(out, rule.On)
		}
	}
	return out
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
	return r.On == e.Type && (r.Bounce == "" || r.Bounce == e.BounceType) &&
		(r.Only == nil || slices.Contains(r.Only, e.Reason)) && !slices.Contains(r.Unless, e.Reason) && r.Proof.given(e)
}

// given reports whether e proves as much. Hard is the provider's word for having
// given up and proves nothing of the address. Events from before there was a
// confidence have none; their permanent was the classifier's or the provider's
// firm word.
func (p Proof) given(e *schemas.Event) bool {
	dead := e.Permanent != nil && *e.Permanent
	switch p {
	case Certain:
		return dead && (e.Confidence == schemas.Certain || e.Confidence == "")
	case Likely:
		alive := e.Permanent != nil && !*e.Permanent
		return !alive && e.Confidence != schemas.Unknown && (dead || slices.Contains(ofTheAddress[:], e.Reason))
	case Reasoned:
		return e.Confidence != schemas.Unknown
	default:
		return true
	}
}

// Apply returns the state of an address after e, whose hash the state has. It
// is Merge with what the rule makes of e, so an event that is already in cur,
// or older than a newer decision, changes nothing that matters.
func (r Rule) Apply(cur schemas.Suppression, e *schemas.Event) schemas.Suppression {
	switch r.Do {
	case Count:
		return Merge(cur, schemas.Suppression{Hash: cur.Hash, Address: cur.Address, UpdatedAt: cur.UpdatedAt, SoftBounces: []schemas.SoftBounce{softOf(e)}})
	case End:
		h, _ := HealOf(e)
		return h.Apply(cur)
	}
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
		delta.Past = []schemas.SuppressionStep{AddedStep(delta)} // whichever event it ends up naming
		delta = r.withExpiry(delta, had)
	}
	return Merge(cur, schemas.Suppression{
		Hash: cur.Hash, Address: cur.Address, UpdatedAt: cur.UpdatedAt,
		Entries: []schemas.SuppressionEntry{delta},
	})
}

// Doubt returns the state of an address after e, a bounce of a time in which its
// mailbox provider refuses people who exist. The bounce lists for r.Probation,
// counts as no strike, and neither a replay of e nor of any older bounce makes it
// more: it is lifted at the moment it was made, and re-added after that. An
// address that was listed for ever before stays so. why is kept with the lift.
func (r Rule) Doubt(cur schemas.Suppression, e *schemas.Event, why string) schemas.Suppression {
	at := Stamp(eventTime(e))
	had := Find(cur, r.scope(cur, e), r.Reason)
	if had.Evidence != e.ID && added(had) && had.ExpiresAt.IsZero() && had.AddedAt.Before(at) || at.Before(had.RemovedAt) {
		return cur
	}
	entry := schemas.SuppressionEntry{
		Scope: had.Scope, Reason: had.Reason,
		RemovedAt: at.Add(time.Millisecond), RemovedBy: doubtedBy + e.ID, RemovedNote: why,
		AddedAt: at.Add(2 * time.Millisecond), Evidence: e.ID, Provider: e.Provider, Source: e.Source, Note: why,
	}
	entry.ExpiresAt = entry.AddedAt.Add(r.Probation)
	entry.Past = []schemas.SuppressionStep{{At: at, Evidence: e.ID, Provider: e.Provider, Source: e.Source}}
	return Merge(cur, schemas.Suppression{
		Hash: cur.Hash, Address: cur.Address, UpdatedAt: cur.UpdatedAt, Entries: []schemas.SuppressionEntry{entry},
	})
}

// doubtedBy starts what Doubt writes into RemovedBy.
const doubtedBy = "outage:"

// doubted reports whether nothing but Doubt has added e since it was lifted: it
// leaves Since open, so that the next bounce is the first strike.
func doubted(e schemas.SuppressionEntry) bool {
	return e.Since.IsZero() && strings.HasPrefix(e.RemovedBy, doubtedBy)
}

// Added returns what has to be merged into had, the present entry of that key,
// to say that it was added at at. The caller fills in the evidence.
func Added(had schemas.SuppressionEntry, at time.Time) schemas.SuppressionEntry {
	delta := schemas.SuppressionEntry{Scope: had.Scope, Reason: had.Reason, Rule: had.Rule, AddedAt: Stamp(at)}
	if delta.AddedAt.Before(had.RemovedAt) {
		return delta
	}
	delta.RemovedAt, delta.RemovedBy, delta.RemovedNote = had.RemovedAt, had.RemovedBy, had.RemovedNote
	delta.Since = delta.AddedAt
	if added(had) && !doubted(had) {
		delta.Since = earlierSet(Since(had), delta.AddedAt)
	}
	return delta
}

// Lifted returns what has to be merged into had, the present entry of that key,
// to say that it was lifted at at. The caller fills in who did it.
func Lifted(had schemas.SuppressionEntry, at time.Time) schemas.SuppressionEntry {
	delta := schemas.SuppressionEntry{Scope: had.Scope, Reason: had.Reason, Rule: had.Rule, RemovedAt: Stamp(at)}
	if delta.RemovedAt.Before(had.RemovedAt) || had.AddedAt.Before(delta.RemovedAt) {
		return delta // an older lift, or nothing newer than this one to keep
	}
	delta.Since = had.AddedAt
	if since := Since(had); !since.Before(delta.RemovedAt) {
		delta.Since = since
	}
	return delta
}

// withExpiry puts delta on probation unless it is the end of the address: by its
// own proof, by that of an earlier event, or as a second strike. Which of two
// events came later in time may be delta or the one that had knows: order must
// not matter.
func (r Rule) withExpiry(delta, had schemas.SuppressionEntry) schemas.SuppressionEntry {
	if r.Probation == 0 && r.Proof == NoProof || delta.AddedAt.Before(had.RemovedAt) {
		return delta
	}
	last, other := delta, had
	if other.ExpiresAt = (time.Time{}); compareAdded(other, delta) > 0 {
		last = other
	}
	forever := r.Probation == 0 || added(had) && had.ExpiresAt.IsZero() || last.AddedAt.Sub(delta.Since) >= r.SecondStrikeAfter
	if !forever {
		delta.ExpiresAt = delta.AddedAt.Add(r.Probation)
		return delta
	}
	delta.AddedAt, delta.Evidence = last.AddedAt, last.Evidence
	delta.Provider, delta.Source, delta.Note = last.Provider, last.Source, last.Note
	return delta
}

func (r Rule) scope(cur schemas.Suppression, e *schemas.Event) string {
	stream := ""
	if e.Provider == schemas.ProviderUnsubscribe { // in other events the name may mean anything
		stream = e.Metadata[schemas.MetadataStream]
	}
	if r.Scope == WholeAccount || e.ListID == "" && stream == "" {
		return schemas.ScopeAccount
	}
	scope := StreamScope(stream)
	if e.ListID != "" {
		scope = ListScope(e.ListID)
	}
	if r.Do == Suppress && len(cur.Entries) >= entriesMax && Find(cur, scope, r.Reason).AddedAt.IsZero() {
		return schemas.ScopeAccount
	}
	return scope
}

// eventTime is the provider's time, unless that is in the future by the clock
// of the ingress.
func eventTime(e *schemas.Event) time.Time {
	if !e.ReceivedAt.IsZero() && e.Time.After(e.ReceivedAt.Add(futureMax)) {
		return e.ReceivedAt
	}
	return e.Time
}
