package store

import (
	"encoding/json"

	"github.com/mailstream/mailstream/schemas"
)

const uuidTextBytes = 36

// parseUUID reads the text form of RFC 9562, section 4, in either case.
func parseUUID(text []byte, id *[16]byte) bool {
	if len(text) != uuidTextBytes {
		return false
	}
	n := 0
	for i := 0; i < len(text); {
		if i == 8 || i == 13 || i == 18 || i == 23 {
			if text[i] != '-' {
				return false
			}
			i++
			continue
		}
		high, low := nibble(text[i]), nibble(text[i+1])
		if high > 15 || low > 15 {
			return false
		}
		id[n] = high<<4 | low
		n++
		i += 2
	}
	return true
}

// nibble returns the value of a hexadecimal digit, above 15 for anything else.
func nibble(c byte) byte {
	switch {
	case '0' <= c && c <= '9':
		return c - '0'
	case 'a' <= c && c <= 'f':
		return c - 'a' + 10
	case 'A' <= c && c <= 'F':
		return c - 'A' + 10
	default:
		return 0xff
	}
}

// What ClickHouse's DateTime holds, in which rollups count: 1970 to 2106. The
// column itself holds more.
const (
	timeMin = 0
	timeMax = (1<<32 - 1) * 1000
)

// parseTime reads RFC 3339 and returns Unix milliseconds, cut.
func parseTime(text []byte, name string) (int64, error) {
	at, err := schemas.ParseTime(text)
	if err != nil {
		return 0, faultf(BadField, "%s is not RFC 3339", name)
	}
	ms := at.UnixMilli()
	if ms < timeMin || ms > timeMax {
		return 0, faultf(OutOfRange, "%s is not in 1970 to 2106", name)
	}
	return ms, nil
}

func oneIf(b bool) uint8 {
	if b {
		return 1
	}
	return 0
}

// decode reads value into one of the types of schemas that are too rare for a
// hand-written reader.
func decode(value []byte, into any) error {
	if err := json.Unmarshal(value, into); err != nil {
		if !json.Valid(value) {
			return faultf(NotJSON, "no JSON text")
		}
		if te, ok := asTypeError(err); ok {
			return faultf(BadField, "%q at offset %d", te.Field, te.Offset)
		}
		return faultf(BadField, "a field has the wrong form")
	}
	return nil
}
