// Package mailjet reads the Event API webhooks of Mailjet: a bare JSON object
// (version 1) or an array of them (version 2, "group events"), types mixed.
//
// Mailjet has no event id, no signature and no processed event. It does not
// promise that the number of fields stays as it is.
package mailjet

import (
	"strings"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/internal/jsontext"
	"github.com/mailstream/mailstream/services/internal/provider"
)

// Name is the provider's name in the configuration and in events.
const Name = "mailjet"

// Provider reads Mailjet's webhooks.
type Provider struct{}

// Name returns Name.
func (Provider) Name() string { return Name }

// Answers says that Mailjet takes 200 alone as done and repeats the rest every
// 30 s for 24 h.
func (Provider) Answers() provider.Answers { return provider.Retried() }

// Decode takes one object or an array of objects.
func (Provider) Decode(req *provider.Request, out *provider.Batch) error {
	return out.ObjectsIn(req.Body, req.Limits, decode)
}

// field is a documented field. The order has no meaning.
type field int

const (
	fieldEvent field = iota
	fieldTime
	fieldMessageID
	fieldOldMessageID
	fieldGUID
	fieldEmail
	fieldCampaignID
	fieldContactID
	fieldCampaign
	fieldCustomID
	fieldPayload
	fieldReply
	fieldIP
	fieldGeo
	fieldAgent
	fieldURL
	fieldBlocked
	fieldHardBounce
	fieldRelatedTo
	fieldError
	fieldComment
	fieldSource
	fieldListID
	fieldCount // how many there are
)

func fieldOf(key string) field {
	switch key {
	case "event":
		return fieldEvent
	case "time":
		return fieldTime
	case "MessageID":
		return fieldMessageID
	case "mj_message_id": // the same as text, deprecated
		return fieldOldMessageID
	case "Message_GUID": // the Send API's UUID; raw has it
		return fieldGUID
	case "email":
		return fieldEmail
	case "mj_campaign_id":
		return fieldCampaignID
	case "mj_contact_id": // Mailjet's own number of the address; raw has it
		return fieldContactID
	case "customcampaign":
		return fieldCampaign
	case "CustomID":
		return fieldCustomID
	case "Payload":
		return fieldPayload
	case "smtp_reply":
		return fieldReply
	case "ip":
		return fieldIP
	case "geo":
		return fieldGeo
	case "agent":
		return fieldAgent
	case "url":
		return fieldURL
	case "blocked": // Mailjet will not try the address again; raw has it
		return fieldBlocked
	case "hard_bounce":
		return fieldHardBounce
	case "error_related_to":
		return fieldRelatedTo
	case "error":
		return fieldError
	case "comment":
		return fieldComment
	case "source":
		return fieldSource
	case "mj_list_id":
		return fieldListID
	default:
		return fieldCount
	}
}

// entry is one object taken apart; the last of two equal keys counts.
type entry struct {
	values [fieldCount]jsontext.Value
	out    *provider.Batch
}

// text returns a field as text, "" when it is absent, null, or no text. Numbers
// come as they are written, so MessageID keeps every digit.
func (e *entry) text(f field, name string) string {
	v := e.values[f]
	text, ok := v.Text()
	if !ok && v.Kind() != jsontext.Invalid && v.Kind() != jsontext.Null {
		e.out.Drift(provider.WrongType, name)
	}
	return text
}

func decode(m jsontext.Members, it *provider.Item, out *provider.Batch) {
	e := entry{out: out}
	for m.Next() {
		key := m.Key()
		f := fieldOf(key)
		if f == fieldCount {
			out.Drift(provider.UnknownField, key)
			continue
		}
		e.values[f] = m.Value()
	}
	common(&e, it)
	if it.Fault == "" {
		byType(&e, it)
	}
}

// common fills in what every event has.
func common(e *entry, it *provider.Item) {
	ev := &it.Event
	ev.ProviderEvent = e.text(fieldEvent, "event")
	ev.MessageID = provider.Number(e.text(fieldMessageID, "MessageID"))
	if ev.MessageID == "" {
		ev.MessageID = provider.Number(e.text(fieldOldMessageID, "mj_message_id"))
	}
	ev.Recipient = e.text(fieldEmail, "email")
	switch {
	case ev.ProviderEvent == "":
		it.Reject(provider.NoType)
		return
	case ev.Recipient == "" && ev.MessageID == "":
		it.Reject(provider.NoIdentity)
		return
	}
	it.SetTime(provider.UnixTime(e.values[fieldTime]))
	ev.Campaign = e.text(fieldCampaign, "customcampaign")
	if ev.Campaign == "" {
		ev.Campaign = provider.Number(e.text(fieldCampaignID, "mj_campaign_id"))
	}
	it.SetMetadata("CustomID", e.text(fieldCustomID, "CustomID"))
	it.SetMetadata("Payload", e.payload())
}

