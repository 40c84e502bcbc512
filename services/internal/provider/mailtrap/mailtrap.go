// Package mailtrap reads the webhooks of Mailtrap's e-mail sending: up to 500
// events in an object, or one on each line. The audit log and inbound mail, which
// may be sent to the same URL, are kept as other.
//
// The bytes show which of the two formats a body has, so that a change of the
// setting at Mailtrap needs none here.
package mailtrap

import (
	"bytes"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/internal/jsontext"
	"github.com/mailstream/mailstream/services/internal/provider"
)

// Name is the provider's name in the configuration and in events.
const Name = "mailtrap"

// Provider reads Mailtrap's webhooks.
type Provider struct{}

// Name returns Name.
func (Provider) Name() string { return Name }

// Answers says that Mailtrap takes a 200 as done, repeats the rest every five
// minutes forty times and then pauses the webhook.
func (Provider) Answers() provider.Answers { return provider.Retried() }

// Decode takes {"events":[...]}, an array, one event, or an event on each line.
func (Provider) Decode(req *provider.Request, out *provider.Batch) error {
	doc := out.JSON()
	err := doc.Parse(req.Body, req.Limits)
	if _, syntax := errors.AsType[*jsontext.SyntaxError](err); syntax && hasLines(req.Body) {
		return lines(req, out, err)
	}
	if err != nil {
		return err
	}
	if doc.IsArray() {
		items(out)
		return nil
	}
	if doc.Items()[0].Kind() != jsontext.Object {
		return &provider.FormError{What: "neither an object nor an array"}
	}
	list, event := open(out)
	switch {
	case list.Kind() == jsontext.Array:
		beside(out)
		if err := doc.Parse(list, req.Limits); err != nil {
			return err
		}
		items(out)
	case list.Kind() != jsontext.Invalid:
		return &provider.FormError{What: "events is no array"}
	case !event:
		return &provider.FormError{What: "neither events nor an event"}
	default:
		items(out)
	}
	return nil
}

// open returns the events of the wrapper, or says that the object is an event.
func open(out *provider.Batch) (list jsontext.Value, event bool) {
	for m := out.JSON().Members(0); m.Next(); {
		switch m.Key() {
		case "events":
			list = m.Value()
		case "event":
			event = true
		}
	}
	return list, event
}

// beside notes what the wrapper has and Mailtrap does not document.
func beside(out *provider.Batch) {
	for m := out.JSON().Members(0); m.Next(); {
		if m.Key() != "events" {
			out.DriftAt(provider.UnknownField, m.Value())
		}
	}
}

// items reads what the document has found.
func items(out *provider.Batch) {
	doc := out.JSON()
	for i, raw := range doc.Items() {
		it := out.Add(raw)
		if raw.Kind() != jsontext.Object {
			it.Reject(provider.NotAnObject)
			continue
		}
		decode(doc.Members(i), it, out)
	}
}

func hasLines(body []byte) bool { return bytes.IndexByte(bytes.TrimSpace(body), '\n') >= 0 }

// lines reads an object from each line. A first line that is not JSON makes the
// request what the first look said it is; a later one is a bad item among good
// ones, since Mailtrap would repeat them with it until it gives up.
func lines(req *provider.Request, out *provider.Batch, first error) error {
	n := 0
	for line := range bytes.Lines(req.Body) {
		line = bytes.TrimSpace(line)
		if len(line) == 0 {
			continue
		}
		if n++; n > req.Limits.Items {
			return &jsontext.LimitError{Limit: jsontext.Items, Offset: len(req.Body)}
		}
		doc := out.JSON()
		err := doc.Parse(line, req.Limits)
		_, syntax := errors.AsType[*jsontext.SyntaxError](err)
		switch {
		case syntax && n == 1:
			return first
		case syntax:
			out.Add(line).Reject(provider.NotAnObject)
			continue
		case err != nil:
			return err
		}
		if doc.IsArray() || doc.Items()[0].Kind() != jsontext.Object {
			out.Add(line).Reject(provider.NotAnObject)
			continue
		}
		items(out)
	}
	return nil
}

// entry is one event taken apart; the last of two equal keys counts.
type entry struct {
	provider.Fields
}

