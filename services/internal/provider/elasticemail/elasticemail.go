// Package elasticemail reads the HTTP web notifications of Elastic Email: one event a
// request, in the parameters of the URL. They come by GET; a form and a flat JSON object
// that are posted mean the same.
//
// Elastic Email has no ids for events and whole seconds: an event is known by all that
// it says of status, message, recipient, link and category.
package elasticemail

import (
	"strings"
	"time"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/internal/jsontext"
	"github.com/mailstream/mailstream/services/internal/provider"
)

// Name is the provider's name in the configuration and in events.
const Name = "elasticemail"

// Provider reads Elastic Email's notifications.
type Provider struct{}

// Name returns Name.
func (Provider) Name() string { return Name }

// ReadsQuery says that the parameters of the URL are the event.
func (Provider) ReadsQuery() bool { return true }

// Answers says that Elastic Email takes a 200 alone as done. It switches notifications
// off after 1,000 others; whether it repeats one is not documented.
func (Provider) Answers() provider.Answers { return provider.Retried() }

// Decode takes the parameters of one event. A request without a body that names no
// event validates the URL and is not an item.
func (Provider) Decode(req *provider.Request, out *provider.Batch) error {
	form, isForm := req.Parameters()
	var (
		raw jsontext.Value
		m   jsontext.Members
		err error
	)
	switch {
	case !isForm:
		raw, m, err = out.ObjectIn(req.Body, req.Limits)
	case len(form) > 0:
		raw, m, err = out.FieldsIn(form, req.Limits)
	}
	if err != nil {
		return err
	}
	e := entry{Fields: out.Fields(fieldCount)}
	e.Read(m, fieldOf)
	if !e.given(fieldStatus) && !e.given(fieldMessageID) && !e.given(fieldTo) {
		if len(req.Body) > 0 {
			return &provider.FormError{What: "neither status nor messageid nor to"}
		}
		return nil
	}
	e.decode(out.Add(raw))
	return nil
}

// entry is one event taken apart.
type entry struct {
	provider.Fields
}

// given says that a field is there and not empty.
func (e *entry) given(f provider.FieldID) bool { return e.Has(f) && string(e.Value(f)) != `""` }

func (e *entry) decode(it *provider.Item) {
	ev := &it.Event
	ev.ProviderEvent = e.Text(fieldStatus)
	ev.MessageID = e.Text(fieldMessageID)
	ev.Recipient = e.Text(fieldTo)
	if !it.Identified(false) {
		return
	}
	it.ReadTime(e.Value(fieldDate), eventTime)
	ev.Campaign = e.Text(fieldChannel)
	ev.Subject, ev.FromDomain = e.Text(fieldSubject), e.Text(fieldFrom)
	transaction := e.Text(fieldTransaction)
	it.SetMetadata("transaction", transaction)
	it.SetMetadata("postback", e.Text(fieldPostback))
	it.Word = strings.ToLower(ev.ProviderEvent) // one event in any spelling
	it.Distinguish(transaction)                 // of two mails without a messageid
	e.byStatus(it)
}

// byStatus fills in what depends on the kind of event.
func (e *entry) byStatus(it *provider.Item) {
	ev := &it.Event
	switch it.Word {
	case "sent":
		ev.Type = schemas.Delivered
	case "opened":
		ev.Type = schemas.Opened
	case "clicked":
		ev.Type = schemas.Clicked
		ev.URL = e.Text(fieldTarget)
		it.Distinguish(ev.URL) // two links in one second
	case "abusereport":
		ev.Type = schemas.Complained
	case "unsubscribed":
		ev.Type = schemas.Unsubscribed
	case "error":
		e.failure(it)
	default:
		e.Out.Unknown(it)
	}
}

// failure is everything that was not delivered; category alone says what happened.
func (e *entry) failure(it *provider.Item) {
	ev := &it.Event
	category := strings.ToLower(e.Text(fieldCategory))
	it.Failure.Class = category
	it.Distinguish(category) // one mail fails in two ways in one second
	switch category {
	case "nomailbox":
		ev.Type, ev.BounceType = schemas.Bounced, schemas.Hard
	case "ignore", "notdelivered": // Elastic Email did not try
		ev.Type = schemas.Blocked
	case "manualcancel", "notdeliveredcancelled":
		ev.Type = schemas.Failed
	default:
		ev.Type, ev.BounceType = schemas.Bounced, schemas.Soft
		it.Failure.Soft = true
	}
}

// layouts are how a date may be written beside what provider.Time reads. The month is
// first: an account of another language would have to be known as such.
func layouts() [4]string {
	return [...]string{"1/2/2006 3:04:05 PM", "1/2/2006 15:04:05", "1/2/2006 3:04 PM", "1/2/2006 15:04"}
}

// eventTime reads a date, which is in UTC.
func eventTime(v jsontext.Value) (time.Time, string) {
	t, stamp := provider.Time(v)
	for _, layout := range layouts() {
		if !t.IsZero() {
			break
		}
		if other, err := time.Parse(layout, stamp); err == nil {
			t = other.UTC().Truncate(time.Millisecond)
		}
	}
	return t, stamp
}
