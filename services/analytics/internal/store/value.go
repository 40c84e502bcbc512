package store

import (
	"time"

	"github.com/mailstream/mailstream/services/analytics/internal/jsonscan"
)

const uuidTextBytes = 36

// readUUID reads the text form of RFC 9562, section 4, in either case.
func readUUID(s *jsonscan.Scanner, id *[16]byte) error {
	text, err := s.String()
	if err != nil {
		return err
	}
	if !parseUUID(text, id) {
		return faultf(BadField, "id is no UUID")
	}
	return nil
}

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

// readTime reads RFC 3339 and returns Unix milliseconds, cut.
func readTime(s *jsonscan.Scanner, name string) (int64, error) {
	text, err := s.String()
	if err != nil {
		return 0, err
	}
	ms, ok := parseUTC(text)
	if !ok {
		t, err := time.Parse(time.RFC3339Nano, string(text))
		if err != nil {
			return 0, faultf(BadField, "%s is not RFC 3339", name)
		}
		ms = t.UnixMilli()
	}
	if ms < timeMin || ms > timeMax {
		return 0, faultf(OutOfRange, "%s is not in 1970 to 2106", name)
	}
	return ms, nil
}

// parseUTC reads the form all our own records have, 2006-01-02T15:04:05.000Z,
// and is false for every other and for what is no date.
func parseUTC(t []byte) (ms int64, ok bool) {
	const form = "0000-00-00T00:00:00.000Z"
	if len(t) != len(form) {
		return 0, false
	}
	for i, c := range t {
		if f := form[i]; f == '0' && (c < '0' || c > '9') || f != '0' && c != f {
			return 0, false
		}
	}
	two := func(i int) int { return int(t[i]-'0')*10 + int(t[i+1]-'0') }
	year, month, day := two(0)*100+two(2), two(5), two(8)
	hour, minute, second := two(11), two(14), two(17)
	if month < 1 || month > 12 || day < 1 || day > daysIn(year, month) || hour > 23 || minute > 59 || second > 59 {
		return 0, false
	}
	seconds := daysFrom1970(year, month, day)*86400 + int64(hour*3600+minute*60+second)
	return seconds*1000 + int64(two(20)*10) + int64(t[22]-'0'), true
}

func daysIn(year, month int) int {
	switch month {
	case 4, 6, 9, 11:
		return 30
	case 2:
		if year%4 == 0 && (year%100 != 0 || year%400 == 0) {
			return 29
		}
		return 28
	default:
		return 31
	}
}

// daysFrom1970 counts days of the Gregorian calendar with years that begin in
// March, so that the leap day is the last (Hinnant, "chrono-compatible
// low-level date algorithms").
func daysFrom1970(year, month, day int) int64 {
	if month <= 2 {
		year--
		month += 12
	}
	era := year / 400
	ofEra := year - era*400
	dayOfYear := (153*(month-3)+2)/5 + day - 1
	return int64(era)*146097 + int64(ofEra*365+ofEra/4-ofEra/100+dayOfYear) - 719468
}

// readStrings reads an array of strings into list.
func readStrings(s *jsonscan.Scanner, list [][]byte) ([][]byte, error) {
	if err := s.Array(); err != nil {
		return list, err
	}
	for {
		ok, err := s.Element()
		if err != nil || !ok {
			return list, err
		}
		v, err := s.String()
		if err != nil {
			return list, err
		}
		list = append(list, v)
	}
}

// readPairs reads an object of strings into list.
func readPairs(s *jsonscan.Scanner, list [][2][]byte) ([][2][]byte, error) {
	if err := s.Object(); err != nil {
		return list, err
	}
	for {
		key, ok, err := s.Key()
		if err != nil || !ok {
			return list, err
		}
		v, err := s.String()
		if err != nil {
			return list, err
		}
		list = append(list, [2][]byte{key, v})
	}
}
