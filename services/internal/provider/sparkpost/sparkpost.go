// Package sparkpost reads the event webhooks of SparkPost: an array of objects,
// each with one event in its msys, under the name of a class.
//
// An empty msys is a ping and no item. Nearly every value is text, numbers
// included. The classes are only read to find the event: its type says what it
// is, so that a new class does no harm.
package sparkpost

import (
	"net/http"
	"strings"
	"time"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/internal/jsontext"
	"github.com/mailstream/mailstream/services/internal/provider"
)

// Name is the provider's name in the configuration and in events.
const Name = "sparkpost"

// Provider reads SparkPost's webhooks.
type Provider struct{}

// Name returns Name.
func (Provider) Name() string { return Name }

// Answers says that SparkPost takes 200 as done (one of its pages says any 2xx)
// and tries twelve times in eight hours. Where it gives an OAuth token it takes
// 400 and 401 for a word on the token, so a broken body gets a 422.
func (Provider) Answers() provider.Answers {
	a := provider.Retried()
	a.Malformed = http.StatusUnprocessableEntity
	return a
}

// Decode takes an array of objects, or one object.
func (Provider) Decode(req *provider.Request, out *provider.Batch) error {
	doc := out.JSON()
	if err := doc.Parse(req.Body, req.Limits); err != nil {
		return err
	}
	if !doc.IsArray() && doc.Items()[0].Kind() != jsontext.Object {
		return &provider.FormError{What: "neither an object nor an array"}
	}
	for i, raw := range doc.Items() {
		if raw.Kind() != jsontext.Object {
			out.Add(raw).Reject(provider.NotAnObject)
			continue
		}
		var msys jsontext.Value
		for m := doc.Members(i); m.Next(); {
			if key := m.Key(); key == "msys" {
				msys = m.Value()
			} else {
				out.DriftAt(provider.UnknownField, m.Value())
			}
		}
		if msys.Kind() != jsontext.Object {
			out.Add(raw).Reject(provider.NoType)
			continue
		}
		for m := out.Members(msys); m.Next(); { // one, and none in a ping
			decode(m.Key(), m.Value(), out.Add(raw), out)
		}
	}
	return nil
}

// entry is one event taken apart; the last of two equal keys counts.
type entry struct {
	provider.Fields
}

func decode(class string, v jsontext.Value, it *provider.Item, out *provider.Batch) {
	if v.Kind() != jsontext.Object {
		it.Reject(provider.NotAnObject)
		return
	}
	e := entry{Fields: out.Fields(fieldCount)}
	e.ReadOr(out.Members(v), fieldOf, func(_ string, v jsontext.Value) {
		if class != inbound { // a mail has other fields
			out.DriftAt(provider.UnknownField, v)
		}
	})
	it.Event.ProviderEvent = e.Text(fieldType)
	if it.Event.ProviderEvent == "" && class == inbound {
		it.Event.ProviderEvent = class
	}
	common(&e, it)
	if it.Fault == "" {
		byType(&e, it)
	}
}

// inbound is the class of a received mail, which has no type.
const inbound = "relay_message"

// common fills in what every event has.
func common(e *entry, it *provider.Item) {
	ev := &it.Event
	ev.ProviderEventID = e.Text(fieldEventID)
	ev.MessageID = e.Text(fieldTransmission) // what the send API answers
	if ev.MessageID == "" {
		ev.MessageID = e.Text(fieldMessageID)
	}
	ev.Recipient = e.Text(fieldRawRecipient)
	if ev.Recipient == "" {
		ev.Recipient = e.Text(fieldRecipient)
	}
	if !it.Identified(apart(ev.ProviderEvent)) {
		return
	}
	it.ReadTime(e.Value(fieldTimestamp), provider.Time)
	ev.Subject, ev.FromDomain, ev.Template = e.Text(fieldSubject), e.Text(fieldFrom), e.Text(fieldTemplate)
	ev.SendingDomain, ev.IPPool = e.Text(fieldEnvelope), e.Text(fieldPool)
	ev.Campaign = e.Text(fieldCampaign)
	if ev.Campaign == "" {
		ev.Campaign = ev.Template
	}
	ev.SendingIP = provider.IP(e.Text(fieldSendingIP))
	e.Tags(it, fieldTags)
	e.Metadata(it, fieldMeta)
	if !strings.HasSuffix(strings.ToLower(ev.ProviderEvent), "open") {
		// A batch is kept and repeated as it is, under the same batch id; so the id of
		// an event stays too.
		it.Distinguish(ev.ProviderEventID)
	}
}

// lookMax is the interval to which the times of opens are rounded. A message has
// a pixel on top and one at its end; a mail program fetches both within some
// seconds, or only one of them.
const lookMax = time.Minute

// look makes one event of the two pixels of one look: they differ in the word, in
// the event id and by seconds in the time, so the id is made of none of these.
func (e *entry) look(it *provider.Item, kind string) {
	e.reader(it)
	ev := &it.Event
	it.Word = strings.Replace(kind, "initial_", "", 1)
	it.Distinguish(ev.IP)
	it.Distinguish(ev.UserAgent)
	if ev.Time.IsZero() { // the id is all there is
		it.Distinguish(ev.ProviderEventID)
		return
	}
	cut := ev.Time.Truncate(lookMax)
	if !it.SentAt.IsZero() { // the delay shows whether a machine opened it
		it.SentAt = it.SentAt.Add(cut.Sub(ev.Time))
	}
	ev.Time = cut
}

