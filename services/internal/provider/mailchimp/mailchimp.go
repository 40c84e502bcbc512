// Package mailchimp reads the audience webhooks of Mailchimp Marketing: one form
// a request, about a contact of an audience. There are no events of single mails
// among them. Mailchimp Transactional is package mandrill.
//
// Mailchimp has no ids for events and whole seconds: an event is known by all
// that it says of contact, audience and campaign.
package mailchimp

import (
	"strings"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/internal/jsontext"
	"github.com/mailstream/mailstream/services/internal/provider"
)

// Name is the provider's name in the configuration and in events.
const Name = "mailchimp"

// Provider reads Mailchimp's webhooks.
type Provider struct{}

// Name returns Name.
func (Provider) Name() string { return Name }

// ReadsForms says that a body of JSON is another sender's.
func (Provider) ReadsForms() bool { return true }

// Answers says that Mailchimp takes any 2xx as done, repeats the rest for about
// 75 minutes, and switches a webhook off at a 410, which is never said.
func (Provider) Answers() provider.Answers { return provider.Retried() }

// Decode takes a form with type and fired_at.
func (Provider) Decode(req *provider.Request, out *provider.Batch) error {
	raw, m, err := out.FieldsIn(req.Body, req.Limits)
	if err != nil {
		return err
	}
	it := out.Add(raw)
	e := entry{Fields: out.Fields(fieldCount)}
	e.read(m, it)
	if !e.Has(fieldType) && !e.Has(fieldTime) {
		return &provider.FormError{What: "a form without type and fired_at"}
	}
	e.decode(it)
	return nil
}

// entry is one form taken apart.
type entry struct {
	provider.Fields
}

// merges is how the fields of an audience are named.
const merges = "data[merges]["

func (e *entry) read(m jsontext.Members, it *provider.Item) {
	e.ReadOr(m, fieldOf, func(key string, v jsontext.Value) {
		if !strings.HasPrefix(key, merges) {
			e.Out.DriftAt(provider.UnknownField, v)
			return
		}
		if tag := mergeTag(key); tag != "EMAIL" { // the recipient once more
			it.SetMetadata(tag, provider.Plain(v))
		}
	})
}

// mergeTag returns FNAME of data[merges][FNAME] and ADDRESS.city of what has
// parts.
func mergeTag(key string) string {
	return strings.ReplaceAll(strings.TrimSuffix(key[len(merges):], "]"), "][", ".")
}

func (e *entry) decode(it *provider.Item) {
	ev := &it.Event
	ev.ProviderEvent = e.Text(fieldType)
	ev.Recipient = e.Text(fieldEmail)
	if ev.Recipient == "" {
		ev.Recipient = e.Text(fieldNewEmail)
	}
	switch {
	case ev.ProviderEvent == "":
		it.Reject(provider.NoType)
		return
	case ev.Recipient == "" && !isAccount(ev.ProviderEvent):
		it.Reject(provider.NoIdentity)
		return
	}
	it.ReadTime(e.Value(fieldTime), provider.Time)
	ev.ListID = e.Text(fieldListID)
	ev.Campaign = e.Text(fieldCampaign)
	ev.Subject = e.Text(fieldSubject)
	e.byType(it)
}

// isAccount says that an event is about a campaign or a batch and no contact.
func isAccount(event string) bool {
	return event == "campaign" || event == "batch_operation_completed"
}

// byType fills in what depends on the kind of event. A repeat is the same form,
// so all discriminators are repeated.
func (e *entry) byType(it *provider.Item) {
	ev := &it.Event
	id, reason := e.Text(fieldID), strings.ToLower(e.Text(fieldReason))
	it.Distinguish(ev.ListID)   // a contact of two audiences leaves both in one second
	it.Distinguish(id)          // two contacts without an address, or two campaigns
	it.Distinguish(ev.Campaign) // leaves by two campaigns in one second
	it.Distinguish(reason)      // is cleaned for two reasons
	switch ev.ProviderEvent {
	case "subscribe":
		ev.Type = schemas.Subscribed
		// Where the opt-in came from; elsewhere it is history.
		if ev.IP = provider.IP(e.Text(fieldOptIP)); ev.IP == "" {
			ev.IP = provider.IP(e.Text(fieldSignupIP))
		}
	case "unsubscribe":
		ev.Type = schemas.Unsubscribed
		if reason == "abuse" {
			ev.Type = schemas.Complained
		}
		it.Distinguish(e.Text(fieldAction)) // leaves and is deleted in one second
	case "cleaned":
		e.cleaned(it, reason)
	case "upemail":
		ev.Type = schemas.Other
		it.Distinguish(e.Text(fieldNewID))
		it.Distinguish(e.Text(fieldOldEmail)) // two addresses become one in one second
	case "campaign":
		ev.Type = schemas.Other
		ev.Campaign = id
		it.Distinguish(e.Text(fieldStatus)) // is sent and archived in one second
	case "profile", "batch_operation_completed":
		ev.Type = schemas.Other
	default:
		e.Out.Unknown(it)
	}
}

// cleaned is an address that Mailchimp sends nothing more to.
func (e *entry) cleaned(it *provider.Item, reason string) {
	if reason == "abuse" {
		it.Event.Type = schemas.Complained
		return
	}
	it.Event.Type = schemas.Bounced
	it.Failure.Class = reason
}

// Enclose makes the form of one item of its bytes.
func (Provider) Enclose(req *provider.Request, _ provider.Envelope) {
	req.Body = provider.Form(req.Body, req.Limits)
}
