// Package normalise completes an event draft: who the recipient is, who runs the
// mailbox, why it failed, whether a machine did it, when it happened, and the
// id. It is the same for all providers.
//
// It is a pure function of the draft, the source and the time of receipt; it
// makes no lookup and loses no item.
package normalise

import (
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/internal/address"
	"github.com/mailstream/mailstream/services/internal/classify"
	"github.com/mailstream/mailstream/services/internal/mailbox"
	"github.com/mailstream/mailstream/services/internal/provider"
)

// aheadMax is how far a provider's clock may be ahead of ours. A day covers a
// time given in the wrong zone.
const aheadMax = 24 * time.Hour

// eventTimeMin is before any provider existed; what claims to be older has a
// broken clock or another unit.
var eventTimeMin = time.Date(2005, time.January, 1, 0, 0, 0, 0, time.UTC)

// Normaliser completes events. It is safe for concurrent use.
type Normaliser struct {
	hasher     *address.Hasher
	classifier *classify.Classifier
	machines   *classify.Machines
	mailboxes  *mailbox.Table
}

// New reads the data files. Hasher and classifier are shared.
func New(hasher *address.Hasher, classifier *classify.Classifier) (*Normaliser, error) {
	machines, err := classify.NewMachines()
	if err != nil {
		return nil, err
	}
	mailboxes, err := mailbox.New()
	if err != nil {
		return nil, err
	}
	return &Normaliser{hasher: hasher, classifier: classifier, machines: machines, mailboxes: mailboxes}, nil
}

// Origin is where and when a request came in.
type Origin struct {
	Provider   string
	Source     string
	ReceivedAt time.Time
}

// Complete fills in what the draft of it does not say, all but the id. An item
// without recipient and message is rejected.
func (n *Normaliser) Complete(it *provider.Item, o Origin) {
	ev := &it.Event
	ev.Provider, ev.Source = o.Provider, o.Source
	ev.ReceivedAt = o.ReceivedAt
	if n.recipient(it); !identified(it) {
		it.Reject(provider.NoIdentity)
		return
	}
	sender(ev)
	n.verdict(it)
	if ev.Type == schemas.Opened || ev.Type == schemas.Clicked {
		if ev.Machine == nil {
			ev.Machine = n.machines.Judge(ev.UserAgent)
		}
		if ev.Machine == nil && classify.TooSoon(it.SentAt, ev.Time) {
			ev.Machine = provider.True()
		}
	}
	it.Claimed = ev.Time
	ev.Time = eventTime(it.Claimed, o.ReceivedAt)
}

// identified says whether it names a person or a message, which is what the key
// of its record is made of. Only account changes and the custom types of a
// generic source have neither recipient nor message; the recipient of these is
// never an invalid address.
func identified(it *provider.Item) bool {
	ev := &it.Event
	return it.Person != "" || strings.TrimSpace(ev.MessageID) != "" ||
		ev.Recipient == "" && (ev.Type == schemas.Other || !slices.Contains(schemas.Types(), ev.Type))
}

// Believed says whether the provider's time was taken as it is.
func Believed(it *provider.Item) bool { return it.Event.Time.Equal(it.Claimed) }

// eventTime returns the time an event is filed under. An implausible time (none,
// before 2005, more than a day in the future) would make partitions in every
// store and suppress for ever, so the event is filed under the start of the day
// it was received: a repeat on the same day lands in the same place. Its id does
// not depend on that.
func eventTime(claimed, receivedAt time.Time) time.Time {
	if claimed.Before(eventTimeMin) || claimed.After(receivedAt.Add(aheadMax)) {
		return receivedAt.UTC().Truncate(24 * time.Hour)
	}
	return claimed
}

// recipient fills in who it is, without the display name that some providers leave
// in. An address that is not valid stays as it was received and has no hash: such an
// event is kept for its message, and suppresses no recipient.
func (n *Normaliser) recipient(it *provider.Item) {
	ev := &it.Event
	ev.Recipient = provider.Address(ev.Recipient)
	if ev.Recipient == "" || strings.ContainsAny(ev.Recipient, "<>;") { // none or several
		return
	}
	canonical, err := address.Canonical(ev.Recipient)
	if err != nil {
		return
	}
	it.Person = canonical
	ev.RecipientDomain = address.Domain(canonical)
	ev.RecipientHash = n.hasher.Hash(canonical)
	ev.MailboxProvider = n.mailboxes.Provider(ev.RecipientDomain)
}

