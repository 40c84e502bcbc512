package postmark

import (
	"strings"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/internal/provider"
)

// bounce distinguishes the types of a bounce by their names: the numbers beside
// them differ between Postmark's documents.
func (e *entry) bounce(it *provider.Item) {
	ev := &it.Event
	if ev.SMTPReply = e.Text(fieldDetails); ev.SMTPReply == "" {
		ev.SMTPReply = e.Text(fieldDescription)
	}
	kind := e.Text(fieldType)
	it.Distinguish(e.Text(fieldID)) // its number in Postmark's list, the same in a repeat
	it.Distinguish(kind)
	it.Failure.Class = strings.ToLower(kind)
	it.Failure.Soft = true
	switch it.Failure.Class {
	case "hardbounce":
		ev.Type, ev.BounceType = schemas.Bounced, schemas.Hard
		it.Failure.Soft = false
	case "bademailaddress", "manuallydeactivated":
		ev.Type = schemas.Blocked
		it.Failure.Soft = false
	case "softbounce", "virusnotification", "unknown":
		ev.Type, ev.BounceType = schemas.Bounced, schemas.Soft
	case "transient", "dnserror", "openrelaytest":
		ev.Type = schemas.Deferred
	case "blocked", "dmarcpolicy", "spamnotification", "unconfirmed":
		ev.Type = schemas.Blocked
	case "smtpapierror", "templaterenderingfailed":
		ev.Type = schemas.Failed
	case "spamcomplaint":
		ev.Type = schemas.Complained
	case "unsubscribe":
		ev.Type = schemas.Unsubscribed
		ev.ListID = e.Text(fieldStream)
	case "subscribe":
		ev.Type = schemas.Subscribed
		ev.ListID = e.Text(fieldStream)
	case "autoresponder", "addresschange", "challengeverification", "inbounderror":
		ev.Type = schemas.Other // a reply, or a message to the sender
	default: // no word on the address: the reply decides
		ev.Type = schemas.Bounced
		it.Failure.Soft = false
		e.Out.Drift(provider.UnknownEvent, kind)
	}
	if inactive := provider.Boolean(e.Value(fieldInactive)); inactive != nil && *inactive {
		it.Failure.Soft = false // Postmark sends nothing there any more
	}
}
