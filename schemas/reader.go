package schemas

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"
)

// Decode reads the value of an event record. Unknown fields are ignored, so a
// consumer keeps working when fields are added; an error names the fault and
// never contains the record's text.
func Decode(b []byte) (Event, error) {
	var r Reader
	var e Event
	if r.Read(b) == nil && !r.unusual && r.EventView.copyTo(&e) {
		return e, nil
	}
	return decodeByTags(b)
}

// decodeByTags decodes with encoding/json, which is the reference for all that
// the reader leaves to it: what is not what AppendJSON writes, such as a key in
// upper case, and the words for what is wrong.
func decodeByTags(b []byte) (Event, error) {
	var e Event
	if err := json.Unmarshal(b, &e); err != nil {
		return Event{}, fmt.Errorf("decode event: %w", withoutText(err))
	}
	return e, nil
}

// The faults whose own words would repeat what was in the record.
var (
	errNotTime   = errors.New("a time is not RFC 3339")
	errWrongType = errors.New("wrong JSON type")
)

// withoutText replaces an error of encoding/json that quotes its input.
func withoutText(err error) error {
	var notTime *time.ParseError
	var wrongType *json.UnmarshalTypeError
	switch {
	case errors.As(err, &notTime):
		return errNotTime
	case errors.As(err, &wrongType):
		return fmt.Errorf("%w: field %q at byte %d wants %s", errWrongType, wrongType.Field, wrongType.Offset, wrongType.Type)
	default:
		return err
	}
}

// FieldError says that a record is JSON, but that a field has the wrong type.
type FieldError struct {
	Field string
	Err   error // a *jsonlex.Error
}

// Error returns the message. It holds nothing of the record.
func (e *FieldError) Error() string { return strconv.Quote(e.Field) + ": " + e.Err.Error() }

// Unwrap returns where the field is and what it should be.
func (e *FieldError) Unwrap() error { return e.Err }

// OptionalBool is a boolean that may be unknown.
type OptionalBool struct{ Value, Known bool }

// Pointer returns nil for what is unknown.
func (b OptionalBool) Pointer() *bool {
	if !b.Known {
		return nil
	}
	return &b.Value
}

// Pair is one entry of a map.
type Pair struct{ Key, Value []byte }

// Reader reads the values of event records, one after the other, faster than
// Decode: its fields are slices of the record, or of memory that the next record
// takes. The zero value is ready. It is not safe for concurrent use.
type Reader struct {
	// EventView is what the latest record says.
	EventView

	scan  scanner
	next  int         // the field expected next: AppendJSON keeps their order
	fault *FieldError // the first one of the record
	texts [][]byte    // of all lists of the record
	pairs []Pair      // of all maps of the record
	// unusual says that encoding/json may read the record in another way.
	unusual bool
}

// Read reads value, which must not change as long as the fields are in use. As
// with encoding/json the last one of several members with the same key is taken,
// and what follows applies to null, nesting and bytes that are not UTF-8. Keys are
// compared exactly. The error is a *FieldError when value is a JSON object that has a
// field of the wrong type: all others are read then. Otherwise it is a
// *jsonlex.Error, the first fault that was found.
func (r *Reader) Read(value []byte) error {
	r.EventView, r.next, r.fault, r.unusual = EventView{}, 0, nil, false
	r.texts, r.pairs = r.texts[:0], r.pairs[:0]
	r.scan.reset(value)
	err := r.members()
	switch {
	case r.fault == nil:
		return err
	case err != nil:
		return r.fault.Err
	default:
		return r.fault
	}
}

func (r *Reader) members() error {
	if err := r.scan.object(); err != nil {
		return err
	}
	for {
		more, err := r.scan.next('}')
		if err != nil {
			return err
		}
		if !more {
			return r.scan.end()
		}
		field, ok := r.expected()
		if !ok {
			if field, err = r.find(); err != nil {
				return err
			}
		}
		if err := r.member(field); err != nil {
			return err
		}
	}
}

// expected moves over a key if it is that of a later field and as AppendJSON writes
// it, and returns the number of the field.
func (r *Reader) expected() (field int, ok bool) {
	rest := r.scan.Data[r.scan.Pos:]
	for i := r.next; i < len(eventKeys); i++ {
		key := eventKeys[i]
		if len(rest) >= len(key) && rest[len(key)-2] == '"' && string(rest[:len(key)]) == key {
			r.next = i + 1
			r.scan.Pos += len(key)
			return i, true
		}
	}
	return 0, false
}

// unknown is the number of every field that Event does not have.
const unknown = -1

// find moves over any key and returns the number of its field.
func (r *Reader) find() (field int, err error) {
	key, err := r.scan.name()
	if err != nil {
		return unknown, err
	}
	for i := range eventKeys {
		if string(key) == fieldName(i) {
			r.next = i + 1
			return i, nil
		}
	}
	r.unusual = r.unusual || !lowerCase(key)
	return unknown, nil
}

