// Package postal reads the webhooks of Postal, a mail server that people run
// themselves: one event a request, wrapped with the time and the uuid of the
// request.
//
// Mail that an installation receives for its routes is kept as other: nothing of
// it was sent to a recipient of ours.
package postal

import (
	"cmp"
	"strings"
	"time"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/internal/classify"
	"github.com/mailstream/mailstream/services/internal/jsontext"
	"github.com/mailstream/mailstream/services/internal/provider"
)

// Name is the provider's name in the configuration and in events.
const Name = "postal"

// Provider reads Postal's webhooks.
type Provider struct{}

// Name returns Name.
func (Provider) Name() string { return Name }

// Answers says that Postal takes any 2xx as done and repeats the rest five times
// within 36 minutes.
func (Provider) Answers() provider.Answers {
	a := provider.Retried()
	a.ResponseTimeout = 5 * time.Second
	return a
}

// Decode takes one object with event and payload.
func (Provider) Decode(req *provider.Request, out *provider.Batch) error {
	raw, m, err := out.ObjectIn(req.Body, req.Limits)
	if err != nil {
		return err
	}
	e := entry{Fields: out.Fields(fieldCount)}
	for m.Next() {
		switch key := m.Key(); key {
		case "event":
			e.event = m.Value()
		case "payload":
			e.payload = m.Value()
		case "timestamp":
			e.requested = m.Value()
		case "uuid":
			e.uuid = m.Value()
		default:
			out.DriftAt(provider.UnknownField, m.Value())
		}
	}
	if e.event.Kind() == jsontext.Invalid && e.payload.Kind() == jsontext.Invalid {
		return &provider.FormError{What: "neither event nor payload"}
	}
	e.decode(out.Add(raw))
	return nil
}

// entry is one request taken apart; the last of two equal keys counts.
type entry struct {
	provider.Fields
	event, payload  jsontext.Value
	requested, uuid jsontext.Value // of the request, which is made when it happens
	message         message
}

// message is what is read of the message an event is about.
type message struct {
	id        string // within one mail server of the installation
	token     string // random, which the send API answers too
	messageID string // without angle brackets
	to        string
	from      string
	subject   string
	tag       string
	sent      jsontext.Value
	incoming  bool
}

func (e *entry) decode(it *provider.Item) {
	e.Read(e.Out.Object(e.payload), fieldOf)
	ev := &it.Event
	ev.ProviderEvent = e.Out.Text(e.event)
	ev.ProviderEventID = e.Out.Text(e.uuid)
	e.readMessage()
	ev.MessageID, ev.Recipient = e.message.messageID, e.message.to
	if ev.MessageID == "" { // a sender may leave the header out
		ev.MessageID = cmp.Or(e.message.token, e.message.id)
	}
	if !it.Identified(isAccount(ev.ProviderEvent)) {
		return
	}
	ev.Subject, ev.SendingDomain = e.message.subject, e.message.from
	it.AddTag(e.message.tag)
	e.byType(it)
}

// readMessage reads the message that was sent; that of a bounce is original_message.
func (e *entry) readMessage() {
	f := fieldMessage
	if e.Value(fieldOriginal).Kind() == jsontext.Object {
		f = fieldOriginal
	}
	for m := e.Object(f); m.Next(); {
		switch key := m.Key(); key {
		case "id":
			e.message.id = e.Out.Text(m.Value())
		case "message_id":
			id := strings.TrimSpace(e.Out.Text(m.Value()))
			e.message.messageID = strings.TrimSuffix(strings.TrimPrefix(id, "<"), ">")
		case "to":
			e.message.to = e.Out.Text(m.Value())
		case "tag":
			e.message.tag = e.Out.Text(m.Value())
		case "direction":
			e.message.incoming = e.Out.Text(m.Value()) == "incoming"
		case "timestamp":
			e.message.sent = m.Value()
		case "token":
			e.message.token = e.Out.Text(m.Value())
		case "from": // of the envelope
			e.message.from = e.Out.Text(m.Value())
		case "subject":
			e.message.subject = e.Out.Text(m.Value())
		case "spam_status":
		default:
			e.Out.DriftAt(provider.UnknownField, m.Value())
		}
	}
}