func decode(m jsontext.Members, it *provider.Item, out *provider.Batch) {
	e := entry{Fields: out.Fields(fieldCount)}
	e.Read(m, fieldOf)
	ev := &it.Event
	ev.ProviderEvent = e.Text(fieldEvent)
	ev.ProviderEventID = e.Text(fieldEventID)
	ev.MessageID = e.Text(fieldMessageID)
	ev.Recipient = e.Text(fieldEmail)
	if !it.Identified(isAccount(ev.ProviderEvent)) {
		return
	}
	it.ReadTime(e.Value(fieldTimestamp), eventTime)
	ev.SendingDomain = e.Text(fieldDomain)
	e.Tags(it, fieldCategory)
	e.Metadata(it, fieldVariables)
	e.identify(it)
	e.byType(it)
}

// identify uses event_id: Mailtrap repeats whole requests and documents this id
// as the identity of an event. The audit log has none, so there the bytes are
// the identity.
func (e *entry) identify(it *provider.Item) {
	if id := it.Event.ProviderEventID; id != "" {
		it.Distinguish(id)
		return
	}
	it.Distinguish(string(it.Event.Raw))
}

// isAccount says that an event is about the account or about mail to it.
func isAccount(event string) bool {
	return strings.HasPrefix(event, "activity_log.") || isInbound(event)
}

// isInbound knows both spellings of Mailtrap's documentation.
func isInbound(event string) bool {
	return strings.HasPrefix(event, "inbound.") || strings.HasPrefix(event, "inbound_")
}

// millisecondsMin is the least number taken for milliseconds: as seconds it is
// the year 5138.
const millisecondsMin = 100_000_000_000

// eventTime reads seconds, and the milliseconds of inbound mail.
func eventTime(v jsontext.Value) (time.Time, string) {
	t, stamp := provider.Time(v)
	if ms, err := strconv.ParseInt(stamp, 10, 64); err == nil && ms >= millisecondsMin {
		t = time.UnixMilli(ms).UTC()
	}
	return t, stamp
}

// byType fills in what depends on the kind of event. Payloads and the API
// have two words for some.
func (e *entry) byType(it *provider.Item) {
	ev := &it.Event
	switch strings.ToLower(ev.ProviderEvent) {
	case "delivery":
		ev.Type = schemas.Delivered
	case "soft bounce", "soft_bounce":
		ev.Type = schemas.Deferred
		it.Failure.Soft = true // Mailtrap goes on trying
		e.reply(it)
	case "bounce":
		ev.Type = schemas.Bounced
		e.reply(it)
		switch it.Failure.Class { // Mailtrap sends nothing more to these
		case "badrecipient", "overquota", "timeout":
			ev.BounceType = schemas.Hard
		}
	case "suspension":
		ev.Type = schemas.Deferred // it is sent or rejected later
		ev.SMTPReply = e.Text(fieldReason)
		it.Failure.Class = "suspension"
	case "reject":
		ev.Type = schemas.Blocked
		ev.SMTPReply = e.Text(fieldReason)
		it.Failure.Class = rejectClass(ev.SMTPReply)
	case "spam", "spam_complaint":
		ev.Type = schemas.Complained
	case "unsubscribe":
		ev.Type = schemas.Unsubscribed
		e.reader(it)
	case "open":
		ev.Type = schemas.Opened
		e.reader(it)
	case "click":
		ev.Type = schemas.Clicked
		e.reader(it)
	default:
		ev.Type = schemas.Other
		if !isAccount(ev.ProviderEvent) {
			e.Out.Drift(provider.UnknownEvent, ev.ProviderEvent)
		}
	}
}

// reply fills in what the remote server said.
func (e *entry) reply(it *provider.Item) {
	it.Event.SMTPReply = e.Text(fieldResponse)
	it.Event.SMTPCode = provider.SMTPCode(e.Text(fieldCode))
	it.Failure.Class = strings.ToLower(e.Text(fieldClass)) // some are camel case
}

// reader fills in what is known of the one who opened, clicked or left.
func (e *entry) reader(it *provider.Item) {
	ev := &it.Event
	ev.IP = provider.IP(e.Text(fieldIP))
	ev.UserAgent = e.Text(fieldAgent)
	ev.URL = e.Text(fieldURL)
}

// rejectClass finds which list the recipient is on in what Mailtrap writes.
func rejectClass(reason string) string {
	reason = strings.ToLower(reason)
	for _, class := range [...]string{"unsubscription", "spam complaint", "hard bounce"} {
		if strings.Contains(reason, class) {
			return class
		}
	}
	return "reject"
}
