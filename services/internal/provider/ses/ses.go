// Package ses reads what Amazon SES publishes through Amazon SNS: one SNS
// message a request, with one record of SES as text in it. Both producers are
// understood: event publishing (eventType) and feedback notifications
// (notificationType).
//
// A record may be about many recipients and becomes one event for each that it
// names; recipients of the same message that it does not name are left alone.
// The handshakes of SNS are answered where signatures are checked; here they are
// requests without items.
package ses

import (
	"net/http"
	"strings"
	"time"

	"github.com/mailstream/mailstream/services/internal/jsontext"
	"github.com/mailstream/mailstream/services/internal/provider"
)

// Name is the provider's name in the configuration and in events.
const Name = "ses"

// eventsMax bounds the events of one record, each of which carries the whole
// record. SES sends a message to 50 recipients at most.
const eventsMax = 100

// Provider reads SNS messages with records of SES.
type Provider struct{}

// Name returns Name.
func (Provider) Name() string { return Name }

// Answers says that SNS takes any 2xx as done and gives up at once after a 4xx.
// So everything that is not done is a 503, which it repeats: three times in a
// minute, or as the topic's delivery policy says for up to an hour. A password
// it gives only when asked.
func (Provider) Answers() provider.Answers {
	a := provider.Refused(http.StatusServiceUnavailable)
	a.ChallengeFirst = true
	return a
}

// envelope is what is read of an SNS message.
type envelope struct {
	kind, id  string
	timestamp jsontext.Value
	message   jsontext.Value
	bare      bool // it is the record itself
}

// Decode takes one SNS message.
func (Provider) Decode(req *provider.Request, out *provider.Batch) error {
	raw, m, err := out.ObjectIn(req.Body, req.Limits)
	if err != nil {
		return err
	}
	env := open(m, out)
	switch env.kind {
	case "":
		if !env.bare {
			return &provider.FormError{What: "no SNS message"}
		}
		out.Add(raw).Reject(provider.RawDelivery)
		return nil
	case "Notification":
	case "SubscriptionConfirmation", "UnsubscribeConfirmation":
		return nil
	default:
		return &provider.FormError{What: "no SNS message"}
	}
	text, ok := env.message.Text()
	switch {
	case !ok:
		return &provider.FormError{What: "an SNS message without Message"}
	case strings.HasPrefix(text, "Successfully validated SNS topic"): // a new destination's test
		return nil
	}
	// From here on doc holds the record; text is not part of its memory.
	doc := out.JSON()
	if doc.Parse([]byte(text), req.Limits) != nil || doc.IsArray() || doc.Items()[0].Kind() != jsontext.Object {
		// Another program publishes to the topic. A resend would not help.
		out.Add(env.message).Reject(provider.NotAnObject)
		return nil
	}
	r := record{Fields: out.Fields(fieldCount), raw: doc.Items()[0], env: env}
	r.read(doc.Members(0))
	if r.kind != "AmazonSnsSubscriptionSucceeded" { // the test of feedback notifications
		r.events()
	}
	return nil
}

func open(m jsontext.Members, out *provider.Batch) envelope {
	var env envelope
	for m.Next() {
		switch key := m.Key(); key {
		case "Type":
			env.kind = out.Text(m.Value())
		case "MessageId":
			env.id = out.Text(m.Value())
		case "Timestamp":
			env.timestamp = m.Value()
		case "Message":
			env.message = m.Value()
		case "TopicArn", "Subject", "SignatureVersion", "Signature", "SigningCertURL", "SigningCertUrl",
			"UnsubscribeURL", "UnsubscribeUrl", "SubscribeURL", "SubscribeUrl", "Token", "MessageAttributes":
		case "eventType", "notificationType":
			env.bare = true
		case "mail", "bounce", "complaint", "delivery", "send", "reject", "open", "click", "failure", "deliveryDelay", "subscription":
		default:
			out.DriftAt(provider.UnknownField, m.Value())
		}
	}
	return env
}

// record is one record of SES taken apart.
type record struct {
	provider.Fields // what the record says beside mail
	raw             jsontext.Value
	env             envelope
	kind            string // SES's word for what happened

	messageID    string
	subject      string
	from         string         // of the header
	source       string         // of the envelope
	sent         jsontext.Value // when the message was taken
	destinations jsontext.Value
	tags         jsontext.Value
}

func (r *record) read(m jsontext.Members) {
	for m.Next() {
		switch key := m.Key(); key {
		case "eventType", "notificationType":
			r.kind = r.Out.Text(m.Value())
		case "mail":
			r.mail(r.Out.Object(m.Value()))
		case "bounce", "complaint", "delivery", "send", "reject", "open", "click", "failure", "deliveryDelay", "subscription":
			r.part(r.Out.Object(m.Value()))
		case "message": // of the test of feedback notifications
		default:
			r.Out.DriftAt(provider.UnknownField, m.Value())
		}
	}
}

func (r *record) mail(m jsontext.Members) {
	for m.Next() {
		switch key := m.Key(); key {
		case "timestamp":
			r.sent = m.Value()
		case "messageId":
			r.messageID = r.Out.Text(m.Value())
		case "destination":
			r.destinations = r.list(m.Value())
		case "tags":
			r.tags = m.Value()
		case "source":
			r.source = r.Out.Text(m.Value())
		case "commonHeaders":
			r.headers(r.Out.Object(m.Value()))
		case "sourceArn", "sourceIp", "callerIdentity", "sendingAccountId", "headersTruncated", "headers":
		default:
			r.Out.DriftAt(provider.UnknownField, m.Value())
		}
	}
}

