package store

import "fmt"

// Reason is why a record cannot become a row. It is a metric label and the
// reason of a dead letter.
type Reason string

// The reasons.
const (
	NotJSON      Reason = "not_json"          // the value is no JSON text
	MissingField Reason = "missing_field"     // a required field is absent
	BadField     Reason = "bad_field"         // a field has the wrong type or form
	OutOfRange   Reason = "time_out_of_range" // a time that SQL cannot hold
	Rejected     Reason = "rejected"          // ClickHouse refused the row
	Empty        Reason = "empty"             // a record without a value, where one is due
)

// Reasons returns every reason. The caller owns the slice.
func Reasons() []Reason {
	return []Reason{NotJSON, MissingField, BadField, OutOfRange, Rejected, Empty}
}

// Fault says why a record cannot become a row. It holds nothing of the record
// but names of fields.
type Fault struct {
	Reason Reason
	Detail string
}

// Error returns reason and detail.
func (f *Fault) Error() string { return string(f.Reason) + ": " + f.Detail }

func faultf(reason Reason, format string, args ...any) *Fault {
	return &Fault{Reason: reason, Detail: fmt.Sprintf(format, args...)}
}
