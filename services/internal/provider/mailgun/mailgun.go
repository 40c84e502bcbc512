// Package mailgun reads the webhooks of Mailgun: one event a request, an object
// beside the signature that vouches for the sender.
//
// What becomes raw is the event without the signature, which would let whoever
// reads it send events in Mailgun's name. A webhook from before 2018, which is a
// form, is one item with a fault that says so.
package mailgun

import (
	"net/mail"
	"slices"
	"strings"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/internal/jsontext"
	"github.com/mailstream/mailstream/services/internal/provider"
)

// Name is the provider's name in the configuration and in events.
const Name = "mailgun"

// Provider reads Mailgun's webhooks.
type Provider struct{}

// Name returns Name.
func (Provider) Name() string { return Name }

// Answers says that Mailgun takes 200 alone as done, never repeats after a 406
// (which is therefore never sent), and repeats the rest for eight hours.
func (Provider) Answers() provider.Answers { return provider.Retried() }

// Decode takes one object with one event in it.
func (Provider) Decode(req *provider.Request, out *provider.Batch) error {
	if fields, ok := provider.FormIn(req.Header.Get("Content-Type"), req.Body); ok {
		retired(fields, out)
		return nil
	}
	_, m, err := out.ObjectIn(req.Body, req.Limits)
	if err != nil {
		return err
	}
	var event jsontext.Value
	for m.Next() {
		switch key := m.Key(); key {
		case "event-data":
			event = m.Value()
		case "signature": // checked before
		default:
			out.DriftAt(provider.UnknownField, m.Value())
		}
	}
	if event.Kind() == jsontext.Invalid {
		return &provider.FormError{What: "no event-data"}
	}
	it := out.Add(event)
	if event.Kind() != jsontext.Object {
		it.Reject(provider.NotAnObject)
		return nil
	}
	decode(out.Members(event), it, out)
	return nil
}

// retired keeps a form without what proves it.
func retired(fields []provider.Field, out *provider.Batch) {
	fields = slices.DeleteFunc(fields, func(f provider.Field) bool { return f.Name == "signature" || f.Name == "token" })
	out.Add(provider.FormObject(fields)).Reject(provider.RetiredForm)
}

// entry is one event taken apart; the last of two equal keys counts.
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
	ev.ProviderEventID = e.Text(fieldID)
	ev.Recipient = e.Text(fieldRecipient)
	to := e.message(ev)
	if ev.Recipient == "" && strings.EqualFold(ev.ProviderEvent, "rejected") {
		ev.Recipient = addressee(to) // there may be no other field; for other types it may be another recipient
	}
	if !it.Identified(false) {
		return
	}
	it.ReadTime(e.Value(fieldTimestamp), provider.Time)
	e.Tags(it, fieldTags)
	e.Metadata(it, fieldVariables)
	e.campaign(ev)
	e.envelope(ev)
	// The id of the event in Mailgun's own log, unique within a day: a repeat has
	// the same entry. The token beside it may be another one.
	it.Distinguish(ev.ProviderEventID)
}

// message finds the Message-ID header, which Mailgun writes without its brackets
// here and with them in the answer of the send API.
func (e *entry) message(ev *schemas.Event) (to string) {
	for m := e.Object(fieldMessage); m.Next(); {
		if m.Key() != "headers" {
			continue
		}
		for h := e.Out.Object(m.Value()); h.Next(); {
			switch h.Key() {
			case "message-id":
				id := e.Out.Text(h.Value())
				ev.MessageID = strings.TrimSuffix(strings.TrimPrefix(id, "<"), ">")
			case "from":
				ev.FromDomain = e.Out.Text(h.Value())
			case "subject":
				ev.Subject = e.Out.Text(h.Value())
			case "to":
				to = e.Out.Text(h.Value())
			}
		}
	}
	return to
}

// addressee returns the address in a To header, "" when there are several.
func addressee(to string) string {
	list, err := mail.ParseAddressList(to)
	switch {
	case err == nil && len(list) == 1:
		return list[0].Address
	case err == nil || strings.Contains(to, ","):
		return ""
	default: // no header of RFC 5322, but one address
		return provider.Address(to)
	}
}

