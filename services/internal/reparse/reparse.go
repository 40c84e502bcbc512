// Package reparse makes events anew from the bytes that are kept of them, with the
// present parser and classifier: the path of the ingress from decode to fingerprint.
//
// An event that it makes has the id that the ingress would give it today. It makes
// none where the bytes do not lead to the event they were kept for: that one would
// count a second time.
package reparse

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/internal/address"
	"github.com/mailstream/mailstream/services/internal/fingerprint"
	"github.com/mailstream/mailstream/services/internal/jsontext"
	"github.com/mailstream/mailstream/services/internal/normalise"
	"github.com/mailstream/mailstream/services/internal/platform/config"
	"github.com/mailstream/mailstream/services/internal/provider"
	"github.com/mailstream/mailstream/services/internal/provider/generic"
	"github.com/mailstream/mailstream/services/internal/provider/registry"
)

// limits bound one item, as the ingress does whole requests at most.
var limits = jsontext.Limits{Depth: 64, Items: 100_000, Bytes: int(16 * config.MiB)}

// Fault is why bytes make no event: a word of a closed set.
type Fault string

// The faults; those of a provider package (provider.Faults) come on top.
const (
	NoBytes       Fault = "no_bytes"       // they are past their retention, or of a person who was erased
	UnknownSource Fault = "unknown_source" // the source is generic and no longer configured
	Unreadable    Fault = "unreadable"     // not of the provider's form
	OtherEvent    Fault = "other_event"    // they make an event of another identity
	Unproven      Fault = "unproven"       // nothing ever proved who sent them
	Empty         Fault = "empty"          // they hold no event
	OtherType     Fault = "other_type"     // their type is another one today, which a replay makes right
	Unsure        Fault = "unsure"         // the bytes are gone, and the reply alone leaves a doubt
	Erased        Fault = "erased"         // of a person who has to be forgotten
)

// Error returns the word.
func (f Fault) Error() string { return string(f) }

// Source is one configured account.
type Source struct {
	Name, Provider string
	Generic        *generic.Config // of the provider generic
}

// Maker makes events anew. It is safe for concurrent use.
type Maker struct {
	normaliser *normalise.Normaliser
	classifier string
	sources    map[string]provider.Provider
}

// New returns a maker that knows the sources.
func New(hasher *address.Hasher, sources []Source) (*Maker, error) {
	classifier, err := registry.Classifier()
	if err != nil {
		return nil, err
	}
	n, err := normalise.New(hasher, classifier)
	if err != nil {
		return nil, err
	}
	m := &Maker{normaliser: n, classifier: classifier.Version(), sources: map[string]provider.Provider{}}
	for _, s := range sources {
		if s.Generic != nil {
			m.sources[s.Name] = generic.New(*s.Generic, s.Name, new(config.Problems))
		}
	}
	return m, nil
}

// Classifier returns the version of the data file that judges.
func (m *Maker) Classifier() string { return m.classifier }

// Event makes was anew from its Raw. What the provider says is read anew; source,
// provider and the time of receipt stay. Its id is another one where its type is, as
// that of a repeat would be. The error is a Fault.
func (m *Maker) Event(was *schemas.Event) (schemas.Event, error) {
	if len(was.Raw) == 0 {
		return schemas.Event{}, NoBytes
	}
	origin := normalise.Origin{Provider: was.Provider, Source: was.Source, ReceivedAt: was.ReceivedAt}
	items, err := m.items(was.Raw, origin, provider.Envelope{EventID: was.ProviderEventID, Time: was.Time})
	if err != nil {
		return schemas.Event{}, err
	}
	var found *provider.Item // was under another type, unless it is there as it was
	for i := range items {
		it := &items[i]
		if it.Fault != "" {
			err = Fault(it.Fault)
			continue
		}
		if it.Event.ID == was.ID {
			return it.Event, nil
		}
		if found == nil && m.same(it, was) {
			found = it
		}
		err = OtherEvent
	}
	if found != nil {
		return found.Event, nil
	}
	return schemas.Event{}, err
}

// Verdict judges was anew: from its bytes where they are kept, else from its stored
// reply, codes and user agent. Everything but the verdict stays as it is stored. The
// error is a Fault.
func (m *Maker) Verdict(was *schemas.Event) (schemas.Event, error) {
	is := *was
	today, err := m.Event(was)
	switch fault := Fault(""); {
	case errors.As(err, &fault) && (fault == NoBytes || fault == UnknownSource):
		if !m.normaliser.Rejudge(&is) {
			return schemas.Event{}, Unsure
		}
		return is, nil
	case err != nil:
		return schemas.Event{}, err
	case today.Type != was.Type:
		return schemas.Event{}, OtherType
	}
	is.BounceType, is.Reason, is.Cause, is.Confidence, is.Permanent = today.BounceType, today.Reason, today.Cause, today.Confidence, today.Permanent
	is.Blocklist, is.BlocklistSubject, is.BlocklistURL = today.Blocklist, today.BlocklistSubject, today.BlocklistURL
	is.Classifier, is.Machine = today.Classifier, today.Machine
	return is, nil
}

