package provider

import (
	"math"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/mailstream/mailstream/services/internal/jsontext"
)

// True and False give what schemas and classify point to for a known boolean.
func True() *bool { return &boolTrue }

// False is the counterpart of True.
func False() *bool { return &boolFalse }

// These are read-only: Go has no pointers to constants.
var boolTrue, boolFalse = true, false

// unixSecondsMax keeps seconds from overflowing as milliseconds.
const unixSecondsMax = math.MaxInt64 / 1000

// UnixTime reads seconds since 1970, with or without decimals, as a number or a
// string; the zero time when v is neither or negative. It cuts to milliseconds.
// stamp is v's text.
func UnixTime(v jsontext.Value) (t time.Time, stamp string) {
	stamp, _ = v.Text()
	whole, fraction, _ := strings.Cut(stamp, ".")
	seconds, err := strconv.ParseInt(whole, 10, 64)
	if err != nil {
		return exponentTime(stamp), stamp
	}
	if seconds < 0 || seconds > unixSecondsMax {
		return time.Time{}, stamp
	}
	ms, unit := int64(0), int64(100)
	for i := 0; i < len(fraction); i++ {
		if fraction[i] < '0' || fraction[i] > '9' {
			return exponentTime(stamp), stamp
		}
		ms += int64(fraction[i]-'0') * unit
		unit /= 10
	}
	return time.UnixMilli(seconds*1000 + ms).UTC(), stamp
}

// exponentTime reads the rare 1.7676e9.
func exponentTime(stamp string) time.Time {
	f, err := strconv.ParseFloat(stamp, 64)
	if err != nil || !(f >= 0 && f < unixSecondsMax) {
		return time.Time{}
	}
	return time.UnixMilli(int64(f * 1000)).UTC()
}

// Boolean reads true, 1, "true" or "1" and their opposites; nil when v is neither
// of them.
func Boolean(v jsontext.Value) *bool {
	text, _ := v.Text()
	return BooleanOf(text)
}

// BooleanOf is Boolean for what was read already: text is not a Value, and one that
// starts with a quote would be read as half a string.
func BooleanOf(text string) *bool {
	switch text {
	case "true", "1", "True", "TRUE":
		return True()
	case "false", "0", "False", "FALSE":
		return False()
	default:
		return nil
	}
}

// Number returns a number's text, "" for 0: providers send 0 for "none".
func Number(text string) string {
	if text == "0" {
		return ""
	}
	return text
}

// IP returns the one spelling of the IP address that text is, else "": IPv6 as RFC 5952 has
// it, and IPv4 also where it came as ::ffff:192.0.2.1. Counts are by it.
func IP(text string) string {
	if text == "" {
		return "" // and no error is made of it
	}
	address, err := netip.ParseAddr(text)
	switch {
	case err != nil:
		return ""
	case address.Is4(): // of which there is one spelling
		return text
	default:
		return address.Unmap().WithZone("").String()
	}
}

// Country returns an ISO 3166-1 alpha-2 code in capitals, "" for anything else.
func Country(text string) string {
	if len(text) != 2 || !isLetter(text[0]) || !isLetter(text[1]) {
		return ""
	}
	return strings.ToUpper(text)
}

func isLetter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' }
