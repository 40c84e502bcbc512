// Package generic reads the webhooks of any sender by configuration: where the
// type is and what it means, where id, time, recipient and the like are. It
// takes JSON (an object, an array, an array inside), forms (fields, or a field
// with JSON), the parameters of a URL, and CloudEvents 1.0 over HTTP (binary,
// structured, batch).
//
// What is not an event of an email becomes one of the source's custom types, each
// with its topic; they are listed in the configuration, so a sender cannot
// create new ones.
package generic

import (
	"net/http"
	"strings"
	"time"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/internal/jsontext"
	"github.com/mailstream/mailstream/services/internal/provider"
)

// Name is the provider's name in the configuration and in events.
const Name = "generic"

// Provider reads the webhooks of one source. The zero value has a name and
// answers and decodes nothing; New makes the others.
type Provider struct {
	format    string
	field     string   // of a form, with JSON in it
	modes     []string // of CloudEvents; empty for all
	items     *node    // where the array is; nil for the body itself
	wanted    node     // every pointer of the configuration, as a tree
	headers   [slotCount]string
	typeParts int      // how many places say what happened
	ids       int      // how many parts an id has
	metadata  []string // the names of the values from slotMetadata on
	units     OneOrMore
	types     map[string]target         // by their words in lower case
	classes   map[string]schemas.Reason // by their words in lower case
	otherwise target
	strict    bool // a type that is not listed is drift
}

// Name returns Name.
func (*Provider) Name() string { return Name }

// ReadsForms says whether the configuration asks for forms.
func (p *Provider) ReadsForms() bool { return p.format == formatForm }

// Answers says that a sender repeats everything but a success, as most do.
func (*Provider) Answers() provider.Answers { return provider.Retried() }

// slot is a part of an event that the configuration says the place of.
type slot int

const (
	slotTime slot = iota
	slotRecipient
	slotMessageID
	slotReason
	slotClass
	slotSMTPCode
	slotEnhancedCode
	slotURL
	slotIP
	slotUserAgent
	slotCountry
	slotMachine
	slotCampaign
	slotTags
	slotListID
	slotFeedbackSource
	slotSendingIP
	slotSubject
	slotFromDomain
	slotSendingDomain
	slotTemplate
	slotIPPool
	slotSpecVersion // up to slotDataBase64 they are CloudEvents' own
	slotEventType
	slotEventID
	slotEventSource
	slotData
	slotDataBase64
	slotType // the first of typePartsMax

	slotID       = slotType + typePartsMax // the first of idPartsMax
	slotMetadata = slotID + idPartsMax     // the first of metadataMax
	slotCount    = slotMetadata + metadataMax
)

const (
	// typePartsMax bounds the places of a word: a status, its class and one more.
	typePartsMax = 3
	// idPartsMax bounds the parts of an id; eight values are enough to identify an
	// event.
	idPartsMax = 6
	// metadataMax bounds the names a source may keep things under; raw has all.
	metadataMax = 16
)

// String returns the name of the slot in the configuration.
func (s slot) String() string {
	names := [...]string{
		slotTime: "time", slotRecipient: "recipient", slotMessageID: "message_id", slotReason: "reason", slotClass: "class",
		slotSMTPCode: "smtp_code", slotEnhancedCode: "enhanced_code", slotURL: "url", slotIP: "ip", slotUserAgent: "user_agent",
		slotCountry: "country", slotMachine: "machine", slotCampaign: "campaign", slotTags: "tags", slotListID: "list_id",
		slotFeedbackSource: "feedback_source", slotSendingIP: "sending_ip",
		slotSubject: "subject", slotFromDomain: "from_domain", slotSendingDomain: "sending_domain", slotTemplate: "template", slotIPPool: "ip_pool",
	}
	switch {
	case int(s) < len(names):
		return names[s]
	case s >= slotMetadata:
		return "metadata"
	case s >= slotID:
		return "id"
	default:
		return "type"
	}
}

