package config

import (
	"fmt"
	"strconv"
	"strings"
)

// ByteSize is a number of bytes, in the file as 1000, 512KiB, 4MiB or 2GB.
type ByteSize int64

// The units of ByteSize. KB, MB and GB are thousands.
const (
	KiB ByteSize = 1 << 10
	MiB ByteSize = 1 << 20
	GiB ByteSize = 1 << 30
)

type sizeUnit struct {
	suffix string
	size   ByteSize
}

// units are tried from the largest, so that a size prints in the fewest digits.
func units() []sizeUnit {
	return []sizeUnit{{"GiB", GiB}, {"MiB", MiB}, {"KiB", KiB}, {"B", 1}}
}

// unitOf returns the unit that is called name, in any case.
func unitOf(name string) (ByteSize, bool) {
	for _, u := range append(units(), sizeUnit{"GB", 1e9}, sizeUnit{"MB", 1e6}, sizeUnit{"KB", 1e3}, sizeUnit{"", 1}) {
		if strings.EqualFold(u.suffix, name) {
			return u.size, true
		}
	}
	return 0, false
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

// ParseByteSize reads a number of bytes with or without a unit.
func ParseByteSize(text string) (ByteSize, error) {
	number, name, rest := leadingQuantity(strings.TrimSpace(text))
	unit, ok := unitOf(name)
	if number != "" && rest == "" {
		switch strings.ToUpper(name) {
		case "K", "M", "G":
			return 0, fmt.Errorf("%s has a unit of two meanings: write %s%siB or %s%sB", quote(text), number, strings.ToUpper(name), number, strings.ToUpper(name))
		}
	}
	_, n, err := times(number, int64(max(unit, 1)))
	if !ok || err != nil || rest != "" {
		return 0, fmt.Errorf("%s is not a size: want a number with the unit B, KiB, MiB or GiB (KB, MB and GB are thousands)", quote(text))
	}
	return ByteSize(n), nil
}
