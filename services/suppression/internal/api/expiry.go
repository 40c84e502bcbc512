package api

import (
	"encoding/json"
	"strings"
	"time"

	"github.com/mailstream/mailstream/services/internal/platform/httpserver"
)

// never is the date by which many systems mean that something does not end.
const never = "9999-12-31"

// expiryMax is the last moment that the tables hold: rows are placed by seconds
// of 32 bits. A test sends it there.
var expiryMax = time.Unix(1<<32-1, 0).UTC()

// expiry is when an entry ends: a time of RFC 3339, or a date, whose first moment
// in UTC it is. The zero value is never.
type expiry struct{ at time.Time }

// UnmarshalJSON reads a string; null is never.
func (e *expiry) UnmarshalJSON(b []byte) error {
	var text *string
	if err := json.Unmarshal(b, &text); err != nil {
		return err
	}
	if text == nil {
		return nil
	}
	layout := time.RFC3339
	if len(*text) == len(time.DateOnly) {
		layout = time.DateOnly
	}
	at, err := time.Parse(layout, *text)
	switch {
	case err != nil:
		return &httpserver.ValueError{Says: "is neither a time of RFC 3339, like 2026-01-02T15:04:05Z, nor a date"}
	case strings.HasPrefix(*text, never):
		return nil
	case !at.After(time.Unix(0, 0)): // the first moment of the table; the year 1 is our zero value
		return &httpserver.ValueError{Says: "is not in the future"}
	case at.After(expiryMax):
		return &httpserver.ValueError{Says: "is after " + expiryMax.Format(time.RFC3339) + "; leave it out for never, or say " + never}
	}
	e.at = at
	return nil
}
