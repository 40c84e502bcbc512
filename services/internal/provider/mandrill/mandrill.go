// Package mandrill reads the webhooks of Mandrill (Mailchimp Transactional): a
// form whose one field is an array of events. Message events, changes of the
// allow and deny lists, and received mail come the same way.
//
// Mandrill has no event id. What becomes raw is the event's own JSON out of the
// decoded field.
package mandrill

import (
	"strings"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/internal/jsontext"
	"github.com/mailstream/mailstream/services/internal/provider"
)

// Name is the provider's name in the configuration and in events.
const Name = "mandrill"

// Provider reads Mandrill's webhooks.
type Provider struct{}

// Name returns Name.
func (Provider) Name() string { return Name }

// ReadsForms says that a body of JSON is another sender's.
func (Provider) ReadsForms() bool { return true }

// Answers says that Mandrill takes 200 as done and repeats the whole batch after
// anything else; how often is not documented.
func (Provider) Answers() provider.Answers { return provider.Retried() }

// Decode takes a form with the events in mandrill_events; none in the probe that
// Mandrill sends before it saves a webhook.
func (Provider) Decode(req *provider.Request, out *provider.Batch) error {
	text, err := events(req.Body, out)
	if err != nil {
		return err
	}
	return out.ObjectsIn(text, req.Limits, decode)
}

// entry is one event taken apart, its msg beside it; the last of two equal keys
// counts.
type entry struct {
	provider.Fields
}

func decode(m jsontext.Members, it *provider.Item, out *provider.Batch) {
	e := entry{Fields: out.Fields(fieldCount)}
	e.Read(m, fieldOf)
	if e.Text(fieldEvent) == inbound {
		e.ReadOr(e.Object(fieldMessage), messageFieldOf, ignore)
	} else {
		e.Read(e.Object(fieldMessage), messageFieldOf)
	}
	common(&e, it)
	if it.Fault == "" {
		byType(&e, it)
	}
}

// inbound is the event of a received mail, whose msg has other fields.
const inbound = "inbound"

// ignore is for the fields of a received mail, of which nothing is documented here.
func ignore(string, jsontext.Value) {}

// common fills in what every event has.
func common(e *entry, it *provider.Item) {
	ev := &it.Event
	ev.ProviderEvent = e.Text(fieldEvent)
	if ev.ProviderEvent == "" {
		ev.ProviderEvent = e.Text(fieldType) // of a change to a list
	}
	if ev.MessageID = e.Text(fieldID); ev.MessageID == "" {
		ev.MessageID = e.Text(fieldMessageID)
	}
	ev.Recipient = e.Text(fieldEmail)
	if ev.Recipient == "" && e.Value(fieldEvent).Kind() == jsontext.Invalid {
		ev.Recipient = e.rejected("email")
	}
	if !it.Identified(false) {
		return
	}
	it.ReadTime(e.Value(fieldTime), provider.Time)
	ev.Subject, ev.FromDomain, ev.Template = e.Text(fieldSubject), e.Text(fieldSender), e.Text(fieldTemplate)
	if ev.Campaign = ev.Template; ev.Campaign == "" {
		ev.Campaign = e.Text(fieldSubaccount)
	}
	e.Tags(it, fieldTags)
	e.Metadata(it, fieldMeta)
}

// rejected reads a member of reject, which is in the event or in its msg.
func (e *entry) rejected(key string) string {
	for m := e.Object(fieldReject); m.Next(); {
		if m.Key() == key {
			return e.Out.Text(m.Value())
		}
	}
	return ""
}

// byType fills in what depends on the kind of event. A message has at most one
// event of a kind in a second, except opens and clicks; msg is no
// discriminator, because it grows from event to event.
func byType(e *entry, it *provider.Item) {
	ev := &it.Event
	// The documentation writes hard-bounce, the payloads hard_bounce.
	switch kind := strings.ReplaceAll(strings.ToLower(ev.ProviderEvent), "-", "_"); kind {
	case "send":
		ev.Type = schemas.Processed
	case "delivered":
		ev.Type = schemas.Delivered
		e.reply(ev)
	case "deferral":
		ev.Type = schemas.Deferred
		it.Failure.Soft = true // Mandrill goes on trying
		e.reply(ev)
	case "hard_bounce":
		ev.Type, ev.BounceType = schemas.Bounced, schemas.Hard
		e.failure(it)
	case "soft_bounce":
		ev.Type, ev.BounceType = schemas.Bounced, schemas.Soft
		it.Failure.Soft = true // so Mandrill calls it soft
		e.failure(it)
	case "reject":
		ev.Type = schemas.Blocked
		if reason := e.rejected("reason"); reason != "" {
			it.Failure.Class = "reject " + reason
		}
	case "open":
		ev.Type = schemas.Opened
		e.reader(it)
	case "click":
		ev.Type = schemas.Clicked
		ev.URL = e.Text(fieldURL)
		it.Distinguish(ev.URL) // two links in one second
		e.reader(it)
	case "spam":
		ev.Type = schemas.Complained
	case "unsub":
		ev.Type = schemas.Unsubscribed
		e.reader(it)
	case "whitelist", "blacklist", "allowlist", "denylist", "safelist":
		ev.Type = schemas.Other
		it.Distinguish(e.Text(fieldAction)) // added and removed in one second
		if account := e.rejected("subaccount"); account != "" {
			it.Distinguish(account) // each has a separate list
		}
	case inbound:
		ev.Type = schemas.Other
		it.Distinguish(string(ev.Raw)) // a mail has no id of Mandrill's; a repeat has the same bytes
	default:
		e.Out.Unknown(it)
	}
}

// reader fills in what is known of the one who opened, clicked or left.
func (e *entry) reader(it *provider.Item) {
	ev := &it.Event
	it.SetSent(provider.Time(e.Value(fieldSent)))
	ip := e.Text(fieldIP)
	ev.IP = provider.IP(ip)
	ev.UserAgent = e.Text(fieldAgent)
	it.Distinguish(ip) // a forwarded mail is read in two places in one second
	for m := e.Object(fieldPlace); m.Next(); {
		if m.Key() == "country_short" {
			ev.Country = provider.Country(e.Out.Text(m.Value()))
		}
	}
}

// reply fills in what the remote server said: in diag, or at the end of what
// Mandrill noted of its tries.
func (e *entry) reply(ev *schemas.Event) {
	diag, tries := "", e.Value(fieldTries)
	if k := tries.Kind(); k != jsontext.Array && k != jsontext.Null && k != jsontext.Invalid {
		e.Out.DriftAt(provider.WrongType, tries)
	}
	for list := tries.Elements(); list.Next(); {
		for m := e.Out.Object(list.Value()); m.Next(); {
			switch m.Key() {
			case "diag":
				diag = e.Out.Text(m.Value())
			case "source_ip":
				ev.SendingIP = provider.IP(e.Out.Text(m.Value()))
			}
		}
	}
	if ev.SMTPReply = e.Text(fieldDiag); ev.SMTPReply == "" {
		ev.SMTPReply = diag
	}
}

// failure fills in why a message bounced.
func (e *entry) failure(it *provider.Item) {
	e.reply(&it.Event)
	class := strings.ToLower(e.Text(fieldBounce))
	it.Failure.Class = class
	switch class {
	case "bad_mailbox", "invalid_domain", "mailbox_full":
	default: // the number says more
		if code := provider.Number(e.Text(fieldCode)); code != "" {
			it.Failure.Class = "bgtools " + code
		}
	}
}
