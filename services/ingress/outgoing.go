package ingress

import (
	"slices"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/internal/deadletter"
	"github.com/mailstream/mailstream/services/internal/provider"
)

const (
	// recordOverheadBytes is more than key, headers and the wire format add to the
	// value of a record.
	recordOverheadBytes = 1 << 10
	// memoryKept bounds the buffer that a request leaves to the next one: a
	// thousand events of a KiB.
	memoryKept = 1 << 20
)

// outgoing is the records of one request. Their bytes share one buffer.
type outgoing struct {
	pointers []*kgo.Record // to records, one an item, in the items' order
	records  []kgo.Record
	headers  []kgo.RecordHeader
	memory   []byte

	handed       bool // Kafka's client has the records
	acknowledged bool // and is done with them
}

// begin makes room for n records.
func (o *outgoing) begin(n int) {
	o.records = slices.Grow(o.records[:0], n)[:0]
	o.pointers = slices.Grow(o.pointers[:0], n)[:0]
	o.headers, o.memory = o.headers[:0], o.memory[:0]
}

// finish hands the records over.
func (o *outgoing) finish() {
	for i := range o.records {
		o.pointers = append(o.pointers, &o.records[i])
	}
	o.handed, o.acknowledged = true, false
}

// abandon leaves everything to Kafka's client and starts anew.
func (o *outgoing) abandon() { *o = outgoing{} }

// settled says that the buffers are no longer read and can be reused.
func (o *outgoing) settled() bool { return !o.handed || o.acknowledged }

// reset keeps the buffers for the next request, unless they are large.
func (o *outgoing) reset() {
	if cap(o.memory) > memoryKept {
		o.abandon()
	}
	clear(o.records)
	o.handed, o.acknowledged = false, false
}

// keep copies s into the buffer.
func (o *outgoing) keep(s string) []byte {
	start := len(o.memory)
	o.memory = append(o.memory, s...)
	return o.memory[start:len(o.memory):len(o.memory)]
}

// headerMarks are the headers that are the same for all events of a request.
type headerMarks struct {
	traceparent string // "" without one
	origin      []byte
}

// event adds the record of an event. It is false, with nothing added, when the
// record is larger than bytesMax.
func (o *outgoing) event(it *provider.Item, src *source, marks headerMarks, bytesMax int) bool {
	ev := &it.Event
	start := len(o.memory)
	o.memory = schemas.AppendJSON(o.memory, ev)
	value := o.memory[start:len(o.memory):len(o.memory)]
	if len(value)+len(ev.MessageID)+recordOverheadBytes > bytesMax {
		o.memory = o.memory[:start]
		return false
	}
	at := len(o.memory)
	o.memory = schemas.AppendTime(o.memory, ev.Time)
	eventTime := o.memory[at:len(o.memory):len(o.memory)]

	kind := src.kinds[ev.Type]
	first := len(o.headers)
	o.headers = append(o.headers,
		kgo.RecordHeader{Key: schemas.HeaderSpecVersion, Value: specVersion},
		kgo.RecordHeader{Key: schemas.HeaderID, Value: o.keep(ev.ID)},
		kgo.RecordHeader{Key: schemas.HeaderSource, Value: src.cloudEventSource},
		kgo.RecordHeader{Key: schemas.HeaderType, Value: kind.cloudEventType},
		kgo.RecordHeader{Key: schemas.HeaderTime, Value: eventTime},
		kgo.RecordHeader{Key: schemas.HeaderContentType, Value: contentType},
		kgo.RecordHeader{Key: schemas.HeaderOrigin, Value: marks.origin},
	)
	if marks.traceparent != "" {
		o.headers = append(o.headers, kgo.RecordHeader{Key: schemas.HeaderTraceparent, Value: o.keep(marks.traceparent)})
	}
	o.records = append(o.records, kgo.Record{
		Topic: kind.topic, Key: o.keep(schemas.PartitionKey(ev)), Value: value, Headers: o.headers[first:len(o.headers):len(o.headers)],
	})
	return true
}

// deadLetter adds the record of an item that cannot be an event.
func (o *outgoing) deadLetter(it *provider.Item, x *exchange, topic string) {
	o.records = append(o.records, deadletter.Record(topic, deadLetterOf(it, x), schemas.Origin(x.origin())))
}

// headerOrigin is what `mailstream simulate` says of its requests.
const headerOrigin = "Mailstream-Origin"

// origin is live for all requests but simulated ones of a source that allows them:
// no request decides on its own what its events are taken for.
func (x *exchange) origin() []byte {
	if x.source.allowSimulate && x.r.Header.Get(headerOrigin) == string(schemas.OriginSimulate) {
		return originSimulate
	}
	return originLive
}

// Header values that never change. They are read-only.
var (
	specVersion = []byte(schemas.SpecVersion)
	contentType = []byte(schemas.ContentTypeJSON)

	originLive     = []byte(schemas.OriginLive)
	originSimulate = []byte(schemas.OriginSimulate)
)
