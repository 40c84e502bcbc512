package ses

import (
	"strings"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/internal/jsontext"
	"github.com/mailstream/mailstream/services/internal/provider"
)

// events appends the events of r.
func (r *record) events() {
	var list jsontext.Value
	var fill func(*provider.Item)
	switch kind := strings.ToLower(strings.ReplaceAll(r.kind, " ", "")); kind {
	case "subscription":
		r.subscription()
		return
	case "send": // the message as a whole was taken
		list, fill = r.destinations, func(it *provider.Item) { it.Event.Type = schemas.Processed }
	case "reject":
		list, fill = r.destinations, r.reject
	case "renderingfailure":
		list, fill = r.destinations, r.failure
	case "delivery":
		list, fill = r.Value(fieldRecipients), r.delivery
	case "deliverydelay":
		list, fill = r.Value(fieldRecipients), r.delay
	case "bounce":
		list, fill = r.Value(fieldRecipients), r.bounce
	case "complaint":
		list, fill = r.Value(fieldRecipients), r.complaint
	case "open":
		fill = r.open
	case "click":
		fill = r.click
	default:
		fill = r.unknown
	}
	who := r.recipients(list)
	if len(who) > eventsMax {
		r.Out.Add(r.raw).Reject(provider.TooLarge)
		return
	}
	for i := range who {
		if it := r.add(who[i]); it != nil {
			fill(it)
		}
	}
}

func (r *record) unknown(it *provider.Item) {
	it.Event.Type = schemas.Other
	r.Out.Drift(provider.UnknownEvent, r.kind)
	it.Distinguish(string(r.raw)) // nothing is known but the bytes, which a repeat has too
}

func (r *record) delivery(it *provider.Item) {
	it.Event.Type = schemas.Delivered
	it.Event.SMTPReply = r.Text(fieldResponse)
	it.Distinguish(it.Event.SMTPReply) // an address in both To and Cc gets two deliveries
}

func (r *record) delay(it *provider.Item) {
	it.Event.Type = schemas.Deferred
	it.Failure.Soft = true // SES goes on trying
	if kind := r.Text(fieldDelay); kind != "" {
		it.Failure.Class = "delay " + kind
	}
	it.Distinguish(it.Event.SMTPReply) // several tries within the same report's time
}

// bounce is final: SES has given up, or did not try.
func (r *record) bounce(it *provider.Item) {
	ev := &it.Event
	subtype := strings.ToLower(r.Text(fieldBounceSubtype))
	it.Failure.Class = subtype
	ev.Type = schemas.Bounced
	switch strings.ToLower(r.Text(fieldBounceType)) {
	case "permanent":
		ev.BounceType = schemas.Hard
	case "transient", "undetermined":
		ev.BounceType, it.Failure.Soft = schemas.Soft, true
	}
	switch subtype {
	case "suppressed", "onaccountsuppressionlist", "ontenantsuppressionlist", "emailvalidationsuppressed", "unsubscribedrecipient":
		ev.Type, ev.BounceType = schemas.Blocked, ""
	case "customtimeoutexceeded": // the sender's own limit, whatever type it comes with
		ev.BounceType, it.Failure.Soft = schemas.Soft, true
	}
}

// complaint names everybody at the complaining domain that the message went to:
// mailbox providers do not say who it was.
func (r *record) complaint(it *provider.Item) {
	ev := &it.Event
	ev.FeedbackSource = r.Text(fieldAgent)
	switch strings.ToLower(r.Text(fieldComplaintSubtype)) {
	case "onaccountsuppressionlist", "ontenantsuppressionlist":
		ev.Type, it.Failure.Class = schemas.Blocked, "complaint suppressed"
		return
	}
	ev.Type = schemas.Complained
	if strings.EqualFold(r.Text(fieldComplaintType), "not-spam") {
		ev.Type = schemas.Other
	}
}

func (r *record) reject(it *provider.Item) {
	it.Event.Type = schemas.Blocked
	it.Event.SMTPReply = r.Text(fieldReason)
	it.Failure.Class = "reject"
}