// campaign takes the first one; there were several only in accounts of old.
func (e *entry) campaign(ev *schemas.Event) {
	for list := e.Value(fieldCampaigns).Elements(); list.Next() && ev.Campaign == ""; {
		id := ""
		for m := e.Out.Object(list.Value()); m.Next(); {
			switch m.Key() {
			case "name":
				ev.Campaign = e.Out.Text(m.Value())
			case "id":
				id = e.Out.Text(m.Value())
			}
		}
		if ev.Campaign == "" {
			ev.Campaign = id
		}
	}
}

func (e *entry) envelope(ev *schemas.Event) {
	for m := e.Object(fieldEnvelope); m.Next(); {
		switch m.Key() {
		case "sending-ip":
			ev.SendingIP = provider.IP(e.Out.Text(m.Value()))
		case "sender":
			ev.SendingDomain = e.Out.Text(m.Value())
		}
	}
}

// byType fills in what depends on the kind of event.
func byType(e *entry, it *provider.Item) {
	ev := &it.Event
	switch strings.ToLower(ev.ProviderEvent) {
	case "accepted":
		ev.Type = schemas.Processed
	case "delivered":
		ev.Type = schemas.Delivered
		e.status(ev)
	case "failed", "permanent_fail", "temporary_fail": // the last two are what the settings call it
		e.failed(it)
	case "rejected":
		ev.Type = schemas.Blocked
		it.Failure.Class = "rejected"
		ev.SMTPReply = e.rejection()
	case "opened":
		ev.Type = schemas.Opened
		e.reader(it)
	case "clicked":
		ev.Type = schemas.Clicked
		ev.URL = e.Text(fieldURL)
		it.Distinguish(ev.URL) // two links at once, should an id be missing
		e.reader(it)
	case "unsubscribed":
		ev.Type = schemas.Unsubscribed
		ev.ListID = e.list()
		e.reader(it)
	case "complained":
		ev.Type = schemas.Complained
		ev.ListID = e.list()
	case "stored", "list_member_uploaded", "list_member_upload_error", "list_uploaded":
		ev.Type = schemas.Other // nothing that happened to a message on its way
	default:
		e.Out.Unknown(it)
	}
}

// reader fills in what is known of the one who opened, clicked or left.
func (e *entry) reader(it *provider.Item) {
	ev := &it.Event
	ev.IP = provider.IP(e.Text(fieldIP))
	for m := e.Object(fieldPlace); m.Next(); {
		if m.Key() == "country" {
			ev.Country = provider.Country(e.Out.Text(m.Value())) // or "Unknown"
		}
	}
	for m := e.Object(fieldClient); m.Next(); {
		switch m.Key() {
		case "user-agent":
			ev.UserAgent = e.Out.Text(m.Value())
		case "bot":
			// Gmail's proxy fetches when the reader looks, so it says nothing.
			if bot := e.Out.Text(m.Value()); bot != "" && !strings.EqualFold(bot, "gmail") {
				ev.Machine = provider.True()
			}
		}
	}
}

// list is the mailing list of Mailgun that a message went to.
func (e *entry) list() string {
	id, address := "", ""
	for m := e.Object(fieldList); m.Next(); {
		switch m.Key() {
		case "list-id":
			id = e.Out.Text(m.Value())
		case "address":
			address = e.Out.Text(m.Value())
		}
	}
	if id == "" {
		return address
	}
	return id
}

// rejection is why Mailgun did not take a message.
func (e *entry) rejection() string {
	reason, description := "", ""
	for m := e.Object(fieldReject); m.Next(); {
		switch m.Key() {
		case "reason":
			reason = e.Out.Text(m.Value())
		case "description":
			description = e.Out.Text(m.Value())
		}
	}
	if description == "" {
		return reason
	}
	return description
}

// Enclose makes the body of one item of its bytes.
func (Provider) Enclose(req *provider.Request, _ provider.Envelope) {
	req.Body = append(append([]byte(`{"event-data":`), req.Body...), '}')
}
