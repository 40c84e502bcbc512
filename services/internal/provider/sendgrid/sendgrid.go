// Package sendgrid reads the Event Webhook of Twilio SendGrid: an array of flat
// objects, types mixed, with the sender's own arguments among the fields.
//
// SendGrid's event ids are opaque and no proof of anything: they are evidence,
// never identity. Any field that is not documented is taken for an argument of
// the sender, so new fields of SendGrid show in metadata and not as drift.
package sendgrid

import (
	"slices"
	"strconv"
	"strings"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/internal/jsontext"
	"github.com/mailstream/mailstream/services/internal/provider"
)

// Name is the provider's name in the configuration and in events.
const Name = "sendgrid"

// Provider reads SendGrid's webhooks.
type Provider struct{}

// Name returns Name.
func (Provider) Name() string { return Name }

// Answers says that SendGrid takes any 2xx as done and repeats the rest, with
// growing pauses, until the event is 24 h old.
func (Provider) Answers() provider.Answers { return provider.Retried() }

// Decode takes an array of objects, or one object.
func (Provider) Decode(req *provider.Request, out *provider.Batch) error {
	return out.ObjectsIn(req.Body, req.Limits, decode)
}

// entry is one object taken apart; the last of two equal keys counts.
type entry struct {
	provider.Fields
}

func decode(m jsontext.Members, it *provider.Item, out *provider.Batch) {
	e := entry{Fields: out.Fields(fieldCount)}
	// What is not documented is an argument of the sender.
	e.ReadOr(m, fieldOf, func(key string, v jsontext.Value) { it.SetMetadata(key, provider.Plain(v)) })
	common(&e, it)
	if it.Fault == "" {
		byType(&e, it)
	}
}

// common fills in what every event has.
func common(e *entry, it *provider.Item) {
	ev := &it.Event
	ev.ProviderEvent = e.Text(fieldEvent)
	ev.ProviderEventID = e.Text(fieldEventID)
	ev.MessageID = messageID(e.Text(fieldMessageID), e.Text(fieldSMTPID))
	ev.Recipient = e.Text(fieldEmail)
	if !it.Identified(isAccount(ev.ProviderEvent)) {
		return
	}
	it.ReadTime(e.Value(fieldTimestamp), provider.Time)
	e.Tags(it, fieldCategory)
	ev.ListID = provider.Number(e.Text(fieldGroup))
	ev.Campaign = e.campaign()
	ev.Template = e.Text(fieldTemplate)
	ev.IPPool = e.pool()
}

// pool is an object with a name, or in older accounts the name itself.
func (e *entry) pool() string {
	if e.Value(fieldPool).Kind() != jsontext.Object {
		return e.Text(fieldPool)
	}
	for m := e.Object(fieldPool); m.Next(); {
		if m.Key() == "name" {
			return e.Out.Text(m.Value())
		}
	}
	return ""
}

// isAccount says that an event is about the account, not about a message.
func isAccount(event string) bool { return strings.EqualFold(event, "account_status_change") }

// campaign is a name where there is one, for names are what people search for.
func (e *entry) campaign() string {
	for _, f := range [...]provider.FieldID{fieldCampaignName, fieldSendName, fieldCampaignID, fieldSendID} {
		if text := provider.Number(e.Text(f)); text != "" {
			return text
		}
	}
	for m := e.Object(fieldNewsletter); m.Next(); {
		if m.Key() == "newsletter_id" {
			return e.Out.Text(m.Value())
		}
	}
	return ""
}

// messageID returns what the send API answered as X-Message-Id: the start of
// sg_message_id, whose rest names the servers it went through, or the local part
// of the Message-ID header, which is the same.
func messageID(id, smtpID string) string {
	if id == "" {
		id, _, _ = strings.Cut(strings.TrimPrefix(smtpID, "<"), "@")
		return id
	}
	for _, mark := range [...]string{".filter", ".recvd", "."} {
		if i := strings.Index(id, mark); i > 0 { // ids of old have dots in them
			return id[:i]
		}
	}
	return id
}

