package provider

import (
	"time"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/internal/classify"
	"github.com/mailstream/mailstream/services/internal/jsontext"
)

// Fault is why an item cannot be an event: the reason of its dead letter and a
// metric label.
type Fault string

// The faults.
const (
	NotAnObject Fault = "not_an_object" // the item is not a JSON object
	NoType      Fault = "no_type"       // what happened is missing or no text
	NoIdentity  Fault = "no_identity"   // neither recipient nor message
	WrongForm   Fault = "wrong_form"    // an object, but not of the form it claims
	RawDelivery Fault = "raw_delivery"  // of Amazon SES without the envelope of SNS
	RetiredForm Fault = "retired_form"  // a webhook of Mailgun's from before 2018
	TooLarge    Fault = "too_large"     // its event does not fit into a record
)

// Faults returns every fault. The caller owns the slice.
func Faults() []Fault {
	return []Fault{NotAnObject, NoType, NoIdentity, WrongForm, RawDelivery, RetiredForm, TooLarge}
}

// Drift is a way in which a provider's requests have come to differ from what
// the provider package knows: a metric label.
type Drift string

// The kinds of drift.
const (
	UnknownEvent Drift = "unknown_event" // went to email.other
	UnknownField Drift = "unknown_field" // kept in raw only
	WrongType    Drift = "wrong_type"    // a known field that could not be read, kept in raw only
	BadTime      Drift = "bad_time"      // no time, or an implausible one
)

// Drifts returns every kind of drift. The caller owns the slice.
func Drifts() []Drift { return []Drift{UnknownEvent, UnknownField, WrongType, BadTime} }

// discriminatorsMax is how many values a provider may give to distinguish two events
// of one message. Mailjet needs six.
const discriminatorsMax = 8

// Item is one entry of a request on its way to become a record.
type Item struct {
	// Event is the draft. The provider package fills in what the provider says:
	// Type, Time, ProviderEvent, MessageID, Recipient and what else it knows.
	// Provider, Source, ReceivedAt, ID, hashes and the verdict come later.
	Event schemas.Event
	// Word is the provider's word that the id is made of where several are about
	// one event; empty: Event.ProviderEvent.
	Word string
	// Stamp is the time as received, which identifies an event whose Time could
	// not be read.
	Stamp string
	// SentAt is when the message was sent, by the same clock as Event.Time; zero when
	// the item does not say it. A message that is opened at once is opened by a machine.
	SentAt time.Time
	// Claimed is Event.Time as the provider said it, before an impossible time is
	// replaced; Person the canonical recipient, empty when the address is not valid.
	// Both are set when the event is normalised; ids are made of them.
	Claimed time.Time
	Person  string
	// Failure is what the provider says about the reason. Only its Class, Reason
	// and Soft are read; the reply is Event.SMTPReply.
	Failure classify.Input
	// Fault is set when the item cannot be an event; Event.Raw holds its bytes.
	Fault Fault

	timed             jsontext.Value // what Event.Time was read from last
	discriminators    [discriminatorsMax]string
	discriminatorsLen int
	metadata          map[string]string // kept between requests
	tags              []string          // kept between requests
}

// Reject marks the item as one that cannot be an event.
func (it *Item) Reject(f Fault) { it.Fault = f }

// Identified reports whether the event says what happened, and to which recipient or
// message; account says that it needs neither, as one about the provider's account. It
// rejects the item otherwise. Event.ProviderEvent, MessageID and Recipient are set before.
func (it *Item) Identified(account bool) bool {
	switch ev := &it.Event; {
	case ev.ProviderEvent == "":
		it.Reject(NoType)
		return false
	case ev.Recipient == "" && ev.MessageID == "" && !account:
		it.Reject(NoIdentity)
		return false
	}
	return true
}

// Distinguish adds a value by which this event differs from others of the same
// message and time, and which stays the same when the provider resends the event.
// The order of calls matters; an empty value counts. Each call has its reason beside
// it.
func (it *Item) Distinguish(value string) {
	it.discriminators[it.discriminatorsLen] = value
	it.discriminatorsLen++
}

// Discriminators returns these values, in order.
func (it *Item) Discriminators() []string { return it.discriminators[:it.discriminatorsLen] }

// SetMetadata adds one pair to the event's metadata, unless value is empty.
func (it *Item) SetMetadata(key, value string) {
	if value == "" {
		return
	}
	if it.metadata == nil {
		it.metadata = make(map[string]string)
	}
	it.metadata[key] = value
	it.Event.Metadata = it.metadata
}

// AddTag adds one of the event's tags, unless it is empty.
func (it *Item) AddTag(tag string) {
	if tag == "" {
		return
	}
	it.tags = append(it.tags, tag)
	it.Event.Tags = it.tags
}

// SetTime sets when it happened; stamp is the text t was read from. A zero t
// says that it could not be read.
func (it *Item) SetTime(t time.Time, stamp string) { it.Event.Time, it.Stamp = t, stamp }

