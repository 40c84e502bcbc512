package config

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml"
)

// ByteSize is a number of bytes, in the file as 1000, 512KiB, 4MiB or 2GiB.
type ByteSize int64

// The units of ByteSize.
const (
	KiB ByteSize = 1 << 10
	MiB ByteSize = 1 << 20
	GiB ByteSize = 1 << 30
)

// units are tried from the largest, so that a size prints in the fewest digits.
func units() []struct {
	suffix string
	size   ByteSize
} {
	return []struct {
		suffix string
		size   ByteSize
	}{{"GiB", GiB}, {"MiB", MiB}, {"KiB", KiB}, {"B", 1}}
}

// String returns the size in the largest unit that divides it.
func (b ByteSize) String() string {
	for _, u := range units() {
		if b != 0 && b%u.size == 0 {
			return strconv.FormatInt(int64(b/u.size), 10) + u.suffix
		}
	}
	return "0B"
}

// MarshalText returns String.
func (b ByteSize) MarshalText() ([]byte, error) { return []byte(b.String()), nil }

// UnmarshalYAML takes a plain number of bytes or one with a unit.
func (b *ByteSize) UnmarshalYAML(text []byte) error {
	var s string
	if err := yaml.Unmarshal(text, &s); err != nil {
		return fmt.Errorf("a size is a number with an optional unit B, KiB, MiB or GiB")
	}
	return b.parse(strings.TrimSpace(s))
}

func (b *ByteSize) parse(s string) error {
	unit, number := ByteSize(1), s
	for _, u := range units() {
		if n, ok := strings.CutSuffix(s, u.suffix); ok {
			unit, number = u.size, strings.TrimSpace(n)
			break
		}
	}
	n, err := strconv.ParseInt(number, 10, 64)
	if err != nil || n < 0 || n > math.MaxInt64/int64(unit) {
		return fmt.Errorf("%q is not a size: want a number with an optional unit B, KiB, MiB or GiB", s)
	}
	*b = ByteSize(n) * unit
	return nil
}