// byType fills in what depends on the kind of event. On a resend only
// sg_event_id changes, so all discriminators are repeated.
func byType(e *entry, it *provider.Item) {
	ev := &it.Event
	switch strings.ToLower(ev.ProviderEvent) {
	case "processed":
		ev.Type = schemas.Processed
	case "delivered":
		ev.Type = schemas.Delivered
		e.reply(it, fieldResponse)
	case "deferred":
		ev.Type = schemas.Deferred
		it.Failure.Soft = true // SendGrid goes on trying
		e.reply(it, fieldResponse)
		it.Distinguish(e.Text(fieldAttempt)) // two tries in one second
	case "bounce":
		e.bounce(it)
	case "dropped":
		e.dropped(it)
	case "open":
		ev.Type = schemas.Opened
		e.reader(it)
		ev.Machine = machine(e.Value(fieldMachine))
	case "click":
		ev.Type = schemas.Clicked
		e.reader(it)
		it.Distinguish(string(e.Value(fieldOffset))) // the same link twice in one message
	case "spamreport":
		ev.Type = schemas.Complained
	case "unsubscribe", "group_unsubscribe":
		ev.Type = schemas.Unsubscribed
		e.reader(it)
		it.Distinguish(ev.ListID) // leaves several groups in one second
	case "group_resubscribe":
		ev.Type = schemas.Subscribed
		e.reader(it)
		it.Distinguish(ev.ListID) // joins several groups in one second
	case "account_status_change":
		ev.Type = schemas.Other
		it.Distinguish(e.Text(fieldType)) // two changes in one second
	default:
		ev.Type = schemas.Other
		e.Out.Drift(provider.UnknownEvent, ev.ProviderEvent)
		distinguishFields(it)
	}
}

// machine is true for an open by a privacy proxy; that it was not one proves no
// person.
func machine(v jsontext.Value) *bool {
	if b := provider.Boolean(v); b != nil && *b {
		return b
	}
	return nil
}

// distinguishFields uses every field of an unknown event as discriminator except
// sg_event_id, which a resend may change: which field makes two of them different
// is not known.
func distinguishFields(it *provider.Item) {
	var fields []string
	for m := jsontext.Value(it.Event.Raw).Members(); m.Next(); {
		if key := m.Key(); key != "sg_event_id" {
			fields = append(fields, strconv.Quote(key)+string(m.Value()))
		}
	}
	slices.Sort(fields) // their order is not documented
	it.Distinguish(strings.Join(fields, ","))
}

// reply fills in what the remote server said.
func (e *entry) reply(it *provider.Item, text provider.FieldID) {
	ev := &it.Event
	ev.SendingIP = provider.IP(e.Text(fieldIP))
	ev.SMTPReply = e.Text(text)
	ev.EnhancedCode = provider.EnhancedCode(e.Text(fieldStatus))
	it.Distinguish(ev.SMTPReply) // fails twice in one second, or is delivered after that
}

// reader fills in what is known of the one who opened, clicked or left.
func (e *entry) reader(it *provider.Item) {
	ev := &it.Event
	ip := e.Text(fieldIP)
	ev.IP = provider.IP(ip)
	ev.UserAgent = e.Text(fieldAgent)
	ev.URL = e.Text(fieldURL)
	it.Distinguish(ip)           // a forwarded mail is read in two places in one second
	it.Distinguish(ev.UserAgent) // by a person and the scanner behind the same address
	it.Distinguish(ev.URL)       // two links in one second
}

// bounce is final. Type blocked is a refusal that says nothing of the address:
// SendGrid retries the address with the next message.
func (e *entry) bounce(it *provider.Item) {
	ev := &it.Event
	kind := strings.ToLower(e.Text(fieldType))
	class := strings.ToLower(e.Text(fieldClass))
	e.reply(it, fieldReason)
	it.Distinguish(kind)
	it.Failure.Class = class
	switch kind {
	case "blocked":
		ev.Type = schemas.Blocked
	case "expired":
		ev.Type, ev.BounceType = schemas.Bounced, schemas.Soft
		if class == "" {
			it.Failure.Class = kind
		}
	case "bounce":
		ev.Type, ev.BounceType = schemas.Bounced, schemas.Hard
	default: // no word on the address: the reply decides
		ev.Type = schemas.Bounced
		return
	}
	switch class {
	case "", "unclassified", "mailbox unavailable": // no word on the address but the type
		it.Failure.Soft = ev.BounceType != schemas.Hard
	case "technical failure", "technical": // of a server, even where its reply blames the domain
		it.Failure.Soft = true
	}
}

// dropReasons are how the reasons of a drop begin; some go on with a detail.
func dropReasons() [7]string {
	return [...]string{
		"bounced address", "unsubscribed address", "spam reporting address", "invalid smtpapi header",
		"invalid", "spam content", "recipient list over package quota",
	}
}

// dropped was not even tried.
func (e *entry) dropped(it *provider.Item) {
	it.Event.Type = schemas.Blocked
	e.reply(it, fieldReason)
	reason := it.Event.SMTPReply
	if reason == "" {
		reason = e.Text(fieldType) // where older accounts have it
	}
	it.Failure.Class = reason
	lower := strings.ToLower(reason)
	for _, known := range dropReasons() {
		if strings.HasPrefix(lower, known) {
			it.Failure.Class = known
			return
		}
	}
}
