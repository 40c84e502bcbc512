package store

import (
	"errors"

	"github.com/mailstream/mailstream/schemas"
)

// event reads event records, and says whether one can be a row.
type event struct {
	schemas.Reader
	id               [16]byte
	time, receivedAt int64 // Unix milliseconds
}

// read reads value. Its error is a *Fault.
func (e *event) read(value []byte) error {
	err := e.Reader.Read(value)
	if fault := e.parse(); fault != nil {
		return fault
	}
	if field, ok := errors.AsType[*schemas.FieldError](err); ok {
		return faultf(BadField, "%v", field)
	}
	if err != nil {
		return faultf(NotJSON, "%v", err)
	}
	return e.complete()
}

// parse looks into those fields whose text has a form, as far as they are there.
func (e *event) parse() (err error) {
	if e.ID != nil && !parseUUID(e.ID, &e.id) {
		return faultf(BadField, "id is not a UUID")
	}
	if e.Time != nil {
		if e.time, err = parseTime(e.Time, "time"); err != nil {
			return err
		}
	}
	if e.ReceivedAt != nil {
		e.receivedAt, err = parseTime(e.ReceivedAt, "received_at")
	}
	return err
}

// complete checks that what every event must have is there.
func (e *event) complete() error {
	for _, f := range [...]struct {
		name string
		ok   bool
	}{
		{"id", e.ID != nil}, {"type", len(e.Type) > 0}, {"time", e.Time != nil}, {"received_at", e.ReceivedAt != nil},
		{"provider", len(e.Provider) > 0}, {"source", len(e.Source) > 0},
	} {
		if !f.ok {
			return faultf(MissingField, "%q", f.name)
		}
	}
	return nil
}

// blank takes out all that leads to the person. What remains is counted: rates stay
// the same to the row. The message id goes, too, since with it a guessed address
// could be tested against the id of the event. sql/erase/event_log.sql does the same
// to rows that are stored, and a test compares them.
func (e *event) blank() {
	for _, field := range []*[]byte{
		&e.ProviderEventID, &e.MessageID, &e.Recipient, &e.RecipientHash,
		&e.Subject, &e.SMTPReply, &e.URL, &e.IP, &e.UserAgent, &e.Raw,
	} {
		*field = nil
	}
	e.Tags, e.Metadata = nil, nil
}
