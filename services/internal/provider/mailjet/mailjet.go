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

// entry is one object taken apart; the last of two equal keys counts.
type entry struct {
	provider.Fields
}

func decode(m jsontext.Members, it *provider.Item, out *provider.Batch) {
	e := entry{Fields: out.Fields(fieldCount)}
	e.Read(m, fieldOf)
	common(&e, it)
	if it.Fault == "" {
		byType(&e, it)
	}
}

// common fills in what every event has.
func common(e *entry, it *provider.Item) {
	ev := &it.Event
	ev.ProviderEvent = e.Text(fieldEvent)
	ev.MessageID = provider.Number(e.Text(fieldMessageID))
	if ev.MessageID == "" {
		ev.MessageID = provider.Number(e.Text(fieldOldMessageID))
	}
	ev.Recipient = e.Text(fieldEmail)
	if !it.Identified(false) {
		return
	}
	it.ReadTime(e.Value(fieldTime), provider.UnixTime)
	ev.Campaign = e.Text(fieldCampaign)
	if ev.Campaign == "" {
		ev.Campaign = provider.Number(e.Text(fieldCampaignID))
	}
	it.SetMetadata("CustomID", e.Text(fieldCustomID))
	it.SetMetadata("Payload", e.payload())
}

// payload is free text given when the message was sent; where it is JSON it
// stays JSON in a string.
func (e *entry) payload() string {
	switch v := e.Value(fieldPayload); v.Kind() {
	case jsontext.Object, jsontext.Array:
		return string(v)
	default:
		return e.Text(fieldPayload)
	}
}

// byType fills in what depends on the kind of event.
func byType(e *entry, it *provider.Item) {
	ev := &it.Event
	switch strings.ToLower(ev.ProviderEvent) {
	case "sent": // the remote server said 250, whatever the name
		ev.Type = schemas.Delivered
		ev.SMTPReply = e.Text(fieldReply)
		it.Distinguish(ev.SMTPReply) // a message resent on request gets another queue id
	case "open":
		ev.Type = schemas.Opened
		e.engagement(it)
	case "click":
		ev.Type = schemas.Clicked
		ev.URL = e.Text(fieldURL)
		it.Distinguish(ev.URL) // two links in one second
		e.engagement(it)
	case "bounce":
		e.bounce(it)
	case "blocked":
		e.blocked(it)
	case "spam":
		ev.Type = schemas.Complained
		ev.FeedbackSource = e.Text(fieldSource)
		it.Distinguish(ev.FeedbackSource) // two feedback loops may report one complaint
	case "unsub":
		ev.Type = schemas.Unsubscribed
		ev.ListID = provider.Number(e.Text(fieldListID))
		it.Distinguish(ev.ListID) // left several lists with one click
		e.engagement(it)
	default:
		e.Out.Unknown(it)
	}
}

// engagement fills in what is known of the one who opened or clicked.
func (e *entry) engagement(it *provider.Item) {
	ev := &it.Event
	ip := e.Text(fieldIP)
	ev.IP = provider.IP(ip)
	ev.Country = provider.Country(e.Text(fieldGeo))
	ev.UserAgent = e.Text(fieldAgent)
	it.Distinguish(ip) // a forwarded mail is read in two places in one second
}

// bounce is final, except for greylisting: then Mailjet retries and reports
// another sent or bounce.
func (e *entry) bounce(it *provider.Item) {
	ev := &it.Event
	hard := provider.Boolean(e.Value(fieldHardBounce))
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
	softness(it, provider.Boolean(e.Value(fieldHardBounce)))
	it.Event.Type = schemas.Blocked
	if strings.EqualFold(e.Text(fieldRelatedTo), "content") {
		it.Event.Type = schemas.Failed
	}
}

// softness believes Mailjet when it says that the bounce is not hard. When it says hard,
// that means no more than final: it says nothing of the address.
func softness(it *provider.Item, hard *bool) { it.Failure.Soft = hard != nil && !*hard }

// failure fills in the reason as Mailjet and the remote server put it.
func (e *entry) failure(it *provider.Item) (class string) {
	class = e.Text(fieldError)
	it.Failure.Class = class
	it.Event.SMTPReply = e.Text(fieldComment)
	it.Distinguish(class)              // a retry may fail with another class
	it.Distinguish(it.Event.SMTPReply) // within the same second
	return class
}
