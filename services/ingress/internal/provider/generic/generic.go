// Package generic reads the webhooks of any sender by configuration: where the
// type is and what it means, where id, time, recipient and the like are. It
// takes JSON (an object, an array, an array inside), forms (fields, or a field
// with JSON) and CloudEvents 1.0 over HTTP (binary, structured, batch).
//
// What is no event of an email becomes one of the source's own types, each with
// a topic of its own; which ones there are is in the configuration, so a sender
// cannot make new ones.
package generic

import (
	"net/http"
	"strings"
	"time"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/ingress/internal/jsonscan"
	"github.com/mailstream/mailstream/services/ingress/internal/provider"
)

// Name is the provider's name in the configuration and in events.
const Name = "generic"

// Provider reads the webhooks of one source. The zero value has a name and
// answers and decodes nothing; New makes the others.
type Provider struct {
	format    string
	field     string // of a form, with JSON in it
	items     *node  // where the array is; nil for the body itself
	wanted    node   // every pointer of the configuration, as a tree
	headers   [slotCount]string
	ids       int // how many parts an id has
	timeUnit  string
	types     map[string]target
	otherwise target
	strict    bool // a type that is not listed is drift
}

// Name returns Name.
func (*Provider) Name() string { return Name }

// Answers says that a sender repeats everything but a success, as most do.
func (*Provider) Answers() provider.Answers { return provider.Retried() }

// slot is a part of an event that the configuration says the place of.
type slot int

const (
	slotType slot = iota
	slotTime
	slotRecipient
	slotMessageID
	slotReason
	slotURL
	slotIP
	slotUserAgent
	slotCountry
	slotCampaign
	slotListID
	slotSendingIP
	slotSpecVersion // the rest are CloudEvents' own
	slotEventType
	slotEventID
	slotEventSource
	slotData
	slotDataBase64
	slotID // the first of idPartsMax
)

const slotCount = slotID + idPartsMax

// idPartsMax bounds the parts of an id; an event can be told by eight values.
const idPartsMax = 6

// Decode finds the items of a request.
func (p *Provider) Decode(req *provider.Request, out *provider.Batch) error {
	switch p.format {
	case formatForm:
		return p.form(req, out)
	case formatCloudEvents:
		return p.cloudEvents(req, out)
	default:
		return p.json(req.Body, req, out)
	}
}

// json takes an object, an array of objects, or an object with an array.
func (p *Provider) json(body []byte, req *provider.Request, out *provider.Batch) error {
	doc := out.JSON()
	if err := doc.Parse(body, req.Limits); err != nil {
		return err
	}
	if p.items != nil {
		return p.nested(doc, req, out)
	}
	if !doc.IsArray() && doc.Items()[0].Kind() != jsonscan.Object {
		return &provider.FormError{What: "neither an object nor an array"}
	}
	for i, raw := range doc.Items() {
		p.add(raw, doc.Members(i), origin{req: req, out: out, many: doc.IsArray()})
	}
	return nil
}

// nested takes the items of an array inside the body.
func (p *Provider) nested(doc *jsonscan.Document, req *provider.Request, out *provider.Batch) error {
	var found [slotCount]jsonscan.Value
	if !doc.IsArray() {
		p.items.members(doc.Members(0), &found)
	}
	list := found[slotType]
	if list.Kind() != jsonscan.Array {
		return &provider.FormError{What: "there is no array where the items should be"}
	}
	n := 0
	for e := list.Elements(); e.Next(); n++ {
		if n == req.Limits.Items {
			return &jsonscan.LimitError{What: "too many items"}
		}
		p.add(e.Value(), e.Value().Members(), origin{req: req, out: out, many: true})
	}
	return nil
}

// origin is the request an item stands in.
type origin struct {
	req  *provider.Request
	out  *provider.Batch
	many bool // others share its headers
}

// add appends one item.
func (p *Provider) add(raw jsonscan.Value, m jsonscan.Members, o origin) {
	it := o.out.Add(raw)
	if raw.Kind() != jsonscan.Object {
		it.Reject(provider.NotAnObject)
		return
	}
	e := entry{p: p, origin: o}
	p.wanted.members(m, &e.values)
	if p.format == formatCloudEvents && !e.isCloudEvent() {
		it.Reject(provider.WrongForm)
		return
	}
	e.fill(it)
}

