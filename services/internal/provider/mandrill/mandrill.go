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
	values [fieldCount]jsontext.Value
	out    *provider.Batch
}

func (e *entry) text(f field) string { return e.out.Text(e.values[f], names[f]) }

func decode(m jsontext.Members, it *provider.Item, out *provider.Batch) {
	e := entry{out: out}
	e.read(m, fieldOf, false)
	kind := e.text(fieldEvent)
	e.read(out.Object(e.values[fieldMessage], names[fieldMessage]), messageFieldOf, kind == inbound)
	common(&e, it)
	if it.Fault == "" {
		byType(&e, it)
	}
}

// inbound is the event of a received mail, whose msg has other fields.
const inbound = "inbound"

func (e *entry) read(m jsontext.Members, of func(string) field, quiet bool) {
	for m.Next() {
		key := m.Key()
		switch f := of(key); f {
		case fieldCount:
			if !quiet {
				e.out.Drift(provider.UnknownField, key)
			}
		case fieldRaw:
		default:
			e.values[f] = m.Value()
		}
	}
}

// common fills in what every event has.
func common(e *entry, it *provider.Item) {
	ev := &it.Event
	ev.ProviderEvent = e.text(fieldEvent)
	if ev.ProviderEvent == "" {
		ev.ProviderEvent = e.text(fieldType) // of a change to a list
	}
	if ev.MessageID = e.text(fieldID); ev.MessageID == "" {
		ev.MessageID = e.text(fieldMessageID)
	}
	ev.Recipient = e.text(fieldEmail)
	if ev.Recipient == "" && e.values[fieldEvent].Kind() == jsontext.Invalid {
		ev.Recipient = e.rejected("email")
	}
	switch {
	case ev.ProviderEvent == "":
		it.Reject(provider.NoType)
		return
	case ev.Recipient == "" && ev.MessageID == "":
		it.Reject(provider.NoIdentity)
		return
	}
	it.SetTime(provider.Time(e.values[fieldTime]))
	if ev.Campaign = e.text(fieldTemplate); ev.Campaign == "" {
		ev.Campaign = e.text(fieldSubaccount)
	}
	e.out.Tags(it, e.values[fieldTags], names[fieldTags])
	e.out.Metadata(it, e.values[fieldMeta], names[fieldMeta])
}

// rejected reads a member of reject, which stands in the event or in its msg.
func (e *entry) rejected(key string) string {
	for m := e.out.Object(e.values[fieldReject], names[fieldReject]); m.Next(); {
		if m.Key() == key {
			return e.out.Text(m.Value(), key)
		}
	}
	return ""
}

// byType fills in what depends on the kind of event. A message has at most
// one event of a kind in a second, but for what readers do; msg is not told,
// because it grows with the message.
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
		ev.URL = e.text(fieldURL)
		it.Distinguish(ev.URL) // two links in one second
		e.reader(it)
	case "spam":
		ev.Type = schemas.Complained
	case "unsub":
		ev.Type = schemas.Unsubscribed
		e.reader(it)
	case "whitelist", "blacklist", "allowlist", "denylist", "safelist":
		ev.Type = schemas.Other
		it.Distinguish(e.text(fieldAction)) // added and removed in one second
		if account := e.rejected("subaccount"); account != "" {
			it.Distinguish(account) // each has a list of its own
		}
	case inbound:
		ev.Type = schemas.Other
		it.Distinguish(string(ev.Raw)) // a mail has no id of Mandrill's; a repeat has the same bytes
	default:
		ev.Type = schemas.Other
		e.out.Drift(provider.UnknownEvent, ev.ProviderEvent)
		it.Distinguish(string(ev.Raw)) // nothing is known but the bytes, which a repeat has too
	}
}

// reader fills in what is known of the one who opened, clicked or left.
func (e *entry) reader(it *provider.Item) {
	ev := &it.Event
	it.SetSent(provider.Time(e.values[fieldSent]))
	ip := e.text(fieldIP)
	ev.IP = provider.IP(ip)
	ev.UserAgent = e.text(fieldAgent)
	it.Distinguish(ip) // a forwarded mail is read in two places in one second
	for m := e.out.Object(e.values[fieldPlace], names[fieldPlace]); m.Next(); {
		if m.Key() == "country_short" {
			ev.Country = provider.Country(e.out.Text(m.Value(), "location.country_short"))
		}
	}
}

// reply fills in what the remote server said: in diag, or at the end of what
// Mandrill noted of its tries.
func (e *entry) reply(ev *schemas.Event) {
	diag, tries := "", e.values[fieldTries]
	if k := tries.Kind(); k != jsontext.Array && k != jsontext.Null && k != jsontext.Invalid {
		e.out.Drift(provider.WrongType, names[fieldTries])
	}
	for list := tries.Elements(); list.Next(); {
		for m := e.out.Object(list.Value(), names[fieldTries]); m.Next(); {
			switch m.Key() {
			case "diag":
				diag = e.out.Text(m.Value(), "smtp_events.diag")
			case "source_ip":
				ev.SendingIP = provider.IP(e.out.Text(m.Value(), "smtp_events.source_ip"))
			}
		}
	}
	if ev.SMTPReply = e.text(fieldDiag); ev.SMTPReply == "" {
		ev.SMTPReply = diag
	}
}

// failure fills in why a message bounced.
func (e *entry) failure(it *provider.Item) {
	e.reply(&it.Event)
	class := strings.ToLower(e.text(fieldBounce))
	it.Failure.Class = class
	switch class {
	case "bad_mailbox", "invalid_domain", "mailbox_full":
	default: // the number says more
		if code := provider.Number(e.text(fieldCode)); code != "" {
			it.Failure.Class = "bgtools " + code
		}
	}
}