// payload is free text given when the message was sent; where it is JSON it
// stays JSON in a string.
func (e *entry) payload() string {
	switch v := e.values[fieldPayload]; v.Kind() {
	case jsontext.Object, jsontext.Array:
		return string(v)
	default:
		return e.text(fieldPayload, "Payload")
	}
}

// byType fills in what depends on the kind of event.
func byType(e *entry, it *provider.Item) {
	ev := &it.Event
	switch strings.ToLower(ev.ProviderEvent) {
	case "sent": // the remote server said 250, whatever the name
		ev.Type = schemas.Delivered
		ev.SMTPReply = e.text(fieldReply, "smtp_reply")
		it.Distinguish(ev.SMTPReply) // a message sent again on request gets another queue id
	case "open":
		ev.Type = schemas.Opened
		e.engagement(it)
	case "click":
		ev.Type = schemas.Clicked
		ev.URL = e.text(fieldURL, "url")
		it.Distinguish(ev.URL) // two links in one second
		e.engagement(it)
	case "bounce":
		e.bounce(it)
	case "blocked":
		e.blocked(it)
	case "spam":
		ev.Type = schemas.Complained
		ev.FeedbackSource = e.text(fieldSource, "source")
		it.Distinguish(ev.FeedbackSource) // two feedback loops may report one complaint
	case "unsub":
		ev.Type = schemas.Unsubscribed
		ev.ListID = provider.Number(e.text(fieldListID, "mj_list_id"))
		it.Distinguish(ev.ListID) // left several lists with one click
		e.engagement(it)
	default:
		ev.Type = schemas.Other
		e.out.Drift(provider.UnknownEvent, ev.ProviderEvent)
		it.Distinguish(string(ev.Raw)) // nothing is known but the bytes, which a repeat has too
	}
}

// engagement fills in what is known of the one who opened or clicked.
func (e *entry) engagement(it *provider.Item) {
	ev := &it.Event
	ip := e.text(fieldIP, "ip")
	ev.IP = provider.IP(ip)
	ev.Country = provider.Country(e.text(fieldGeo, "geo"))
	ev.UserAgent = e.text(fieldAgent, "agent")
	it.Distinguish(ip) // a forwarded mail is read in two places in one second
}

// bounce is final, but for greylisting: then Mailjet tries again and reports
// another sent or bounce.
func (e *entry) bounce(it *provider.Item) {
	ev := &it.Event
	hard := provider.Boolean(e.values[fieldHardBounce])
	class := e.failure(it)
	softness(it, hard)
	switch {
	case strings.EqualFold(class, "greylisted") && (hard == nil || !*hard):
		ev.Type = schemas.Deferred
		return
	case hard != nil && *hard:
		ev.BounceType = schemas.Hard
	case hard != nil:
		ev.BounceType = schemas.Soft
	}
	ev.Type = schemas.Bounced
}

// blocked was not even tried, or refused for what is in it: then the message is
// at fault, not the address or the sender.
func (e *entry) blocked(it *provider.Item) {
	e.failure(it)
	softness(it, provider.Boolean(e.values[fieldHardBounce]))
	it.Event.Type = schemas.Blocked
	if strings.EqualFold(e.text(fieldRelatedTo, "error_related_to"), "content") {
		it.Event.Type = schemas.Failed
	}
}

// softness takes false as it is; that the bounce is called hard says nothing of the
// address, for any final refusal is.
func softness(it *provider.Item, hard *bool) { it.Failure.Soft = hard != nil && !*hard }

// failure fills in the reason as Mailjet and the remote server put it.
func (e *entry) failure(it *provider.Item) (class string) {
	class = e.text(fieldError, "error")
	it.Failure.Class = class
	it.Event.SMTPReply = e.text(fieldComment, "comment")
	it.Distinguish(class)              // tries again and fails otherwise
	it.Distinguish(it.Event.SMTPReply) // within the same second
	return class
}