// isAccount says that an event is about the installation, not about a message.
func isAccount(event string) bool {
	return event == "DomainDNSError" || event == "SendLimitApproaching" || event == "SendLimitExceeded"
}

// byType fills in what depends on the kind of event.
func (e *entry) byType(it *provider.Item) {
	ev := &it.Event
	switch ev.ProviderEvent {
	case "MessageSent":
		ev.Type = schemas.Delivered
		e.status(it)
	case "MessageDelayed":
		ev.Type = schemas.Deferred
		it.Failure.Soft = true // Postal goes on trying
		e.status(it)
	case "MessageDeliveryFailed":
		e.status(it)
		e.failed(it)
	case "MessageHeld":
		ev.Type = schemas.Blocked
		e.status(it)
		it.Failure.Class = "held"
		if strings.Contains(strings.ToLower(e.Text(fieldDetails)), "suppression list") {
			it.Failure.Class = "suppression list"
		}
	case "MessageBounced": // a report came in later; what it says is not sent along
		ev.Type, ev.BounceType = schemas.Bounced, schemas.Soft
		it.Failure.Class = "bounced"
		e.request(it)
	case "MessageLinkClicked":
		ev.Type = schemas.Clicked
		e.reader(it)
	case "MessageLoaded":
		ev.Type = schemas.Opened
		e.reader(it)
	default:
		ev.Type = schemas.Other
		e.request(it)
		if !isAccount(ev.ProviderEvent) {
			e.Out.Drift(provider.UnknownEvent, ev.ProviderEvent)
		}
	}
	if e.message.incoming {
		ev.Type, ev.BounceType = schemas.Other, ""
	}
}

// status fills in what a try to deliver came to. Its time is that of the event
// and not of the request. The uuid is not a discriminator: it differs between two
// webhooks of one server that report the same event.
func (e *entry) status(it *provider.Item) {
	ev := &it.Event
	if it.ReadTime(e.Value(fieldTimestamp), provider.Time); ev.Time.IsZero() {
		e.request(it)
	}
	ev.SMTPReply = e.Text(fieldOutput)
	details := e.Text(fieldDetails)
	if ev.SMTPReply == "" && ev.ProviderEvent != "MessageSent" {
		ev.SMTPReply = details // Postal itself says why it did not ask a server
	}
	if strings.Contains(strings.ToLower(details), "no smtp servers") {
		it.Failure.Class = "no smtp servers"
	}
	it.Distinguish(e.message.id)        // one message to one address twice has two
	it.Distinguish(e.Text(fieldStatus)) // fails and is given up in one moment
	it.Distinguish(ev.SMTPReply)        // fails in two ways in one moment
}

// request takes the time and the identity of the request where an event has
// none; Postal repeats both.
func (e *entry) request(it *provider.Item) {
	it.ReadTime(e.requested, provider.Time)
	if id := it.Event.ProviderEventID; id != "" {
		it.Distinguish(id)
		return
	}
	it.Distinguish(string(it.Event.Raw)) // a repeat has the same bytes
}

// failed is given up. With the answer of a server it bounced, hard at a 5xx
// whatever that says of the address; without one Postal decided so.
func (e *entry) failed(it *provider.Item) {
	ev := &it.Event
	details := strings.ToLower(e.Text(fieldDetails))
	switch {
	case strings.Contains(details, "likely spam"):
		ev.Type = schemas.Blocked
		it.Failure.Class = "likely spam"
	case e.Text(fieldOutput) != "":
		ev.Type = schemas.Bounced
		if code, _ := classify.Codes(ev.SMTPReply); code >= 500 { // below it Postal has had enough of trying
			ev.BounceType = schemas.Hard
		}
	default:
		ev.Type = schemas.Failed
		it.Failure.Class = "not sent"
	}
}

// reader fills in what is known of the one who opened or clicked.
func (e *entry) reader(it *provider.Item) {
	ev := &it.Event
	it.SetSent(provider.Time(e.message.sent))
	ev.IP = provider.IP(e.Text(fieldIP))
	ev.UserAgent = e.Text(fieldAgent)
	ev.URL = e.Text(fieldURL)
	e.request(it)
}
