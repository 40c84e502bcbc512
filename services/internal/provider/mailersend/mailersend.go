// Package mailersend reads the webhooks of MailerSend, versions 1 and 2: one
// object a request, deep in the first and nearly flat in the second.
//
// The ping that tries a new webhook is not an event.
package mailersend

import (
	"net/http"
	"strings"
	"time"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/internal/jsontext"
	"github.com/mailstream/mailstream/services/internal/provider"
)

// Name is the provider's name in the configuration and in events.
const Name = "mailersend"

// Provider reads MailerSend's webhooks.
type Provider struct{}

// Name returns Name.
func (Provider) Name() string { return Name }

// Answers says that MailerSend takes any 2xx as done, drops an event at a 4xx,
// and repeats for about three days after a 503 or three seconds without an answer.
func (Provider) Answers() provider.Answers {
	a := provider.Refused(http.StatusServiceUnavailable)
	a.ResponseTimeout = 3 * time.Second
	return a
}

// ping is the type of what tries a webhook.
const ping = "webhook.test"

// Decode takes one object with one event in it.
func (Provider) Decode(req *provider.Request, out *provider.Batch) error {
	raw, m, err := out.ObjectIn(req.Body, req.Limits)
	if err != nil {
		return err
	}
	e := entry{Fields: out.Fields(fieldCount)}
	var data, posted jsontext.Value
	for m.Next() {
		switch key := m.Key(); key {
		case "type":
			e.kind = out.Text(m.Value())
		case "created_at":
			posted = m.Value()
		case "data":
			data = m.Value()
		case "domain_id", "webhook_id", "url", "message": // the last is a ping's
		default:
			out.DriftAt(provider.UnknownField, m.Value())
		}
	}
	if e.kind == ping {
		return nil
	}
	it := out.Add(raw)
	e.read(data)
	e.event(it, posted)
	return nil
}

// entry is one request taken apart; the last of two equal keys counts.
type entry struct {
	provider.Fields
	kind      string // MailerSend's word for what happened
	messageID string
	recipient string
}

func (e *entry) read(data jsontext.Value) {
	e.ReadOr(e.Out.Object(data), fieldOf, func(key string, v jsontext.Value) {
		switch key {
		case "email", "recipient":
			e.address(v)
		case "message_id":
			e.messageID = e.Out.Text(v)
		case "morph", "meta": // of version 1 and of version 2
			e.ReadOr(e.Out.Object(v), detailOf, e.unknown)
		default:
			e.unknown(key, v)
		}
	})
}

// unknown notes a field of an activity. Of other events only type and time are
// documented, so nothing else of theirs is known or unknown.
func (e *entry) unknown(_ string, v jsontext.Value) {
	if strings.HasPrefix(e.kind, "activity.") {
		e.Out.DriftAt(provider.UnknownField, v)
	}
}

// tags reads an array, or the object that PHP makes of one with gaps.
func (e *entry) tags(it *provider.Item) {
	v := e.Value(fieldTags)
	if v.Kind() != jsontext.Object {
		e.Out.Tags(it, v)
		return
	}
	for m := e.Out.Members(v); m.Next(); {
		it.AddTag(e.Out.Text(m.Value()))
	}
}

// address reads the recipient: text, an object, or the message of version 1
// that contains it.
func (e *entry) address(v jsontext.Value) {
	if v.Kind() != jsontext.Object {
		if text := e.Out.Text(v); text != "" {
			e.recipient = text
		}
		return
	}
	for m := e.Out.Members(v); m.Next(); {
		switch key := m.Key(); key {
		case "email":
			e.recipient = e.Out.Text(m.Value())
		case "recipient":
			e.recipient = e.member(m.Value(), "email")
		case "message":
			e.messageID = e.member(m.Value(), "id")
		case "tags":
			e.Set(fieldTags, m.Value())
		case "headers":
			e.Set(fieldHeaders, m.Value())
		case "from":
			e.Set(fieldFrom, m.Value())
		case "subject":
			e.Set(fieldSubject, m.Value())
		case "object", "id", "created_at", "updated_at", "deleted_at", "status":
		default:
			e.unknown(key, m.Value())
		}
	}
}

// member returns one member of an object as text.
func (e *entry) member(v jsontext.Value, want string) string {
	text := ""
	for m := e.Out.Object(v); m.Next(); {
		if m.Key() == want {
			text = e.Out.Text(m.Value())
		}
	}
	return text
}