// same says whether it is was, but for its type.
func (m *Maker) same(it *provider.Item, was *schemas.Event) bool {
	other := *it
	other.Event.Type, other.Word = was.Type, ""
	other.Event.ProviderEvent = was.ProviderEvent
	fingerprint.Set(&other, nil)
	if other.Event.ID == was.ID {
		return true
	}
	other.Word = it.Word
	fingerprint.Set(&other, nil)
	return other.Event.ID == was.ID
}

// unproven are the reasons of dead letters that no signature covers, and of which a
// source that asks for none may have been sent anything.
var unproven = []provider.Fault{provider.RawDelivery, provider.RetiredForm}

// Letter makes the events of a dead letter of the ingress, all or none. The error is
// a Fault.
func (m *Maker) Letter(d *schemas.DeadLetter) ([]schemas.Event, error) {
	if slices.Contains(unproven, provider.Fault(d.Reason)) {
		return nil, Unproven
	}
	if len(d.Bytes) == 0 {
		return nil, NoBytes
	}
	origin := normalise.Origin{Provider: d.Provider, Source: d.Source, ReceivedAt: d.ReceivedAt}
	items, err := m.items(d.Bytes, origin, provider.Envelope{})
	if err != nil {
		return nil, err
	}
	var events []schemas.Event
	for i := range items {
		if fault := items[i].Fault; fault != "" {
			return nil, Fault(fault)
		}
		events = append(events, items[i].Event)
	}
	if len(events) == 0 {
		return nil, Empty
	}
	return events, nil
}

// items takes raw along the path, in memory of its own.
func (m *Maker) items(raw []byte, origin normalise.Origin, was provider.Envelope) ([]provider.Item, error) {
	p := m.sources[origin.Source]
	if p == nil || p.Name() != origin.Provider {
		entry, ok := registry.Find(origin.Provider)
		if !ok || origin.Provider == generic.Name {
			return nil, UnknownSource
		}
		p = entry.Provider
	}
	var batch provider.Batch
	if err := p.Decode(provider.Reopen(p, raw, was, limits), &batch); err != nil {
		return nil, Unreadable
	}
	for i := range batch.Items() {
		it := &batch.Items()[i]
		if it.Fault != "" {
			continue
		}
		if m.normaliser.Complete(it, origin); it.Fault == "" {
			fingerprint.Set(it, nil)
		}
	}
	return batch.Items(), nil
}

// Topic returns the topic of events of type t.
func Topic(prefix string, t schemas.Type) string {
	if slices.Contains(schemas.Types(), t) {
		return schemas.EventTopic(prefix, t)
	}
	return strings.TrimSuffix(prefix, schemas.DefaultTopicPrefix) + string(t) // webhook.SOURCE.NAME
}

// NewOperation returns a new name of an operation of that kind, such as "replay".
func NewOperation(kind string, at time.Time) string {
	var id [6]byte
	_, _ = rand.Read(id[:]) // never fails, as documented
	return kind + "-" + at.UTC().Format("20060102") + "-" + hex.EncodeToString(id[:])
}

// Record returns the record of ev for topic, marked as a replay of the operation.
func Record(topic string, ev *schemas.Event, operation string) *kgo.Record {
	kind := string(ev.Type)
	if slices.Contains(schemas.Types(), ev.Type) {
		kind = schemas.CloudEventType(ev.Type)
	}
	rec := &kgo.Record{Topic: topic, Key: []byte(schemas.PartitionKey(ev)), Value: schemas.AppendJSON(nil, ev)}
	for _, h := range [][2]string{
		{schemas.HeaderSpecVersion, schemas.SpecVersion},
		{schemas.HeaderID, ev.ID},
		{schemas.HeaderSource, schemas.CloudEventSource(ev.Source)},
		{schemas.HeaderType, kind},
		{schemas.HeaderTime, string(schemas.AppendTime(nil, ev.Time))},
		{schemas.HeaderContentType, schemas.ContentTypeJSON},
		{schemas.HeaderOrigin, string(schemas.OriginReplay)},
		{schemas.HeaderReplay, operation},
	} {
		rec.Headers = append(rec.Headers, kgo.RecordHeader{Key: h[0], Value: []byte(h[1])})
	}
	return rec
}

// FaultOf returns the word of err, which Event or Letter returned.
func FaultOf(err error) Fault {
	fault, ok := errors.AsType[Fault](err)
	if !ok {
		panic(fmt.Sprintf("no fault of this package: %v", err))
	}
	return fault
}
