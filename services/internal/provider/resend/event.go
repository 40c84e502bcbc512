package resend

import (
	"strings"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/internal/jsontext"
	"github.com/mailstream/mailstream/services/internal/provider"
)

// byType fills in what depends on the kind of event.
func (e *entry) byType(it *provider.Item, kind string, i int) {
	ev := &it.Event
	switch kind {
	case "email.sent", "email.scheduled":
		ev.Type = schemas.Processed
	case "email.delivered":
		ev.Type = schemas.Delivered
	case "email.delivery_delayed":
		ev.Type = schemas.Deferred
		it.Failure.Soft = true // Resend goes on trying
	case "email.bounced":
		e.bounced(it, i)
	case "email.suppressed":
		e.suppressed(it, i)
	case "email.failed":
		e.failed(it)
	case "email.complained":
		ev.Type = schemas.Complained
	case "email.opened":
		it.SetSent(provider.Time(e.Value(fieldCreated)))
		ev.Type = schemas.Opened
	case "email.clicked":
		e.clicked(it)
	case "contact.created", "contact.updated":
		e.contact(it, kind)
	case "email.received", "contact.deleted", "domain.created", "domain.updated", "domain.deleted",
		"suppression.added", "suppression.removed":
		ev.Type = schemas.Other // nothing that happened to a message of the sender
	default:
		e.Out.Unknown(it)
	}
}

// verdict is what Resend says of a message that did not arrive.
type verdict struct{ kind, detail, reason, message, diagnostic string }

// verdict reads that for recipient number i.
func (e *entry) verdict(f provider.FieldID, i int) verdict {
	var v verdict
	for m := e.Object(f); m.Next(); {
		switch key := m.Key(); key {
		case "type":
			v.kind = strings.ToLower(e.Out.Text(m.Value()))
		case "subType":
			v.detail = strings.ToLower(e.Out.Text(m.Value()))
		case "reason":
			v.reason = e.Out.Text(m.Value())
		case "message":
			v.message = e.Out.Text(m.Value())
		case "diagnosticCode":
			v.diagnostic = e.diagnostic(m.Value(), i)
		default:
			e.Out.DriftAt(provider.UnknownField, m.Value())
		}
	}
	return v
}

// diagnostic is what the remote server said of recipient number i: there is one
// text for each, or one for all.
func (e *entry) diagnostic(v jsontext.Value, i int) string {
	if v.Kind() != jsontext.Array {
		return e.Out.Text(v)
	}
	first, n := "", 0
	for list := v.Elements(); list.Next(); n++ {
		text := e.Out.Text(list.Value())
		if n == i {
			return text
		}
		if n == 0 {
			first = text
		}
	}
	if n == 1 {
		return first
	}
	return ""
}

// reply is the remote server's words, or Resend's in its place.
func (v verdict) reply() string {
	if v.diagnostic == "" {
		return v.message
	}
	return v.diagnostic
}

func (e *entry) bounced(it *provider.Item, i int) {
	ev := &it.Event
	v := e.verdict(fieldBounce, i)
	ev.SMTPReply = v.reply()
	it.Failure.Class = v.detail
	if strings.Contains(strings.ToLower(v.message), "suppress") { // from before there was email.suppressed
		ev.Type = schemas.Blocked
		it.Failure.Class = "previous_bounce"
		return
	}
	ev.Type = schemas.Bounced
	switch v.kind {
	case "permanent":
		ev.BounceType = schemas.Hard
	case "transient", "undetermined":
		ev.BounceType = schemas.Soft
		it.Failure.Soft = true
	default: // no word on the address: the reply decides
	}
}

// suppressed was not even tried.
func (e *entry) suppressed(it *provider.Item, i int) {
	v := e.verdict(fieldSuppressed, i)
	it.Event.Type = schemas.Blocked
	it.Event.SMTPReply = v.reply()
	if it.Failure.Class = v.reason; v.reason == "" {
		it.Failure.Class = "previous_bounce" // the usual cause
	}
}

// failed is about the account: its quota, its domain, its key.
func (e *entry) failed(it *provider.Item) {
	v := e.verdict(fieldFailed, 0)
	it.Event.Type = schemas.Failed
	it.Event.SMTPReply = v.reason
	it.Failure.Class = v.reason
	it.Failure.Soft = true
}

func (e *entry) clicked(it *provider.Item) {
	ev := &it.Event
	ev.Type = schemas.Clicked
	it.SetSent(provider.Time(e.Value(fieldCreated)))
	for m := e.Object(fieldClick); m.Next(); {
		switch key := m.Key(); key {
		case "ipAddress":
			ev.IP = provider.IP(e.Out.Text(m.Value()))
		case "link":
			ev.URL = e.Out.Text(m.Value())
		case "userAgent":
			ev.UserAgent = e.Out.Text(m.Value())
		case "timestamp": // of the click itself; created_at is a little later
			if t, stamp := provider.Time(m.Value()); !t.IsZero() {
				it.SetTime(t, stamp)
				it.TimeIn(m.Value())
			}
		default:
			e.Out.DriftAt(provider.UnknownField, m.Value())
		}
	}
	it.Distinguish(ev.URL) // two links at once, should the header be missing
}

// contact takes a new contact that wants mail for subscribed and one that comes
// to want none for unsubscribed. Any other change may be one of the name. Who
// wants none wants none at all: an audience would make it an unsubscribe from
// that audience alone.
func (e *entry) contact(it *provider.Item, kind string) {
	ev := &it.Event
	ev.Type = schemas.Other
	ev.ListID = e.Text(fieldAudience)
	out := provider.Boolean(e.Value(fieldUnsubscribed))
	switch {
	case out == nil:
	case *out && kind == "contact.updated":
		ev.Type, ev.ListID = schemas.Unsubscribed, ""
	case !*out && kind == "contact.created":
		ev.Type = schemas.Subscribed
	}
}