func (r *record) failure(it *provider.Item) {
	it.Event.Type = schemas.Failed
	it.Event.SMTPReply = r.Text(fieldError)
	it.Failure.Class = "rendering failure"
}

func (r *record) open(it *provider.Item) {
	it.Event.Type = schemas.Opened
	r.reader(it)
}

func (r *record) click(it *provider.Item) {
	it.Event.Type = schemas.Clicked
	it.Event.URL = r.Text(fieldLink)
	it.Distinguish(it.Event.URL) // two links at once
	r.reader(it)
}

// reader fills in what is known of the one who opened or clicked.
func (r *record) reader(it *provider.Item) {
	it.SetSent(provider.Time(r.sent))
	ip := r.Text(fieldIP)
	it.Event.IP = provider.IP(ip)
	it.Event.UserAgent = r.Text(fieldAgent)
	it.Distinguish(ip)                 // of a message to many, which does not say who it was
	it.Distinguish(it.Event.UserAgent) // behind one address
}

// subscription adds an item for each topic that was left or joined: leaving one
// must not end the others.
func (r *record) subscription() {
	list := r.Text(fieldList)
	was, is := r.preferences(fieldOldPreferences), r.preferences(fieldNewPreferences)
	who := r.recipients(nil)[0]
	change := func(t schemas.Type, list string) {
		it := r.add(who)
		if it == nil {
			return
		}
		it.Event.Type, it.Event.ListID = t, list
		it.Distinguish(list) // several topics with one click
	}
	changed := 0
	switch {
	case is.none:
		change(schemas.Unsubscribed, list)
		return
	case len(is.topics) > eventsMax || len(was.topics) > eventsMax:
		r.Out.Add(r.raw).Reject(provider.TooLarge)
		return
	case was.none: // subscribed once more, except for the topics that are opted out
		change(schemas.Subscribed, list)
		changed++
	}
	for _, topic := range is.topics {
		before := was.of(topic.name)
		if before == topic.state || before == "" && topic.state == optIn {
			continue
		}
		changed++
		if topic.state == optOut {
			change(schemas.Unsubscribed, list+"/"+topic.name)
		} else {
			change(schemas.Subscribed, list+"/"+topic.name)
		}
	}
	if changed == 0 {
		change(schemas.Other, list)
	}
}

// The two states of a topic.
const (
	optIn  = "optin"
	optOut = "optout"
)

type topic struct{ name, state string }

// preferences are a contact's settings of a contact list.
type preferences struct {
	none   bool // unsubscribeAll
	topics []topic
}

// of returns the state of a topic, empty when it is not known.
func (p preferences) of(name string) string {
	for _, t := range p.topics {
		if t.name == name {
			return t.state
		}
	}
	return ""
}

func (r *record) preferences(f provider.FieldID) preferences {
	var p preferences
	for m := r.Object(f); m.Next(); {
		switch key := m.Key(); key {
		case "unsubscribeAll":
			all := provider.Boolean(m.Value())
			p.none = all != nil && *all
		case "topicSubscriptionStatus":
			for e := r.list(m.Value()).Elements(); e.Next() && len(p.topics) <= eventsMax; {
				if t := r.topic(e.Value()); t.state == optIn || t.state == optOut {
					p.topics = append(p.topics, t)
				}
			}
		case "topicDefaultSubscriptionStatus": // a default of the list, not the contact's choice
		default:
			r.Out.DriftAt(provider.UnknownField, m.Value())
		}
	}
	return p
}

func (r *record) topic(v jsontext.Value) topic {
	var t topic
	for m := r.Out.Object(v); m.Next(); {
		switch key := m.Key(); key {
		case "topicName":
			t.name = r.Out.Text(m.Value())
		case "subscriptionStatus":
			t.state = strings.ToLower(r.Out.Text(m.Value()))
		default:
			r.Out.DriftAt(provider.UnknownField, m.Value())
		}
	}
	return t
}
