// Package postmark reads the modular webhooks of Postmark: one flat object a
// request, whose recipient and time have different field names for each kind.
//
// Samples that Postmark posts to test a webhook become `other`, so that they
// count and suppress nothing. Inbound mail and hooks from before 2018, which do
// not say what they are, are dead letters.
package postmark

import (
	"net/http"
	"strings"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/internal/jsontext"
	"github.com/mailstream/mailstream/services/internal/provider"
)

// Name is the provider's name in the configuration and in events.
const Name = "postmark"

// noMessage is the message of what is about none: samples, and a change of a
// subscription that no mail led to.
const noMessage = "00000000-0000-0000-0000-000000000000"

// sampleRecipient is whom samples are about. It distinguishes a sample of a
// subscription change from a real change without a message.
const sampleRecipient = "john@example.com"

// Provider reads Postmark's webhooks.
type Provider struct{}

// Name returns Name.
func (Provider) Name() string { return Name }

// Answers says that Postmark takes 200 as done, drops an event at most answers
// below 500, a wrong password among them, and repeats six times after a 503.
func (Provider) Answers() provider.Answers { return provider.Refused(http.StatusServiceUnavailable) }

// Decode takes one object.
func (Provider) Decode(req *provider.Request, out *provider.Batch) error {
	raw, m, err := out.ObjectIn(req.Body, req.Limits)
	if err != nil {
		return err
	}
	it := out.Add(raw)
	it.Event.ProviderEventID = req.Header.Get("X-Pm-Webhook-Trace-Id")
	decode(m, it, out)
	return nil
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
	ev.ProviderEvent = e.Text(fieldRecordType)
	ev.MessageID = e.Text(fieldMessageID)
	if ev.Recipient = e.Text(fieldRecipient); ev.Recipient == "" {
		ev.Recipient = e.Text(fieldEmail)
	}
	switch {
	case ev.ProviderEvent == "":
		it.Reject(provider.NoType)
		return
	case ev.Recipient == "" && (ev.MessageID == "" || ev.MessageID == noMessage):
		it.Reject(provider.NoIdentity)
		return
	}
	for _, f := range [...]provider.FieldID{fieldDeliveredAt, fieldBouncedAt, fieldReceivedAt, fieldChangedAt} {
		if e.Has(f) {
			it.ReadTime(e.Value(f), provider.Time)
			break
		}
	}
	if id := provider.Number(e.Text(fieldID)); id != "" {
		ev.ProviderEventID = id
	}
	ev.Subject, ev.FromDomain = e.Text(fieldSubject), e.Text(fieldFrom)
	e.Tags(it, fieldTag)
	e.Metadata(it, fieldMetadata)
	it.Distinguish(it.Stamp) // seven digits of a second, of which the event keeps three
}

// byType fills in what depends on the kind of event. A repeat has the same
// body; only the header that counts the tries differs.
func byType(e *entry, it *provider.Item) {
	ev := &it.Event
	kind := strings.ToLower(ev.ProviderEvent)
	if ev.MessageID == noMessage {
		ev.MessageID = ""
		if kind != "subscriptionchange" || strings.EqualFold(ev.Recipient, sampleRecipient) { // a sample
			ev.Type = schemas.Other
			it.Distinguish(string(ev.Raw)) // several kinds of them at once
			return
		}
	}
	switch kind {
	case "delivery":
		ev.Type = schemas.Delivered
		ev.SMTPReply = e.Text(fieldDetails)
	case "bounce":
		e.bounce(it)
	case "spamcomplaint":
		ev.Type = schemas.Complained
		it.Distinguish(e.Text(fieldID)) // its number in Postmark's list, the same in a repeat
	case "open":
		ev.Type = schemas.Opened
		e.reader(it)
	case "click":
		ev.Type = schemas.Clicked
		ev.URL = e.Text(fieldLink)
		e.reader(it)
		it.Distinguish(ev.URL) // a scanner follows two links at once
	case "subscriptionchange":
		e.subscription(it)
	default:
		e.Out.Unknown(it)
	}
}

// reader fills in what is known of the one who opened or clicked.
func (e *entry) reader(it *provider.Item) {
	ev := &it.Event
	ev.UserAgent = e.Text(fieldAgent)
	for m := e.Object(fieldGeo); m.Next(); {
		switch m.Key() {
		case "IP":
			ev.IP = provider.IP(e.Out.Text(m.Value()))
		case "CountryISOCode":
			ev.Country = provider.Country(e.Out.Text(m.Value()))
		}
	}
	it.Distinguish(ev.IP)        // a forwarded mail is read in two places at once
	it.Distinguish(ev.UserAgent) // by a person and the scanner behind the same address
}

// subscription is a change of the list of a stream whom not to send to. Where the
// cause is a bounce or a complaint, a broadcast stream sends no other event about
// it.
func (e *entry) subscription(it *provider.Item) {
	ev := &it.Event
	ev.ListID = e.Text(fieldStream)
	reason := e.Text(fieldSuppressionReason)
	it.Distinguish(ev.ListID) // leaves two streams at once
	it.Distinguish(reason)
	suppressed := provider.Boolean(e.Value(fieldSuppress))
	if suppressed == nil {
		ev.Type = schemas.Other
		e.Out.Drift(provider.WrongType, "SuppressSending") // or it is missing
		return
	}
	if !*suppressed {
		ev.Type = schemas.Subscribed
		return
	}
	switch strings.ToLower(reason) {
	case "hardbounce":
		ev.Type, ev.BounceType = schemas.Bounced, schemas.Hard
		it.Failure.Class = "hardbounce"
	case "spamcomplaint":
		ev.Type = schemas.Complained
	case "manualsuppression", "":
		ev.Type = schemas.Unsubscribed
	default:
		ev.Type = schemas.Other
		e.Out.Drift(provider.UnknownEvent, reason)
	}
}

// Enclose puts the id of the event where the request had it.
func (Provider) Enclose(req *provider.Request, was provider.Envelope) {
	req.Header.Set("X-Pm-Webhook-Trace-Id", was.EventID)
}
