// Package deadletter makes the records of schemas.DeadLetterTopic: what a service
// could not use, with its bytes and why, so that nothing vanishes.
//
// It guarantees that the same input has the same ID, whichever instance reads it,
// and that a record always has its bytes. It publishes nothing: the services do,
// before they commit what they gave up.
package deadletter

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"slices"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/mailstream/mailstream/schemas"
)

// idBytes of a hash distinguish dead letters.
const idBytes = 16

// ID returns the name of a dead letter whose identity is what write writes, 32 hex
// digits. Each service has a different identity: the same bytes given up by two
// services are two dead letters.
func ID(write func(io.Writer)) string {
	h := sha256.New()
	write(h)
	return hex.EncodeToString(h.Sum(nil)[:idBytes])
}

// Origin names a record: "topic/partition/offset".
func Origin(rec *kgo.Record) string {
	return rec.Topic + "/" + strconv.Itoa(int(rec.Partition)) + "/" + strconv.FormatInt(rec.Offset, 10)
}

// OfRecord returns d, which says who gave up rec, when and why, with the ID, the
// origin and the bytes of rec. prefix precedes the origin in what the ID is made
// of; "" for none.
func OfRecord(rec *kgo.Record, prefix string, d schemas.DeadLetter) schemas.DeadLetter {
	d.Origin, d.Bytes = Origin(rec), rec.Value
	d.ID = ID(func(w io.Writer) {
		_, _ = io.WriteString(w, prefix+d.Origin+"\x00") // a hash takes everything
		_, _ = w.Write(rec.Value)
	})
	return d
}

// OriginOf returns how rec came about, as its header says it. A header without one
// of the four words is that of a live record.
func OriginOf(rec *kgo.Record) schemas.Origin {
	for _, h := range rec.Headers {
		if h.Key == schemas.HeaderOrigin && slices.Contains(schemas.Origins(), schemas.Origin(h.Value)) {
			return schemas.Origin(h.Value)
		}
	}
	return schemas.OriginLive
}

// Record returns the record of d for topic, keyed by its ID, with the origin of what
// was given up.
func Record(topic string, d schemas.DeadLetter, origin schemas.Origin) kgo.Record {
	d.Time, d.ReceivedAt = representable(d.Time), representable(d.ReceivedAt)
	value, err := json.Marshal(d)
	if err != nil { // text, bytes and times of four-digit years: encoding/json refuses none of them
		panic("encode dead letter: " + err.Error())
	}
	return kgo.Record{
		Topic: topic, Key: []byte(d.ID), Value: value,
		Headers: []kgo.RecordHeader{
			{Key: schemas.HeaderContentType, Value: []byte(schemas.ContentTypeJSON)},
			{Key: schemas.HeaderOrigin, Value: []byte(origin)},
		},
	}
}

// representable returns t, or the zero time for a year that RFC 3339 cannot write:
// such a time comes from a record's own timestamp, and the bytes matter more.
func representable(t time.Time) time.Time {
	if year := t.UTC().Year(); year < 1 || year > 9999 {
		return time.Time{}
	}
	return t.UTC()
}
