package schemas

import (
	"encoding/json"
	"time"
)

// Type is what happened to a message, in one vocabulary for all providers.
type Type string

// The event types. Each has a topic of its own, EventTopic. What a generic source
// sends that is not an event of an email has a Type webhook.SOURCE.NAME, which is
// its topic too.
const (
	Processed    Type = "processed"    // the provider took the message from the sender
	Delivered    Type = "delivered"    // the remote MTA answered 250 (RFC 5321, section 4.2.1)
	Deferred     Type = "deferred"     // the provider retries
	Bounced      Type = "bounced"      // given up: BounceType says hard or soft
	Blocked      Type = "blocked"      // refused by policy or reputation, or not even tried
	Failed       Type = "failed"       // the message itself was at fault (template, content)
	Opened       Type = "opened"       // the tracking pixel was fetched
	Clicked      Type = "clicked"      // a tracked link was followed
	Complained   Type = "complained"   // the recipient reported it as spam
	Unsubscribed Type = "unsubscribed" // the recipient does not want this stream or list
	Subscribed   Type = "subscribed"   // the recipient asked for it once more
	Other        Type = "other"        // none of these
)

// ProviderUnsubscribe is the Event.Provider of what people chose by a link of
// List-Unsubscribe that the ingress serves itself. Where the mail had a stream and no
// list, the stream is MetadataStream of Event.Metadata.
const (
	ProviderUnsubscribe = "unsubscribe"
	MetadataStream      = "stream"
)

// Types returns every event type, in the order of a message's life. The caller
// owns the slice.
func Types() []Type {
	return []Type{
		Processed, Delivered, Deferred, Bounced, Blocked, Failed,
		Opened, Clicked, Complained, Unsubscribed, Subscribed, Other,
	}
}

// BounceType says whether a refusal is permanent or temporary. Only bounced events
// carry it.
type BounceType string

// The bounce types.
const (
	Hard BounceType = "hard"
	Soft BounceType = "soft"
)

// Reason is why a message did not arrive.
type Reason string

// The reasons. CauseOf groups them.
const (
	InvalidRecipient      Reason = "invalid_recipient"      // the mailbox does not exist
	MailboxInactive       Reason = "mailbox_inactive"       // it exists and is switched off
	DomainNotFound        Reason = "domain_not_found"       // no MX and no address record
	MailboxFull           Reason = "mailbox_full"           // quota
	Blocklist             Reason = "blocklist"              // our address, domain or URL is on a list, named or not
	Reputation            Reason = "reputation"             // what the server itself thinks of us
	Authentication        Reason = "authentication"         // SPF, DKIM, DMARC, reverse DNS, TLS
	SenderAddress         Reason = "sender_address"         // the sender's address or domain is refused or does not exist
	RelayDenied           Reason = "relay_denied"           // the server is not the recipient's, or wants a login
	ProtocolError         Reason = "protocol_error"         // a command or header against RFC 5321 or 5322
	Policy                Reason = "policy"                 // a rule of the server or of the recipient
	RateLimited           Reason = "rate_limited"           // too fast or too many
	SpamContent           Reason = "spam_content"           // the text was taken for spam or worse
	MessageTooLarge       Reason = "message_too_large"      // more bytes than the server takes
	TemplateError         Reason = "template_error"         // the provider could not render it
	SuppressedBounce      Reason = "suppressed_bounce"      // not tried: it bounced before
	SuppressedComplaint   Reason = "suppressed_complaint"   // not tried: it complained before
	SuppressedUnsubscribe Reason = "suppressed_unsubscribe" // not tried: it unsubscribed before
	Greylisted            Reason = "greylisted"             // come back in some minutes
	Timeout               Reason = "timeout"                // the remote server did not answer
	Loop                  Reason = "loop"                   // too many hops, or back at its start
	SystemError           Reason = "system_error"           // the remote server is broken or full
	OtherReason           Reason = "other"                  // none of these
)

// Reasons returns every reason. The caller owns the slice.
func Reasons() []Reason {
	return []Reason{
		InvalidRecipient, MailboxInactive, DomainNotFound, MailboxFull,
		Blocklist, Reputation, Authentication, SenderAddress, RelayDenied,
		ProtocolError, Policy, RateLimited,
		SpamContent, MessageTooLarge, TemplateError,
		SuppressedBounce, SuppressedComplaint, SuppressedUnsubscribe,
		Greylisted, Timeout, Loop, SystemError, OtherReason,
	}
}

// Cause is who has to act on a Reason.
type Cause string

// The causes.
const (
	CauseRecipient Cause = "recipient" // the address: clean the list
	CauseSender    Cause = "sender"    // our reputation, authentication or pace
	CauseContent   Cause = "content"   // the text or the template
	CauseProvider  Cause = "provider"  // the email provider did not even try
	CauseNetwork   Cause = "network"   // no one: it is temporary
	CauseOther     Cause = "other"     // unknown
)

// Causes returns every cause. The caller owns the slice.
func Causes() []Cause {
	return []Cause{CauseRecipient, CauseSender, CauseContent, CauseProvider, CauseNetwork, CauseOther}
}

// CauseOf returns the group of r, CauseOther for a reason it does not know.
func CauseOf(r Reason) Cause {
	switch r {
	case InvalidRecipient, MailboxInactive, DomainNotFound, MailboxFull:
		return CauseRecipient
	case Blocklist, Reputation, Authentication, SenderAddress, RelayDenied, ProtocolError, Policy, RateLimited:
		return CauseSender
	case SpamContent, MessageTooLarge, TemplateError:
		return CauseContent
	case SuppressedBounce, SuppressedComplaint, SuppressedUnsubscribe:
		return CauseProvider
	case Greylisted, Timeout, Loop, SystemError:
		return CauseNetwork
	default:
		return CauseOther
	}
}