// headers reads those of the message that SES picks out.
func (r *record) headers(m jsontext.Members) {
	for m.Next() {
		switch key := m.Key(); key {
		case "subject":
			r.subject = r.Out.Text(m.Value())
		case "from":
			if list := r.list(m.Value()).Elements(); list.Next() {
				r.from = r.Out.Text(list.Value())
			}
		}
	}
}

func (r *record) part(m jsontext.Members) {
	r.ReadOr(m, fieldOf, func(key string, v jsontext.Value) {
		switch key {
		case "bouncedRecipients", "complainedRecipients", "delayedRecipients", "recipients":
			r.Set(fieldRecipients, r.list(v))
		default:
			r.Out.DriftAt(provider.UnknownField, v)
		}
	})
}

// list returns v, which is noted when it is neither an array nor nothing.
func (r *record) list(v jsontext.Value) jsontext.Value {
	switch v.Kind() {
	case jsontext.Array, jsontext.Null, jsontext.Invalid:
	default:
		r.Out.DriftAt(provider.WrongType, v)
	}
	return v
}

// recipient is one that a record names, with what it says of it.
type recipient struct{ address, status, diagnostic string }

// recipients returns those of a list of addresses or objects. Without a list, or
// with an empty one, it is the message's only destination; with several it is
// unknown which one is meant, so none is taken.
func (r *record) recipients(list jsontext.Value) []recipient {
	var found []recipient
	for e := list.Elements(); e.Next() && len(found) <= eventsMax; {
		found = append(found, r.named(e.Value()))
	}
	if len(found) > 0 {
		return found
	}
	for e := r.destinations.Elements(); e.Next(); {
		if len(found) == 1 {
			return []recipient{{}}
		}
		found = append(found, r.named(e.Value()))
	}
	if len(found) == 0 {
		found = append(found, recipient{})
	}
	return found
}

func (r *record) named(v jsontext.Value) recipient {
	if v.Kind() != jsontext.Object {
		return recipient{address: provider.Address(r.Out.Text(v))}
	}
	var who recipient
	for m := r.Out.Members(v); m.Next(); {
		switch key := m.Key(); key {
		case "emailAddress": // of the remote server's report, maybe with a name
			who.address = provider.Address(r.Out.Text(m.Value()))
		case "status":
			who.status = provider.EnhancedCode(r.Out.Text(m.Value()))
		case "diagnosticCode":
			who.diagnostic = r.Out.Text(m.Value())
		case "action":
		default:
			r.Out.DriftAt(provider.UnknownField, m.Value())
		}
	}
	return who
}

// add appends the event of one recipient. It is nil when there can be no event.
func (r *record) add(who recipient) *provider.Item {
	it := r.Out.Add(r.raw)
	ev := &it.Event
	ev.ProviderEvent, ev.MessageID, ev.Recipient = r.kind, r.messageID, who.address
	switch {
	case r.kind == "":
		it.Reject(provider.NoType)
		return nil
	case ev.MessageID == "" && ev.Recipient == "":
		it.Reject(provider.NoIdentity)
		return nil
	}
	if ev.ProviderEventID = r.Text(fieldFeedback); ev.ProviderEventID == "" {
		ev.ProviderEventID = r.env.id
	}
	it.ReadTime(r.when(), provider.Time)
	ev.Subject, ev.FromDomain, ev.SendingDomain = r.subject, r.from, r.source
	ev.Template = r.Text(fieldTemplate)
	ev.EnhancedCode, ev.SMTPReply = who.status, who.diagnostic
	r.label(it)
	// Both kinds of notification use it as discriminator, so that a bounce
	// reported by both is one event, and another report on the same message is
	// another event.
	it.Distinguish(r.Text(fieldFeedback))
	return it
}

// when returns the time of what happened, else when SES accepted the message,
// else when SNS got the notification.
func (r *record) when() jsontext.Value {
	for _, v := range [...]jsontext.Value{r.Value(fieldTimestamp), r.sent} {
		if k := v.Kind(); k != jsontext.Invalid && k != jsontext.Null {
			return v
		}
	}
	return r.env.timestamp
}

// label fills in the message's tags: pairs, so they are metadata.
func (r *record) label(it *provider.Item) {
	for m := r.Out.Object(r.tags); m.Next(); {
		key, value := m.Key(), ""
		if m.Value().Kind() != jsontext.Array {
			value = provider.Plain(m.Value())
		}
		for e := m.Value().Elements(); e.Next(); {
			if value != "" {
				value += ","
			}
			value += provider.Plain(e.Value())
		}
		switch key {
		case "campaign": // the sender's own, named so in Amazon's examples
			it.Event.Campaign = value
		case "ses:outgoing-ip":
			it.Event.SendingIP = provider.IP(value)
		}
		it.SetMetadata(key, value)
	}
}

// Enclose makes the message of SNS of one record.
func (Provider) Enclose(req *provider.Request, was provider.Envelope) {
	body := provider.AppendString([]byte(`{"Type":"Notification","MessageId":`), was.EventID)
	body = provider.AppendString(append(body, `,"Timestamp":`...), was.Time.UTC().Format(time.RFC3339Nano))
	req.Body = append(provider.AppendString(append(body, `,"Message":`...), string(req.Body)), '}')
}