// ReadTime is SetTime with what read makes of v, and TimeIn.
func (it *Item) ReadTime(v jsontext.Value, read func(jsontext.Value) (time.Time, string)) {
	it.SetTime(read(v))
	it.TimeIn(v)
}

// TimeIn says that the time was read from v, for Batch.TimePath. It says nothing when v is
// absent.
func (it *Item) TimeIn(v jsontext.Value) {
	if len(v) > 0 {
		it.timed = v
	}
}

// SetSent sets when the message was sent; the text it was read from does not
// matter.
func (it *Item) SetSent(t time.Time, _ string) { it.SentAt = t }

// Batch is the items of one request. It is reused by later requests.
type Batch struct {
	items []Item
	drift []Drifted
	json  jsontext.Document
	// values is the memory of Fields.
	values []jsontext.Value
	// root is what the paths begin at where it is not an item of json.
	root jsontext.Value
	// timed is what TimePath was asked for last, and timePath the answer.
	timed    jsontext.Value
	timePath string
}

// Drifted is one meeting with the unknown.
type Drifted struct {
	Kind Drift
	Name string // the provider's word: an event, or the path of a field, such as data.to[].name
}

// driftMax bounds what one request can report; a metric needs no more to alarm.
const driftMax = 64

// Add appends an item with the bytes raw and returns it for filling in. The
// pointer is valid until the next Add.
func (b *Batch) Add(raw []byte) *Item {
	if len(b.items) < cap(b.items) {
		b.items = b.items[:len(b.items)+1]
	} else {
		b.items = append(b.items, Item{})
	}
	it := &b.items[len(b.items)-1]
	it.Event.Raw = raw
	return it
}

// JSON returns a document that Decode may parse the body with. Its memory is
// kept between requests.
func (b *Batch) JSON() *jsontext.Document { return &b.json }

// Drift notes something this package does not know, by its name.
func (b *Batch) Drift(kind Drift, name string) {
	if len(b.drift) < driftMax {
		b.drift = append(b.drift, Drifted{Kind: kind, Name: name})
	}
}

// DriftAt notes a value this package cannot read, or one of a member it does not know, by
// its path in the item of JSON, which is looked for only here: what is as documented
// pays nothing. A value that was decoded from a text in the item has no path; note the
// text in its place.
func (b *Batch) DriftAt(kind Drift, v jsontext.Value) {
	if len(b.drift) == driftMax {
		return
	}
	root := b.root
	if root == nil {
		root = b.json.ItemWith(v)
	}
	path, _ := b.json.PathTo(root, v)
	b.Drift(kind, path)
}

// Root says that the object v, a part of what JSON holds, is an item: paths begin
// there. It counts until Reset.
func (b *Batch) Root(v jsontext.Value) { b.root, b.timed = v, nil }

// noField stands for the path of a time that no field has.
const noField = "time"

// TimePath returns the path of the field that has the time of it, "time" when the item
// has none. It takes time by the size of the item, once for all items of one entry.
func (b *Batch) TimePath(it *Item) string {
	switch {
	case len(it.timed) == 0:
		return noField
	case len(b.timed) == 0 || &b.timed[0] != &it.timed[0]:
		b.timed, b.timePath = it.timed, b.findTime(it)
	}
	return b.timePath
}

func (b *Batch) findTime(it *Item) string {
	root := b.json.ItemWith(it.timed)
	if root == nil || b.root != nil {
		root = jsontext.Value(it.Event.Raw) // of a document before
	}
	if path, ok := b.json.PathTo(root, it.timed); ok {
		return path
	}
	return noField
}

// Unknown makes of it an event of a kind that the provider package does not know: of
// type other, counted as drift, distinguished by its bytes, which a repeat has too.
func (b *Batch) Unknown(it *Item) {
	it.Event.Type = schemas.Other
	b.Drift(UnknownEvent, it.Event.ProviderEvent)
	it.Distinguish(string(it.Event.Raw))
}

// Items returns the items in the order of the request.
func (b *Batch) Items() []Item { return b.items }

// Drifts returns what was unknown.
func (b *Batch) Drifts() []Drifted { return b.drift }

// itemsKept bounds what Reset keeps for the next request: most have one item,
// the largest documented batch 1,000.
const itemsKept = 1024

// metadataKept bounds the pairs of a map that Reset keeps, and the tags; real
// events have fewer.
const metadataKept = 64

// Reset empties b and lets go of everything that belongs to the last request.
func (b *Batch) Reset() {
	if cap(b.items) > itemsKept {
		b.items, b.json = nil, jsontext.Document{}
	}
	b.json.Reset()
	for i := range b.items {
		it := &b.items[i]
		if len(it.metadata) > metadataKept {
			it.metadata = nil
		}
		if cap(it.tags) > metadataKept {
			it.tags = nil
		}
		clear(it.metadata)
		clear(it.tags)
		*it = Item{metadata: it.metadata, tags: it.tags[:0]}
	}
	clear(b.values)
	clear(b.drift)
	b.items, b.drift, b.values = b.items[:0], b.drift[:0], b.values[:0]
	b.root, b.timed, b.timePath = nil, nil, ""
}