// event fills in what every event has.
func (e *entry) event(it *provider.Item, posted jsontext.Value) {
	ev := &it.Event
	kind := strings.ToLower(e.kind)
	ev.ProviderEvent = e.kind
	ev.ProviderEventID = e.Text(fieldID)
	ev.MessageID, ev.Recipient = e.messageID, e.recipient
	switch {
	case kind == "":
		it.Reject(provider.NoType)
		return
	case ev.Recipient == "" && ev.MessageID == "" && strings.HasPrefix(kind, "activity."):
		it.Reject(provider.NoIdentity)
		return
	}
	// In version 1 the outer object has the time of the request, the inner one that
	// of the event.
	if it.ReadTime(e.Value(fieldTime), provider.Time); ev.Time.IsZero() {
		it.ReadTime(posted, provider.Time)
	}
	ev.Subject, ev.FromDomain, ev.Template = e.Text(fieldSubject), e.Text(fieldFrom), e.Text(fieldTemplate)
	e.tags(it)
	if e.Value(fieldHeaders).Kind() == jsontext.Object {
		e.Metadata(it, fieldHeaders)
	}
	it.Distinguish(ev.ProviderEventID) // of the activity, the same in a repeat
	e.byType(it, kind)
}

// byType fills in what depends on the kind of event.
func (e *entry) byType(it *provider.Item, kind string) {
	ev := &it.Event
	switch kind {
	case "activity.sent":
		ev.Type = schemas.Processed
	case "activity.delivered":
		ev.Type = schemas.Delivered
	case "activity.deferred":
		ev.Type = schemas.Deferred
		e.reply(it)
		it.Failure.Soft = true // MailerSend goes on trying
	case "activity.soft_bounced":
		ev.Type, ev.BounceType = schemas.Bounced, schemas.Soft
		e.reply(it)
		it.Failure.Class, it.Failure.Soft = "soft_bounced", true
	case "activity.hard_bounced":
		ev.Type, ev.BounceType = schemas.Bounced, schemas.Hard
		e.reply(it)
		it.Failure.Class = "hard_bounced" // of policy too, so the reply may say that it will pass
	case "activity.opened", "activity.opened_unique":
		ev.Type = schemas.Opened
		e.reader(it)
	case "activity.clicked", "activity.clicked_unique":
		ev.Type = schemas.Clicked
		ev.URL = e.Text(fieldURL)
		e.reader(it)
		it.Distinguish(ev.URL) // two links at once, should an id be missing
	case "activity.unsubscribed":
		ev.Type = schemas.Unsubscribed
	case "activity.spam_complaint":
		ev.Type = schemas.Complained
	case "activity.survey_opened", "activity.survey_submitted", "sender_identity.verified", "maintenance.start",
		"maintenance.end", "inbound_forward.failed", "inbound_message.rejected", "inbound.message",
		"email_single.verified", "email_list.verified", "bulk_email.completed",
		"recipient.on_hold_added", "recipient.on_hold_removed", "sms.sent", "sms.delivered", "sms.failed":
		ev.Type = schemas.Other // nothing that happened to a message on its way
		e.distinguishRaw(it)
	default:
		ev.Type = schemas.Other
		e.Out.Drift(provider.UnknownEvent, ev.ProviderEvent)
		e.distinguishRaw(it)
	}
}

// distinguishRaw uses the bytes of an event without a number as discriminator,
// where nothing else is known; a repeat has the same bytes except for the time
// it was posted.
func (e *entry) distinguishRaw(it *provider.Item) {
	if it.Event.ProviderEventID == "" {
		it.Distinguish(string(it.Event.Raw))
	}
}

// reply fills in what the remote server said.
func (e *entry) reply(it *provider.Item) {
	ev := &it.Event
	ev.SMTPCode = provider.SMTPCode(e.Text(fieldCode))
	ev.SMTPReply = e.Text(fieldReason)
	it.Distinguish(ev.SMTPReply) // fails twice at once, should an id be missing
}

// reader fills in what is known of the one who opened or clicked.
func (e *entry) reader(it *provider.Item) {
	ev := &it.Event
	ev.IP = provider.IP(e.Text(fieldIP))
	ev.UserAgent = e.Text(fieldAgent)
	ev.Country = provider.Country(e.Text(fieldCountry))
}