// Decode finds the items of a request.
func (p *Provider) Decode(req *provider.Request, out *provider.Batch) error {
	if req.Item { // its bytes are an object, whatever it came in
		alone := *p
		alone.items = nil
		return alone.json(req.Body, req, out)
	}
	switch p.format {
	case formatForm:
		return p.form(req, out)
	case formatQuery:
		return p.query(req, out)
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
	if !doc.IsArray() && doc.Items()[0].Kind() != jsontext.Object {
		return &provider.FormError{What: "neither an object nor an array"}
	}
	for i, raw := range doc.Items() {
		p.add(raw, doc.Members(i), origin{req: req, out: out, many: doc.IsArray()})
	}
	return nil
}

// nested takes the items of an array inside the body.
func (p *Provider) nested(doc *jsontext.Document, req *provider.Request, out *provider.Batch) error {
	var found [slotCount]jsontext.Value
	if !doc.IsArray() {
		p.items.members(doc.Members(0), &places{doc: doc, found: &found})
	}
	list := found[slotType]
	if list.Kind() != jsontext.Array {
		return &provider.FormError{What: "there is no array where the items should be"}
	}
	n := 0
	for e := list.Elements(); e.Next(); n++ {
		if n == req.Limits.Items {
			return &jsontext.LimitError{Limit: jsontext.Items}
		}
		out.Root(e.Value())
		p.add(e.Value(), out.Members(e.Value()), origin{req: req, out: out, many: true})
	}
	return nil
}

// origin is the request that an item came in.
type origin struct {
	req  *provider.Request
	out  *provider.Batch
	many bool // others share its headers
}

// add appends one item.
func (p *Provider) add(raw jsontext.Value, m jsontext.Members, o origin) {
	it := o.out.Add(raw)
	if raw.Kind() != jsontext.Object {
		it.Reject(provider.NotAnObject)
		return
	}
	e := entry{p: p, origin: o}
	p.wanted.members(m, &places{doc: o.out.JSON(), found: &e.values})
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
	values [slotCount]jsontext.Value
}

// text returns the value at the place of a slot, "" when there is none.
func (e *entry) text(s slot) string {
	if name := e.p.headers[s]; name != "" {
		return e.req.Header.Get(name)
	}
	v := e.values[s]
	text, ok := v.Text()
	if !ok && v.Kind() != jsontext.Invalid && v.Kind() != jsontext.Null {
		e.out.DriftAt(provider.WrongType, v)
	}
	return text
}

// word returns what the item says happened and what that means: by the words of
// all places or, where those are not listed, of the first ones.
func (e *entry) word() (word string, meaning target, known bool) {
	var room [typePartsMax]string
	parts := room[:0]
	for len(parts) < e.p.typeParts {
		part := e.text(slotType + slot(len(parts)))
		if part == "" {
			break
		}
		parts = append(parts, part)
	}
	word = strings.Join(parts, "/")
	for ; len(parts) > 0; parts = parts[:len(parts)-1] {
		if t, ok := e.p.types[strings.ToLower(strings.Join(parts, "/"))]; ok {
			return word, t, true
		}
	}
	return word, e.p.otherwise, !e.p.strict
}

func (e *entry) fill(it *provider.Item) {
	ev := &it.Event
	word, t, known := e.word()
	if word == "" {
		it.Reject(provider.NoType)
		return
	}
	if !known {
		e.out.Drift(provider.UnknownEvent, word)
	}
	ev.ProviderEvent, ev.Type, ev.BounceType = word, t.kind, t.bounce
	ev.Recipient, ev.MessageID = provider.Address(e.text(slotRecipient)), e.text(slotMessageID)
	if t.person && ev.Recipient == "" && ev.MessageID == "" {
		it.Reject(provider.NoIdentity)
		return
	}
	it.SetTime(e.time())
	it.TimeIn(e.values[slotTime])
	ev.URL, ev.UserAgent = e.text(slotURL), e.text(slotUserAgent)
	ev.IP, ev.SendingIP = provider.IP(e.text(slotIP)), provider.IP(e.text(slotSendingIP))
	ev.Country, ev.Campaign, ev.ListID = provider.Country(e.text(slotCountry)), e.text(slotCampaign), e.text(slotListID)
	ev.Subject, ev.Template, ev.IPPool = e.text(slotSubject), e.text(slotTemplate), e.text(slotIPPool)
	ev.FromDomain, ev.SendingDomain = e.text(slotFromDomain), e.text(slotSendingDomain)
	ev.Machine, ev.FeedbackSource = provider.BooleanOf(e.text(slotMachine)), e.text(slotFeedbackSource)
	e.failure(it)
	e.extras(it)
	e.identify(it)
}

// failure fills in why it did not arrive.
func (e *entry) failure(it *provider.Item) {
	ev := &it.Event
	ev.SMTPReply = e.text(slotReason)
	ev.SMTPCode, ev.EnhancedCode = provider.SMTPCode(e.text(slotSMTPCode)), provider.EnhancedCode(e.text(slotEnhancedCode))
	it.Failure.Reason = e.p.classes[strings.ToLower(e.text(slotClass))]
	it.Failure.Soft = ev.BounceType == schemas.Soft || ev.Type == schemas.Deferred
}

// extras fills in the tags and the metadata.
func (e *entry) extras(it *provider.Item) {
	if e.p.headers[slotTags] != "" {
		it.AddTag(e.text(slotTags))
	} else {
		e.out.Tags(it, e.values[slotTags])
	}
	for i, name := range e.p.metadata {
		s := slotMetadata + slot(i)
		if header := e.p.headers[s]; header != "" {
			it.SetMetadata(name, e.req.Header.Get(header))
			continue
		}
		it.SetMetadata(name, provider.Plain(e.values[s]))
	}
}

// identify gives the event its identity: the configured id, which the sender
// has to keep when it resends the event.
func (e *entry) identify(it *provider.Item) {
	var parts [idPartsMax]string
	found, shared := false, e.many
	for i := range e.p.ids {
		s := slotID + slot(i)
		parts[i] = e.text(s)
		found = found || parts[i] != ""
		shared = shared && e.p.headers[s] != ""
		it.Distinguish(parts[i]) // what the configuration says is unique, alone or together
	}
	if found {
		it.Event.ProviderEventID = strings.Join(parts[:e.p.ids], "|")
	}
	if !found || shared {
		it.Distinguish(string(it.Event.Raw)) // no id: the bytes, which a repeat has too
	}
}

// time reads when it happened; stamp is its text.
func (e *entry) time() (t time.Time, stamp string) {
	stamp = e.text(slotTime)
	return readTime(stamp, e.p.units), stamp
}

// isCloudEvent says whether the required attributes are there and make sense.
func (e *entry) isCloudEvent() bool {
	for _, s := range []slot{slotEventID, slotEventSource, slotEventType} {
		if text, _ := e.values[s].Text(); text == "" || e.values[s].Kind() != jsontext.String {
			return false
		}
	}
	version, _ := e.values[slotSpecVersion].Text()
	both := e.values[slotData].Kind() != jsontext.Invalid && e.values[slotDataBase64].Kind() != jsontext.Invalid
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
