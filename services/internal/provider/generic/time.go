package generic

import (
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/mailstream/mailstream/services/internal/jsontext"
	"github.com/mailstream/mailstream/services/internal/provider"
)

// The units of time.
const (
	unitRFC3339  = "rfc3339"
	unitDateTime = "datetime"
	unitSeconds  = "s"
	unitMillis   = "ms"
	unitMicros   = "us"
	unitNanos    = "ns"
)

func knownUnit(unit string) bool {
	switch unit {
	case unitRFC3339, unitDateTime, unitSeconds, unitMillis, unitMicros, unitNanos:
		return true
	}
	return isLayout(unit)
}

// isLayout says whether unit is a layout that has at least the day and the
// minute: what it writes, it reads as the same.
func isLayout(unit string) bool {
	const minute = "2006-01-02 15:04"
	probe := time.Date(2031, time.December, 24, 17, 48, 0, 0, time.UTC)
	read, err := time.Parse(unit, probe.Format(unit))
	return err == nil && read.Format(minute) == probe.Format(minute)
}

// readTime reads text in the first unit that fits, the zero time when none does.
func readTime(text string, units OneOrMore) time.Time {
	for _, unit := range units {
		if t := readUnit(text, unit); !t.IsZero() {
			return t
		}
	}
	return time.Time{}
}

// readUnit reads text in the unit, the zero time when it is not one. It cuts to
// milliseconds.
func readUnit(text, unit string) time.Time {
	switch unit {
	case unitRFC3339:
		t, err := time.Parse(time.RFC3339Nano, text)
		return cut(t, err)
	case unitDateTime:
		t, err := time.Parse(time.DateTime, text)
		return cut(t, err)
	case unitSeconds:
		if text == "" || text[0] < '0' || text[0] > '9' {
			return time.Time{}
		}
		t, _ := provider.UnixTime(jsontext.Value(text))
		return t
	case unitMillis, unitMicros, unitNanos:
		return readCount(text, unit)
	}
	t, err := time.ParseInLocation(unit, text, time.UTC) // not by the zones of this machine
	if err == nil && guessed(t, unit) {
		return time.Time{}
	}
	return cut(t, err)
}

// guessed says whether t has its zone by a name alone that package time takes for
// UTC, as it does with all it does not know: EST would be hours away.
func guessed(t time.Time, unit string) bool {
	name, offset := t.Zone()
	return offset == 0 && name != "" && name != "UTC" && !strings.HasPrefix(name, "GMT") && !strings.Contains(unit, "07")
}

// readCount reads a whole number of units since 1970.
func readCount(text, unit string) time.Time {
	whole, _, _ := strings.Cut(text, ".")
	n, err := strconv.ParseInt(whole, 10, 64)
	if err != nil || n < 0 {
		return time.Time{}
	}
	switch unit {
	case unitMicros:
		n /= 1e3
	case unitNanos:
		n /= 1e6
	}
	if n > math.MaxInt64/int64(time.Millisecond) {
		return time.Time{} // beyond the year 2262: implausible
	}
	return time.UnixMilli(n).UTC()
}

func cut(t time.Time, err error) time.Time {
	if err != nil {
		return time.Time{}
	}
	return t.UTC().Truncate(time.Millisecond)
}
