// Package resend reads the webhooks of Resend: one object a request, which names
// the recipients it is about.
//
// The id of an event is in a header and not in the body. Contacts, domains and
// the list of suppressed addresses are not mail: they become other, but for a
// contact's own word on whether it wants any.
package resend

import (
	"net/http"
	"strings"

	"github.com/mailstream/mailstream/services/internal/jsontext"
	"github.com/mailstream/mailstream/services/internal/provider"
)

// Name is the provider's name in the configuration and in events.
const Name = "resend"

// eventsMax bounds the events of one request, each of which carries all of it.
// Resend sends a message to 50 recipients at most.
const eventsMax = 100

// Provider reads Resend's webhooks.
type Provider struct{}

// Name returns Name.
func (Provider) Name() string { return Name }

// Answers says that Resend takes any 2xx as done and repeats the rest six times
// within 18 hours.
func (Provider) Answers() provider.Answers { return provider.Retried() }

// Decode takes one object with one event in it.
func (Provider) Decode(req *provider.Request, out *provider.Batch) error {
	raw, m, err := out.ObjectIn(req.Body, req.Limits)
	if err != nil {
		return err
	}
	e := entry{Fields: out.Fields(fieldCount), raw: raw, id: eventID(req.Header)}
	var data jsontext.Value
	for m.Next() {
		switch key := m.Key(); key {
		case "type":
			e.kind = out.Text(m.Value())
		case "created_at":
			e.at = m.Value()
		case "data":
			data = m.Value()
		default:
			out.DriftAt(provider.UnknownField, m.Value())
		}
	}
	e.read(data)
	e.events()
	return nil
}

// eventID returns the id of the set of headers that is signed: an id from the
// other set is unauthenticated, and could make a repeat count as another event.
func eventID(h http.Header) string {
	if signed := h.Values("Svix-Signature"); len(signed) == 1 && signed[0] != "" {
		return h.Get("Svix-Id")
	}
	if id := h.Get("Webhook-Id"); id != "" { // the name of the standard
		return id
	}
	return h.Get("Svix-Id")
}

// entry is one request taken apart; the last of two equal keys counts.
type entry struct {
	raw  jsontext.Value
	id   string // of the event, from the header
	kind string // Resend's word for what happened
	at   jsontext.Value
	provider.Fields
}

func (e *entry) read(data jsontext.Value) {
	e.Read(e.Out.Object(data), fieldOf)
}

// events appends an event for each recipient.
func (e *entry) events() {
	if e.Value(fieldTo).Kind() != jsontext.Array || strings.EqualFold(e.kind, "email.received") {
		address := e.Text(fieldEmail)
		if address == "" && !strings.EqualFold(e.kind, "email.received") { // there it is the account itself
			address = e.Text(fieldTo)
		}
		e.add(address, 0)
		return
	}
	var who []string
	for list := e.Value(fieldTo).Elements(); list.Next() && len(who) <= eventsMax; {
		who = append(who, e.Out.Text(list.Value()))
	}
	switch {
	case len(who) > eventsMax:
		e.Out.Add(e.raw).Reject(provider.TooLarge)
	case len(who) == 0:
		e.add("", 0)
	}
	for i := 0; i < len(who) && len(who) <= eventsMax; i++ {
		e.add(who[i], i)
	}
}

// add appends the event of recipient number i.
func (e *entry) add(address string, i int) {
	it := e.Out.Add(e.raw)
	ev := &it.Event
	ev.ProviderEvent, ev.ProviderEventID = e.kind, e.id
	ev.MessageID = e.Text(fieldEmailID)
	ev.Recipient = provider.Address(address)
	kind := strings.ToLower(e.kind)
	switch {
	case kind == "":
		it.Reject(provider.NoType)
		return
	case ev.Recipient == "" && ev.MessageID == "" && !strings.HasPrefix(kind, "domain."):
		it.Reject(provider.NoIdentity)
		return
	}
	it.ReadTime(e.at, provider.Time)
	ev.Subject, ev.FromDomain, ev.Template = e.Text(fieldSubject), e.Text(fieldFrom), e.Text(fieldTemplate)
	if ev.Campaign = e.Text(fieldBroadcast); ev.Campaign == "" {
		ev.Campaign = ev.Template
	}
	e.pairs(it, fieldHeaders)
	e.pairs(it, fieldTags)
	it.Distinguish(e.id)            // the same in a repeat, where the time and signature beside it change
	it.Distinguish(e.Text(fieldID)) // two contacts or domains at once, should the header be missing
	e.byType(it, kind, i)
}

// pairs adds names and their values to the metadata: an object, or a list of
// objects with name and value, as the send API takes them.
func (e *entry) pairs(it *provider.Item, f provider.FieldID) {
	v := e.Value(f)
	if v.Kind() != jsontext.Array {
		e.Out.Metadata(it, v)
		return
	}
	for list := v.Elements(); list.Next(); {
		name, value := "", ""
		for m := e.Out.Object(list.Value()); m.Next(); {
			switch m.Key() {
			case "name":
				name = e.Out.Text(m.Value())
			case "value":
				value = provider.Plain(m.Value())
			}
		}
		if name != "" {
			it.SetMetadata(name, value)
		}
	}
}

// Enclose puts the id of the event where the request had it.
func (Provider) Enclose(req *provider.Request, was provider.Envelope) {
	req.Header.Set("Webhook-Id", was.EventID)
}
