// Package brevo reads the transactional and marketing webhooks of Brevo: a flat
// object a request, or several of them in an array or below "events".
//
// What Brevo calls id is the webhook's, so an event is known by what it says.
// Events of SMS and inbound mail have other forms and are dead letters.
package brevo

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/mailstream/mailstream/services/internal/jsontext"
	"github.com/mailstream/mailstream/services/internal/provider"
)

// Name is the provider's name in the configuration and in events.
const Name = "brevo"

// listsMax bounds the events of one object, each of which carries all of it.
const listsMax = 100

// Provider reads Brevo's webhooks.
type Provider struct{}

// Name returns Name.
func (Provider) Name() string { return Name }

// Answers says that Brevo takes any 2xx as done, repeats four times after a 429,
// and drops an event at every other answer, those from 500 among them.
func (Provider) Answers() provider.Answers { return provider.Refused(http.StatusTooManyRequests) }

// Decode takes an object, an array of objects, or an object with such an array
// in events.
func (Provider) Decode(req *provider.Request, out *provider.Batch) error {
	doc := out.JSON()
	if err := doc.Parse(req.Body, req.Limits); err != nil {
		return err
	}
	if !doc.IsArray() {
		if doc.Items()[0].Kind() != jsontext.Object {
			return &provider.FormError{What: "neither an object nor an array"}
		}
		if list := events(doc.Members(0)); list.Kind() == jsontext.Array {
			return decodeList(list, req, out)
		}
	}
	for i, raw := range doc.Items() {
		if raw.Kind() != jsontext.Object {
			out.Add(raw).Reject(provider.NotAnObject)
			continue
		}
		decode(doc.Members(i), raw, &entry{Fields: out.Fields(fieldCount), limits: req.Limits})
	}
	return nil
}

// events returns the elements of the array, none for an object that is one
// event.
func events(m jsontext.Members) jsontext.Value {
	var list jsontext.Value
	for m.Next() {
		switch m.Key() {
		case "events":
			list = m.Value()
		case "event":
			return nil
		}
	}
	return list
}

func decodeList(list jsontext.Value, req *provider.Request, out *provider.Batch) error {
	n := 0
	for e := list.Elements(); e.Next(); n++ {
		if n == req.Limits.Items {
			return &jsontext.LimitError{Limit: jsontext.Items}
		}
		out.Root(e.Value())
		if e.Value().Kind() != jsontext.Object {
			out.Add(e.Value()).Reject(provider.NotAnObject)
			continue
		}
		decode(out.Members(e.Value()), e.Value(), &entry{Fields: out.Fields(fieldCount), limits: req.Limits})
	}
	return nil
}

// entry is one object taken apart; the last of two equal keys counts.
type entry struct {
	provider.Fields
	limits jsontext.Limits
}

func decode(m jsontext.Members, raw jsontext.Value, e *entry) {
	e.Read(m, fieldOf)
	word, lists := e.Text(fieldEvent), e.lists()
	switch {
	case len(lists) < 2 || !ofLists(word):
		e.add(raw, word, strings.Join(lists, ","))
	case len(lists) > listsMax || len(e.Out.Items())+len(lists) > e.limits.Items:
		e.Out.Add(raw).Reject(provider.TooLarge)
	default:
		for _, list := range lists {
			e.add(raw, word, list)
		}
	}
}

// add appends the event that word names.
func (e *entry) add(raw jsontext.Value, word, list string) {
	it := e.Out.Add(raw)
	it.Event.ProviderEvent, it.Event.ListID = word, list
	common(e, it)
	if it.Fault == "" {
		byType(e, it)
	}
}

// common fills in what every event has.
func common(e *entry, it *provider.Item) {
	ev := &it.Event
	ev.MessageID = strings.TrimSuffix(strings.TrimPrefix(e.Text(fieldMessageID), "<"), ">")
	ev.Recipient = e.Text(fieldEmail)
	if !it.Identified(false) {
		return
	}
	e.time(it)
	e.tags(it)
	e.custom(it)
	id := provider.Number(e.Text(fieldCampaignID))
	if ev.Campaign = e.Text(fieldCampaign); ev.Campaign == "" {
		ev.Campaign = id
	}
	ev.Subject, ev.FromDomain = e.Text(fieldSubject), e.Text(fieldSender)
	ev.Template = provider.Number(e.Text(fieldTemplate))
	it.Distinguish(id)        // marketing has no message id
	it.Distinguish(ev.ListID) // joins or leaves several lists in one second
}

// time takes the finest of the times that can be read: that in milliseconds is
// the only one that was never seen in the account's zone.
func (e *entry) time(it *provider.Item) {
	for _, f := range [...]provider.FieldID{fieldEpoch, fieldEventTime, fieldPosted} {
		t, stamp := unixTime(e.Value(f))
		if it.Stamp == "" || !t.IsZero() {
			it.SetTime(t, stamp)
			it.TimeIn(e.Value(f))
		}
		if !t.IsZero() {
			return
		}
	}
}

// millisecondsMin is where milliseconds start: as seconds it is the year 5138, as
// milliseconds 1973. Some samples of ts_epoch have seconds.
const millisecondsMin = 100_000_000_000

func unixTime(v jsontext.Value) (time.Time, string) {
	text, _ := v.Text()
	if ms, err := strconv.ParseInt(text, 10, 64); err == nil && ms >= millisecondsMin {
		return time.UnixMilli(ms).UTC(), text
	}
	return provider.UnixTime(v)
}

// tags takes tags, or tag, which has the same as JSON in a text, or one as it is.
func (e *entry) tags(it *provider.Item) {
	e.Tags(it, fieldTags)
	text := e.Text(fieldTag)
	if len(it.Event.Tags) > 0 || text == "" {
		return
	}
	var doc jsontext.Document
	if doc.Parse([]byte(text), e.limits) != nil || !doc.IsArray() {
		it.AddTag(text)
		return
	}
	for _, tag := range doc.Items() {
		one, ok := tag.Text()
		if !ok && tag.Kind() != jsontext.Null {
			e.Out.DriftAt(provider.WrongType, e.Value(fieldTag)) // what a text holds has no place of its own
		}
		it.AddTag(one)
	}
}

// custom is a header of the sender: JSON in a text, or any text.
func (e *entry) custom(it *provider.Item) {
	v := e.Value(fieldCustom)
	if v.Kind() == jsontext.Object {
		e.Out.Metadata(it, v)
		return
	}
	text := e.Text(fieldCustom)
	if text == "" {
		return
	}
	var doc jsontext.Document
	if doc.Parse([]byte(text), e.limits) != nil || doc.IsArray() || doc.Items()[0].Kind() != jsontext.Object {
		it.SetMetadata("X-Mailin-custom", text)
		return
	}
	e.Out.Metadata(it, doc.Items()[0])
}

// lists returns the numbers of the lists.
func (e *entry) lists() []string {
	v := e.Value(fieldLists)
	if v.Kind() != jsontext.Array {
		if list := provider.Number(e.Text(fieldLists)); list != "" {
			return []string{list}
		}
		return nil
	}
	var out []string
	for list := v.Elements(); list.Next(); {
		if text := e.Out.Text(list.Value()); text != "" {
			out = append(out, text)
		}
	}
	return out
}