// Confidence is how sure a Reason is.
type Confidence string

// The confidences. Whatever acts on an address for good needs Certain.
const (
	Certain Confidence = "certain" // code and text agree, or one of them leaves no doubt
	Likely  Confidence = "likely"  // one general hint and nothing against it
	Unknown Confidence = "unknown" // no evidence: Reason is a guess, or other
)

// Confidences returns every confidence, the surest first. The caller owns the
// slice.
func Confidences() []Confidence { return []Confidence{Certain, Likely, Unknown} }

// Event is one thing that happened to one message for one recipient: the value
// of a record in the topic EventTopic(prefix, Type). Absent fields are unknown.
// Times travel as RFC 3339 in UTC with milliseconds; numbers that may exceed
// 2^53 (Mailjet's MessageID) as strings.
type Event struct {
	// ID is a UUIDv8 (RFC 9562): 48 bits of Time in milliseconds, the rest a hash
	// of what makes this event different from all others. When the provider
	// resends an event it has the same ID.
	ID   string `json:"id"`
	Type Type   `json:"type"`
	// Time is when it happened, by the provider's clock.
	Time time.Time `json:"time"`
	// ReceivedAt is when the ingress took it. It differs between resends.
	ReceivedAt time.Time `json:"received_at"`

	Provider        string `json:"provider"`                    // "mailjet", ...
	Source          string `json:"source"`                      // the configured account that received it
	ProviderEvent   string `json:"provider_event,omitempty"`    // the provider's own word for Type
	ProviderEventID string `json:"provider_event_id,omitempty"` // evidence only: may change on a resend

	MessageID       string `json:"message_id,omitempty"`
	Recipient       string `json:"recipient,omitempty"`
	RecipientDomain string `json:"recipient_domain,omitempty"` // lower case A-label (RFC 5890)
	// RecipientHash is 16 bytes of HMAC-SHA256(pepper, canonical address) in hex:
	// the same person has the same hash whichever provider reports.
	RecipientHash   string `json:"recipient_hash,omitempty"`
	MailboxProvider string `json:"mailbox_provider,omitempty"` // "google", "microsoft", ...

	Campaign string            `json:"campaign,omitempty"`
	Tags     []string          `json:"tags,omitempty"`
	Metadata map[string]string `json:"metadata,omitempty"`

	// What the message says of itself and of its sender, where the provider tells it.
	Subject string `json:"subject,omitempty"` // as the provider has it, decoded (RFC 2047) where it does so
	// FromDomain is the domain of the From header (RFC 5322), which readers see and
	// DMARC asks: lower case A-label.
	FromDomain string `json:"from_domain,omitempty"`
	// SendingDomain is the domain whose reputation is asked beside it: of the DKIM
	// signature or of the envelope sender, whichever the provider tells; lower case.
	SendingDomain string `json:"sending_domain,omitempty"`
	Template      string `json:"template,omitempty"` // the provider's name or number of it

	BounceType BounceType `json:"bounce_type,omitempty"`
	Reason     Reason     `json:"reason,omitempty"`
	Cause      Cause      `json:"cause,omitempty"`
	// Confidence says how sure Reason is. A consumer that acts on an address for
	// good looks at Permanent, which is true only of what is certain.
	Confidence Confidence `json:"confidence,omitempty"`
	// Classifier is the version of the data file that gave Reason and Cause.
	Classifier string `json:"classifier,omitempty"`
	// Permanent says whether another try at this address is pointless: true when
	// address or domain are certainly dead, false when something else was at fault;
	// nil is unknown.
	Permanent    *bool  `json:"permanent,omitempty"`
	SMTPCode     int    `json:"smtp_code,omitempty"`     // RFC 5321, 200 to 599
	EnhancedCode string `json:"enhanced_code,omitempty"` // RFC 3463, "5.1.1"
	SMTPReply    string `json:"smtp_reply,omitempty"`
	// Blocklist names who refused us, in words that do not change: "spamhaus-zen",
	// "microsoft-s3150". Of Reason blocklist, and of others where the reply says so.
	Blocklist        string `json:"blocklist,omitempty"`
	BlocklistSubject string `json:"blocklist_subject,omitempty"` // the IP address or domain of ours it names
	BlocklistURL     string `json:"blocklist_url,omitempty"`     // where to look it up or have it taken off

	URL       string `json:"url,omitempty"`
	IP        string `json:"ip,omitempty"`
	UserAgent string `json:"user_agent,omitempty"`
	Country   string `json:"country,omitempty"` // ISO 3166-1 alpha-2
	// Machine says that a prefetch or a scanner did it, not a person; nil is unknown.
	Machine *bool `json:"machine,omitempty"`

	FeedbackSource string `json:"feedback_source,omitempty"` // feedback loop of a complaint
	ListID         string `json:"list_id,omitempty"`
	SendingIP      string `json:"sending_ip,omitempty"`
	IPPool         string `json:"ip_pool,omitempty"` // the provider's name of the addresses that SendingIP is one of

	// Raw is the provider's item exactly as received (forms as an object).
	Raw json.RawMessage `json:"raw,omitempty"`
}

// PartitionKey returns the Kafka record key of e. All events of a recipient
// share it, so they stay in order and share a partition number across topics;
// without a recipient the message ID does that. What is about neither by its nature,
// such as a change of the account, has the event's own ID.
func PartitionKey(e *Event) string {
	switch {
	case e.RecipientHash != "":
		return e.RecipientHash
	case e.MessageID != "":
		return e.MessageID
	default:
		return e.ID
	}
}