// apart says that an event is about no message that was sent: tests of
// variants, uploads of events, mail that came in, text messages.
func apart(kind string) bool {
	return strings.HasPrefix(kind, "relay_") || strings.HasPrefix(kind, "ab_test_") ||
		kind == "success" || kind == "error" || kind == "sms_status"
}

// byType fills in what depends on the kind of event.
func byType(e *entry, it *provider.Item) {
	ev := &it.Event
	switch kind := strings.ToLower(ev.ProviderEvent); kind {
	case "injection":
		ev.Type = schemas.Processed
	case "delivery":
		ev.Type = schemas.Delivered
	case "delay":
		ev.Type = schemas.Deferred
		e.failure(it)
		it.Failure.Soft = true // SparkPost goes on trying
	case "bounce", "out_of_band":
		e.bounce(it)
	case "policy_rejection", "generation_rejection":
		ev.Type = schemas.Blocked
		e.failure(it)
		it.Failure.Class = refusal(ev.SMTPReply)
	case "generation_failure":
		ev.Type = schemas.Failed
		e.failure(it)
		it.Failure.Class = "generation failure"
	case "spam_complaint":
		e.complaint(ev)
	case "open", "initial_open", "amp_open", "amp_initial_open":
		ev.Type = schemas.Opened
		e.look(it, kind)
	case "click", "amp_click":
		ev.Type = schemas.Clicked
		e.reader(it)
	case "list_unsubscribe", "link_unsubscribe":
		ev.Type = schemas.Unsubscribed
		e.reader(it)
	default:
		ev.Type = schemas.Other
		if !apart(kind) {
			e.Out.Drift(provider.UnknownEvent, ev.ProviderEvent)
		}
		e.failure(it)                  // of a relay
		it.Distinguish(string(ev.Raw)) // nothing is known but the bytes, which a repeat has too
	}
}

// reader fills in what is known of the one who opened, clicked or left.
func (e *entry) reader(it *provider.Item) {
	ev := &it.Event
	it.SetSent(provider.Time(e.Value(fieldInjection)))
	ev.IP = provider.IP(e.Text(fieldIP))
	ev.UserAgent = e.Text(fieldAgent)
	ev.URL = e.Text(fieldURL)
	it.Distinguish(ev.URL) // two links in one second, should an id be missing
	for m := e.Object(fieldPlace); m.Next(); {
		if m.Key() == "country" {
			ev.Country = provider.Country(e.Out.Text(m.Value()))
		}
	}
}

// complaint names who reported it, and otherwise the kind of report.
func (e *entry) complaint(ev *schemas.Event) {
	ev.Type = schemas.Complained
	kind := e.Text(fieldReport)
	if ev.FeedbackSource = e.Text(fieldReporter); ev.FeedbackSource == "" {
		ev.FeedbackSource = kind
	}
	if strings.EqualFold(kind, "not-spam") { // RFC 6650: the reader took it back
		ev.Type = schemas.Other
	}
}

// failure fills in what the remote server, or SparkPost in its place, said.
func (e *entry) failure(it *provider.Item) (class string) {
	ev := &it.Event
	ev.SMTPReply = e.Text(fieldRawReason)
	if ev.SMTPReply == "" { // with the address taken out
		ev.SMTPReply = e.Text(fieldReason)
	}
	ev.SMTPCode = provider.SMTPCode(e.Text(fieldCode))
	class = e.Text(fieldClass)
	it.Failure.Class = class
	return class
}

// bounce may be a mail that came back and means something else.
func (e *entry) bounce(it *provider.Item) {
	ev := &it.Event
	switch e.failure(it) {
	case "10", "30":
		ev.Type, ev.BounceType = schemas.Bounced, schemas.Hard
	case "25": // SparkPost's own refusal
		ev.Type = schemas.Blocked
		it.Failure.Class = refusal(ev.SMTPReply)
	case "60", "100": // an automatic reply, a question whether the sender is a person
		ev.Type = schemas.Other
	case "80":
		ev.Type = schemas.Subscribed
	case "90":
		ev.Type = schemas.Unsubscribed
	case "": // the reply decides
		ev.Type = schemas.Bounced
	default:
		ev.Type, ev.BounceType = schemas.Bounced, schemas.Soft
		it.Failure.Soft = true // SparkPost's word, whatever code the server chose
	}
	if ev.Type == schemas.Bounced && ev.BounceType != schemas.Hard && strings.HasPrefix(ev.SMTPReply, expired) {
		it.Failure.Class = "24"
	}
}

// expired is how the reply starts when SparkPost gives up after days of trying.
// The last reply of the server follows it in brackets, and its class may be that
// of the reply.
const expired = "554 5.4.7"

// suppressions are what SparkPost writes in brackets behind a refusal, for why
// an address is on its list.
func suppressions() [5]string {
	return [...]string{"bounce rule", "spam complaint", "list unsubscribe", "link unsubscribe", "unsubscribe rule"}
}

// refusal returns the class of what SparkPost itself refused: bounce class 25 is
// both an address on its list and a sender that broke a rule.
func refusal(reply string) string {
	text := strings.ToLower(reply)
	if !strings.Contains(text, "suppressed") {
		return "25"
	}
	for _, cause := range suppressions() {
		if strings.Contains(text, cause) {
			return "suppressed: " + cause
		}
	}
	return "suppressed"
}
