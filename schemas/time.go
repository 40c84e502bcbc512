package schemas

import "time"

// timeLayout is RFC 3339 in UTC with exactly three decimals, so that times sort
// as text.
const timeLayout = "2006-01-02T15:04:05.000Z"

// AppendTime appends t as events carry it: RFC 3339, UTC, cut to milliseconds.
// Years outside of 0 to 9999 have no such form and come out longer.
func AppendTime(dst []byte, t time.Time) []byte {
	seconds := t.Unix()
	days := floorDiv(seconds, secondsPerDay)
	year, month, day := civil(days)
	if year < 0 || year > 9999 {
		return t.UTC().AppendFormat(dst, timeLayout)
	}
	ofDay := int(seconds - days*secondsPerDay)
	dst = append2(dst, year/100)
	dst = append2(dst, year%100)
	dst = append2(append(dst, '-'), month)
	dst = append2(append(dst, '-'), day)
	dst = append2(append(dst, 'T'), ofDay/3600)
	dst = append2(append(dst, ':'), ofDay/60%60)
	dst = append2(append(dst, ':'), ofDay%60)
	ms := t.Nanosecond() / int(time.Millisecond)
	dst = append2(append(dst, '.', byte('0'+ms/100)), ms%100)
	return append(dst, 'Z')
}

const (
	secondsPerDay  = 24 * 60 * 60
	daysPerEra     = 146_097 // 400 years of the Gregorian calendar
	daysTo1970     = 719_468 // from the 1st of March of the year 0
	daysPer4Years  = 1_461
	daysPer100Year = 36_524
)

// civil returns the Gregorian date of a day counted from 1970-01-01. Years start
// in March, so that the leap day is the last of them; eras have 400 years.
func civil(days int64) (year, month, day int) {
	days += daysTo1970
	era := floorDiv(days, daysPerEra)
	ofEra := int(days - era*daysPerEra)
	yearOfEra := (ofEra - ofEra/(daysPer4Years-1) + ofEra/daysPer100Year - ofEra/(daysPerEra-1)) / 365
	ofYear := ofEra - (365*yearOfEra + yearOfEra/4 - yearOfEra/100)
	fromMarch := (5*ofYear + 2) / 153 // five months from March have 153 days
	day = ofYear - (153*fromMarch+2)/5 + 1
	year = int(era)*400 + yearOfEra
	if month = fromMarch + 3; month > 12 {
		return year + 1, month - 12, day
	}
	return year, month, day
}

func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}

func append2(dst []byte, n int) []byte {
	return append(dst, byte('0'+n/10), byte('0'+n%10))
}

func appendQuotedTime(dst []byte, t time.Time) []byte {
	dst = append(dst, '"')
	dst = AppendTime(dst, t)
	return append(dst, '"')
}

// ParseTime reads a time in the form that AppendTime writes or in another form of
// RFC 3339, as strictly as encoding/json. Its error does not repeat the text.
func ParseTime(text []byte) (time.Time, error) {
	at, ok := parseUTC(text)
	if !ok && at.UnmarshalText(text) != nil {
		return time.Time{}, errNotTime
	}
	return at, nil
}

// parseUTC reads the form that AppendTime writes, and is false for every other and
// for what is not a date.
func parseUTC(t []byte) (at time.Time, ok bool) {
	const form = "0000-00-00T00:00:00.000Z"
	if len(t) != len(form) {
		return time.Time{}, false
	}
	for i, c := range t {
		if f := form[i]; f == '0' && (c < '0' || c > '9') || f != '0' && c != f {
			return time.Time{}, false
		}
	}
	two := func(i int) int { return int(t[i]-'0')*10 + int(t[i+1]-'0') }
	year, month, day := two(0)*100+two(2), two(5), two(8)
	hour, minute, second := two(11), two(14), two(17)
	if month < 1 || month > 12 || day < 1 || day > daysIn(year, month) || hour > 23 || minute > 59 || second > 59 {
		return time.Time{}, false
	}
	seconds := daysFrom1970(year, month, day)*secondsPerDay + int64(hour*3600+minute*60+second)
	ms := int64(two(20)*10) + int64(t[22]-'0')
	return time.Unix(seconds, ms*int64(time.Millisecond)).UTC(), true
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

// daysFrom1970 is the inverse of civil (Hinnant, "chrono-compatible low-level
// date algorithms").
func daysFrom1970(year, month, day int) int64 {
	if month <= 2 {
		year--
		month += 12
	}
	era := floorDiv(int64(year), 400)
	ofEra := year - int(era)*400
	dayOfYear := (153*(month-3)+2)/5 + day - 1
	return era*daysPerEra + int64(ofEra*365+ofEra/4-ofEra/100+dayOfYear) - daysTo1970
}