// entry is one item taken apart.
type entry struct {
	origin
	p      *Provider
	values [slotCount]jsonscan.Value
}

// text returns what stands at the place of a slot, "" when nothing does.
func (e *entry) text(s slot) string {
	if name := e.p.headers[s]; name != "" {
		return e.req.Header.Get(name)
	}
	v := e.values[s]
	text, ok := v.Text()
	if !ok && v.Kind() != jsonscan.Invalid && v.Kind() != jsonscan.Null {
		e.out.Drift(provider.WrongType, s.String())
	}
	return text
}

func (e *entry) fill(it *provider.Item) {
	ev := &it.Event
	ev.ProviderEvent = e.text(slotType)
	if ev.ProviderEvent == "" {
		it.Reject(provider.NoType)
		return
	}
	t, known := e.p.types[ev.ProviderEvent]
	if !known {
		t = e.p.otherwise
		if e.p.strict {
			e.out.Drift(provider.UnknownEvent, ev.ProviderEvent)
		}
	}
	ev.Type, ev.BounceType = t.kind, t.bounce
	ev.Recipient, ev.MessageID = e.text(slotRecipient), e.text(slotMessageID)
	if t.person && ev.Recipient == "" && ev.MessageID == "" {
		it.Reject(provider.NoIdentity)
		return
	}
	switch ev.BounceType {
	case schemas.Hard:
		it.Failure.Permanent = provider.True()
	case schemas.Soft:
		it.Failure.Permanent = provider.False()
	}
	it.SetTime(e.time())
	ev.SMTPReply, ev.URL, ev.UserAgent = e.text(slotReason), e.text(slotURL), e.text(slotUserAgent)
	ev.IP, ev.SendingIP = provider.IP(e.text(slotIP)), provider.IP(e.text(slotSendingIP))
	ev.Country, ev.Campaign, ev.ListID = provider.Country(e.text(slotCountry)), e.text(slotCampaign), e.text(slotListID)
	e.identify(it)
}

// identify says what tells this event from others: the configured id, which the
// sender has to repeat when it sends the event again.
func (e *entry) identify(it *provider.Item) {
	var parts [idPartsMax]string
	found, shared := false, e.many
	for i := range e.p.ids {
		s := slotID + slot(i)
		parts[i] = e.text(s)
		found = found || parts[i] != ""
		shared = shared && e.p.headers[s] != ""
		it.Tell(parts[i]) // what the configuration says is unique, alone or together
	}
	if found {
		it.Event.ProviderEventID = strings.Join(parts[:e.p.ids], "|")
	}
	if !found || shared {
		it.Tell(string(it.Event.Raw)) // no id of its own: the bytes, which a repeat has too
	}
}

// time reads when it happened; stamp is its text.
func (e *entry) time() (t time.Time, stamp string) {
	stamp = e.text(slotTime)
	return readTime(stamp, e.p.timeUnit), stamp
}

// isCloudEvent says whether the required attributes are there and make sense.
func (e *entry) isCloudEvent() bool {
	for _, s := range []slot{slotEventID, slotEventSource, slotEventType} {
		if text, _ := e.values[s].Text(); text == "" || e.values[s].Kind() != jsonscan.String {
			return false
		}
	}
	version, _ := e.values[slotSpecVersion].Text()
	both := e.values[slotData].Kind() != jsonscan.Invalid && e.values[slotDataBase64].Kind() != jsonscan.Invalid
	return version == specVersion && !both
}

// Consents says whether a sender that asks before it sends (CloudEvents' abuse
// protection) is one of origins, "*" being all.
func Consents(origins []string, h http.Header) (origin string, ok bool) {
	origin = h.Get("WebHook-Request-Origin")
	for _, allowed := range origins {
		if origin != "" && (allowed == "*" || strings.EqualFold(allowed, origin)) {
			return origin, true
		}
	}
	return "", false
}
