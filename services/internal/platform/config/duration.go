package config

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

const (
	day  = 24 * time.Hour
	week = 7 * day
)

// durationUnits are the units of a duration. A day has 24 hours.
func durationUnits() map[string]time.Duration {
	return map[string]time.Duration{
		"ns": time.Nanosecond, "us": time.Microsecond, "µs": time.Microsecond, "ms": time.Millisecond,
		"s": time.Second, "m": time.Minute, "h": time.Hour, "d": day, "w": week,
	}
}

// ParseDuration reads numbers with units one after the other, as 500ms, 1h30m or
// 14d: ns, us, ms, s, m, h, d (24h) and w (7d). Zero needs no unit.
func ParseDuration(text string) (time.Duration, error) {
	rest, negative := strings.CutPrefix(strings.TrimSpace(text), "-")
	if rest == "0" {
		return 0, nil
	}
	var sum float64
	var whole time.Duration
	for first := true; rest != "" || first; first = false {
		n, unit, after := leadingQuantity(rest)
		size, ok := durationUnits()[unit]
		switch {
		case n == "" || !ok && unit != "":
			return 0, fmt.Errorf("%s is not a duration: want numbers with the units ms, s, m, h, d or w, as 15s or 1h30m", quote(text))
		case unit == "":
			return 0, fmt.Errorf("%s has no unit: write %ss or %sm", quote(text), n, n)
		}
		part, exact, err := times(n, int64(size))
		if err != nil || sum+part > math.MaxInt64 {
			return 0, fmt.Errorf("%s is too long", quote(text))
		}
		sum += part
		whole += time.Duration(exact)
		rest = after
	}
	if negative {
		whole = -whole
	}
	return whole, nil
}

// leadingQuantity cuts a number and the letters behind it off the start of text.
func leadingQuantity(text string) (number, unit, rest string) {
	i := 0
	for i < len(text) && (text[i] >= '0' && text[i] <= '9' || text[i] == '.' || text[i] == '_') {
		i++
	}
	number, rest = text[:i], strings.TrimLeft(text[i:], " ")
	j := strings.IndexFunc(rest, func(r rune) bool { return r >= '0' && r <= '9' || r == '.' || r == ' ' })
	if j < 0 {
		j = len(rest)
	}
	return number, rest[:j], strings.TrimLeft(rest[j:], " ")
}

// times returns number x unit, roughly and as a whole number, or an error when
// number is malformed or the product is too large.
func times(number string, unit int64) (rough float64, exact int64, err error) {
	number = strings.ReplaceAll(number, "_", "")
	if n, err := strconv.ParseInt(number, 10, 64); err == nil {
		if n > math.MaxInt64/unit {
			return 0, 0, strconv.ErrRange
		}
		return float64(n * unit), n * unit, nil
	}
	f, err := strconv.ParseFloat(number, 64)
	if f *= float64(unit); err != nil || f >= math.MaxInt64 {
		return 0, 0, strconv.ErrRange
	}
	return f, int64(math.Round(f)), nil
}

// FormatDuration returns d in the fewest units that ParseDuration reads, as 14d
// or 1h30m.
func FormatDuration(d time.Duration) string {
	switch {
	case d == 0:
		return "0s"
	case d%day == 0:
		return strconv.FormatInt(int64(d/day), 10) + "d"
	}
	text := d.String()
	for _, zero := range []string{"m0s", "h0m"} {
		if strings.HasSuffix(text, zero) {
			text = text[:len(text)-2]
		}
	}
	return text
}