// fieldName returns the key of a field without its punctuation.
func fieldName(field int) string {
	key := eventKeys[field]
	return key[len(`"`) : len(key)-len(`":`)]
}

// memberDepth is how many objects are open around the value of a member.
const memberDepth = 1

// member reads the value of a member. Its error is about JSON; that the value has
// the wrong type is noted.
func (r *Reader) member(field int) error {
	if field == unknown {
		_, err := r.scan.raw(memberDepth)
		return err
	}
	if r.scan.null() {
		r.forget(field)
		return nil
	}
	start := r.scan.Pos
	err := r.read(field)
	if err == nil {
		return nil
	}
	r.scan.Pos = start
	if _, broken := r.scan.raw(memberDepth); broken != nil {
		return err
	}
	if r.fault == nil {
		r.fault = &FieldError{Field: fieldName(field), Err: err}
	}
	return nil
}

// lowerCase says that key has no character that encoding/json would take for
// another one.
func lowerCase(key []byte) bool {
	for _, c := range key {
		if 'A' <= c && c <= 'Z' || c >= 0x80 {
			return false
		}
	}
	return true
}

func (r *Reader) text(into *[]byte) error {
	v, err := r.scan.text()
	if err == nil {
		*into = v
	}
	return err
}

// time reads a time but leaves it to ParseTime. Each of several has to be one, so
// the first that is not one stays.
func (r *Reader) time(into *[]byte) error {
	var latest []byte
	start := r.scan.Pos
	if err := r.text(&latest); err != nil {
		return err
	}
	// encoding/json knows no escapes in times.
	r.unusual = r.unusual || len(latest) != r.scan.Pos-start-len(`""`)
	if *into != nil {
		if _, err := ParseTime(*into); err != nil {
			return nil
		}
	}
	*into = latest
	return nil
}

func (r *Reader) boolean(into *OptionalBool) error {
	v, err := r.scan.boolean()
	if err == nil {
		*into = OptionalBool{Value: v, Known: true}
	}
	return err
}

// integerMax is the largest integer of a record; codes of SMTP end at 599.
const integerMax = 1<<16 - 1

func (r *Reader) integer(into *int) error {
	v, err := r.scan.integer(integerMax)
	if err == nil {
		*into = v
	}
	return err
}

func (r *Reader) raw(into *[]byte) error {
	v, err := r.scan.raw(memberDepth)
	*into = v
	return err
}

// noRaw is what null is for raw, which encoding/json takes for the value null.
func (r *Reader) noRaw() []byte {
	r.unusual = true
	return nil
}

// list reads an array of strings.
func (r *Reader) list(into *[][]byte) error {
	if r.texts == nil {
		r.texts = [][]byte{} // an empty list is not an absent one
	}
	start := len(r.texts)
	if err := r.scan.array(); err != nil {
		return err
	}
	for {
		ok, err := r.scan.element()
		if err != nil {
			return err
		}
		if !ok {
			*into = r.texts[start:len(r.texts):len(r.texts)]
			return nil
		}
		v, err := r.scan.text()
		if err != nil {
			return err
		}
		r.texts = append(r.texts, v)
	}
}

// mapping reads an object of strings. It adds to what an earlier one of the same
// key had.
func (r *Reader) mapping(into *[]Pair) error {
	if r.pairs == nil {
		r.pairs = []Pair{}
	}
	start := len(r.pairs)
	r.pairs = append(r.pairs, *into...)
	if err := r.scan.object(); err != nil {
		return err
	}
	for {
		key, ok, err := r.scan.key()
		if err != nil {
			return err
		}
		if !ok {
			*into = r.pairs[start:len(r.pairs):len(r.pairs)]
			return nil
		}
		v, err := r.scan.text()
		if err != nil {
			return err
		}
		r.pairs = append(r.pairs, Pair{Key: key, Value: v})
	}
}

// What follows makes the values of an Event from those of an EventView.

// toTime leaves a time that is absent as it is.
func toTime(into *time.Time, text []byte) bool {
	if text == nil {
		return true
	}
	at, err := ParseTime(text)
	*into = at
	return err == nil
}

func toStrings(texts [][]byte) []string {
	if texts == nil {
		return nil
	}
	list := make([]string, len(texts))
	for i, text := range texts {
		list[i] = string(text)
	}
	return list
}

func toMap(pairs []Pair) map[string]string {
	if pairs == nil {
		return nil
	}
	m := make(map[string]string, len(pairs))
	for _, p := range pairs {
		m[string(p.Key)] = string(p.Value)
	}
	return m
}

func toRaw(text []byte) json.RawMessage { return bytes.Clone(text) }