// subjectBytesMax bounds a subject: what a line of a header may have (RFC 5322,
// section 2.1.1). The rest is in raw.
const subjectBytesMax = 998

// sender brings what a provider says of the sender into one form. The draft may have
// whole addresses for domains.
func sender(ev *schemas.Event) {
	ev.FromDomain = address.DomainOf(provider.Address(ev.FromDomain))
	ev.SendingDomain = address.DomainOf(provider.Address(ev.SendingDomain))
	if end := subjectBytesMax; len(ev.Subject) > end {
		for end > 0 && !utf8.RuneStart(ev.Subject[end]) { // a letter is there whole or not at all
			end--
		}
		ev.Subject = ev.Subject[:end]
	}
}

// verdict fills in the codes and, for what did not arrive, the reason.
func (n *Normaliser) verdict(it *provider.Item) {
	ev := &it.Event
	if ev.SMTPReply != "" && (ev.SMTPCode == 0 || ev.EnhancedCode == "") {
		code, enhanced := classify.Codes(ev.SMTPReply)
		if ev.SMTPCode == 0 {
			ev.SMTPCode = code
		}
		if ev.EnhancedCode == "" {
			ev.EnhancedCode = enhanced
		}
	}
	switch ev.Type {
	case schemas.Deferred, schemas.Bounced, schemas.Blocked, schemas.Failed:
	default:
		return
	}
	in := it.Failure
	in.Provider, in.Reply, in.SMTPCode, in.Enhanced = ev.Provider, ev.SMTPReply, ev.SMTPCode, ev.EnhancedCode
	v := n.classifier.Classify(in)
	apply(ev, v)
	ev.Permanent, ev.Classifier = v.Permanent, n.classifier.Version()
	if ev.Type == schemas.Bounced && ev.BounceType == "" {
		ev.BounceType = schemas.Soft
		if v.Dead() {
			ev.BounceType = schemas.Hard
		}
	}
}

// Rejudge judges ev anew from what is stored of it: the reply and the codes, or the
// user agent. It is for events whose bytes are gone, so that the provider's own class
// of the failure is unknown. It reports false, and leaves ev as it is, where that class
// may have decided: what the reply alone says is taken only where it is certain.
func (n *Normaliser) Rejudge(ev *schemas.Event) bool {
	switch ev.Type {
	case schemas.Opened, schemas.Clicked:
		if ev.Machine == nil {
			ev.Machine = n.machines.Judge(ev.UserAgent)
		}
		return true
	case schemas.Deferred, schemas.Bounced, schemas.Blocked, schemas.Failed:
	default:
		return true
	}
	if ev.Classifier == n.classifier.Version() {
		return true
	}
	in := classify.Input{Provider: ev.Provider, Reply: ev.SMTPReply, SMTPCode: ev.SMTPCode, Enhanced: ev.EnhancedCode}
	v := n.classifier.Classify(in)
	if ev.SMTPReply == "" || ev.Cause == schemas.CauseProvider || v.Confidence != schemas.Certain {
		return false
	}
	ev.Permanent = n.permanence(ev, in, v)
	apply(ev, v)
	ev.Classifier = n.classifier.Version()
	return true
}

// permanence is Permanent of v for ev, of which it may be forgotten whether the provider
// called the failure temporary. Where that decides and is not stored, what is
// stored of the same reason stays, and of another reason it is unknown.
func (n *Normaliser) permanence(ev *schemas.Event, in classify.Input, v classify.Verdict) *bool {
	firm := ev.BounceType == schemas.Hard || ev.Permanent != nil && *ev.Permanent
	in.Soft = true
	soft := n.classifier.Classify(in).Permanent
	switch {
	case firm || v.Permanent != nil && soft != nil && *v.Permanent == *soft:
		return v.Permanent
	case v.Reason == ev.Reason:
		return ev.Permanent
	default:
		return nil
	}
}

// apply writes what v says of the reason; Permanent is the caller's.
func apply(ev *schemas.Event, v classify.Verdict) {
	ev.Reason, ev.Cause, ev.Confidence = v.Reason, v.Cause, v.Confidence
	ev.Blocklist, ev.BlocklistSubject, ev.BlocklistURL = v.Listing.Slug, v.Listing.Subject, v.Listing.URL()
}
