package schemas

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// timeLayout is RFC 3339 in UTC with exactly three decimals, so that times sort
// as text.
const timeLayout = "2006-01-02T15:04:05.000Z"

// metadataSortMax is how many metadata keys are sorted without an allocation.
// Providers allow a few dozen at most; a message with more costs one slice.
const metadataSortMax = 16

// Decode reads the value of an event record. Unknown fields are ignored, so a
// consumer keeps working when fields are added; an error names the fault and
// never contains the record's text.
func Decode(b []byte) (Event, error) {
	var e Event
	if err := json.Unmarshal(b, &e); err != nil {
		return Event{}, fmt.Errorf("decode event: %w", withoutText(err))
	}
	return e, nil
}

// The faults whose own words would repeat what was in the record.
var (
	errNotTime   = errors.New("a time is not RFC 3339")
	errWrongType = errors.New("wrong JSON type")
)

// withoutText replaces an error of encoding/json that quotes its input.
func withoutText(err error) error {
	var notTime *time.ParseError
	var wrongType *json.UnmarshalTypeError
	switch {
	case errors.As(err, &notTime):
		return errNotTime
	case errors.As(err, &wrongType):
		return fmt.Errorf("%w: field %q at byte %d wants %s", errWrongType, wrongType.Field, wrongType.Offset, wrongType.Type)
	default:
		return err
	}
}

// MarshalJSON encodes e as AppendJSON does. encoding/json then compacts Raw;
// call AppendJSON to keep it byte for byte.
func (e Event) MarshalJSON() ([]byte, error) {
	return AppendJSON(nil, &e), nil
}

// AppendJSON appends e as one JSON object to dst and returns it, without an
// allocation of its own when dst has room. Fields come in the order of the
// struct, metadata sorted by key, absent fields left out, times in UTC cut to
// milliseconds. Invalid UTF-8 is replaced by U+FFFD, in Raw too; apart from
// that Raw is copied as it is and must hold one JSON value.
func AppendJSON(dst []byte, e *Event) []byte {
	dst = append(dst, `{"id":`...)
	dst = appendString(dst, e.ID)
	dst = append(dst, `,"type":`...)
	dst = appendString(dst, string(e.Type))
	dst = append(dst, `,"time":`...)
	dst = appendQuotedTime(dst, e.Time)
	dst = append(dst, `,"received_at":`...)
	dst = appendQuotedTime(dst, e.ReceivedAt)
	dst = append(dst, `,"provider":`...)
	dst = appendString(dst, e.Provider)
	dst = append(dst, `,"source":`...)
	dst = appendString(dst, e.Source)
	dst = appendField(dst, `,"provider_event":`, e.ProviderEvent)
	dst = appendField(dst, `,"provider_event_id":`, e.ProviderEventID)

	dst = appendField(dst, `,"message_id":`, e.MessageID)
	dst = appendField(dst, `,"recipient":`, e.Recipient)
	dst = appendField(dst, `,"recipient_domain":`, e.RecipientDomain)
	dst = appendField(dst, `,"recipient_hash":`, e.RecipientHash)
	dst = appendField(dst, `,"mailbox_provider":`, e.MailboxProvider)

	dst = appendField(dst, `,"campaign":`, e.Campaign)
	dst = appendTags(dst, e.Tags)
	dst = appendMetadata(dst, e.Metadata)

	dst = appendVerdict(dst, e)

	dst = appendField(dst, `,"url":`, e.URL)
	dst = appendField(dst, `,"ip":`, e.IP)
	dst = appendField(dst, `,"user_agent":`, e.UserAgent)
	dst = appendField(dst, `,"country":`, e.Country)
	dst = appendBool(dst, `,"machine":`, e.Machine)

	dst = appendField(dst, `,"feedback_source":`, e.FeedbackSource)
	dst = appendField(dst, `,"list_id":`, e.ListID)
	dst = appendField(dst, `,"sending_ip":`, e.SendingIP)
	if len(e.Raw) > 0 {
		dst = append(dst, `,"raw":`...)
		dst = appendRaw(dst, e.Raw)
	}
	return append(dst, '}')
}

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

// appendVerdict appends the fields that say why a message did not arrive.
func appendVerdict(dst []byte, e *Event) []byte {
	dst = appendField(dst, `,"bounce_type":`, string(e.BounceType))
	dst = appendField(dst, `,"reason":`, string(e.Reason))
	dst = appendField(dst, `,"cause":`, string(e.Cause))
	dst = appendField(dst, `,"confidence":`, string(e.Confidence))
	dst = appendField(dst, `,"classifier":`, e.Classifier)
	dst = appendBool(dst, `,"permanent":`, e.Permanent)
	if e.SMTPCode != 0 {
		dst = append(dst, `,"smtp_code":`...)
		dst = strconv.AppendInt(dst, int64(e.SMTPCode), 10)
	}
	dst = appendField(dst, `,"enhanced_code":`, e.EnhancedCode)
	dst = appendField(dst, `,"smtp_reply":`, e.SMTPReply)
	dst = appendField(dst, `,"blocklist":`, e.Blocklist)
	dst = appendField(dst, `,"blocklist_subject":`, e.BlocklistSubject)
	return appendField(dst, `,"blocklist_url":`, e.BlocklistURL)
}

func appendField(dst []byte, name, value string) []byte {
	if value == "" {
		return dst
	}
	dst = append(dst, name...)
	return appendString(dst, value)
}

func appendBool(dst []byte, name string, value *bool) []byte {
	if value == nil {
		return dst
	}
	dst = append(dst, name...)
	return strconv.AppendBool(dst, *value)
}

func appendTags(dst []byte, tags []string) []byte {
	if len(tags) == 0 {
		return dst
	}
	dst = append(dst, `,"tags":[`...)
	for i, tag := range tags {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendString(dst, tag)
	}
	return append(dst, ']')
}

// pair is one entry of the metadata.
type pair struct{ key, value string }

// appendMetadata sorts by key, so that one event always has one encoding.
func appendMetadata(dst []byte, metadata map[string]string) []byte {
	if len(metadata) == 0 {
		return dst
	}
	var room [metadataSortMax]pair
	pairs := room[:0]
	for key, value := range metadata {
		pairs = append(pairs, pair{key, value})
	}
	slices.SortFunc(pairs, func(a, b pair) int { return strings.Compare(a.key, b.key) })
	dst = append(dst, `,"metadata":`...)
	for i, p := range pairs {
		separator := byte(',')
		if i == 0 {
			separator = '{'
		}
		dst = appendString(append(dst, separator), p.key)
		dst = appendString(append(dst, ':'), p.value)
	}
	return append(dst, '}')
}

func appendQuotedTime(dst []byte, t time.Time) []byte {
	dst = append(dst, '"')
	dst = AppendTime(dst, t)
	return append(dst, '"')
}

// appendRaw copies raw, which is already JSON, and repairs only invalid UTF-8:
// a record that is no UTF-8 would be no JSON (RFC 8259, section 8.1).
func appendRaw(dst, raw []byte) []byte {
	if utf8.Valid(raw) {
		return append(dst, raw...)
	}
	for len(raw) > 0 {
		r, size := utf8.DecodeRune(raw)
		if r == utf8.RuneError && size == 1 {
			dst = append(dst, "\ufffd"...)
		} else {
			dst = append(dst, raw[:size]...)
		}
		raw = raw[size:]
	}
	return dst
}

const hexDigits = "0123456789abcdef"

// plain tells which bytes stand in a JSON string as they are. Bytes of 0x80 and
// above are looked at as UTF-8.
var plain = func() (table [256]bool) {
	for c := 0x20; c < utf8.RuneSelf; c++ {
		table[c] = c != '"' && c != '\\'
	}
	return table
}()

// appendString appends s as a JSON string.
func appendString(dst []byte, s string) []byte {
	dst = append(dst, '"')
	start := 0
	for i := 0; i < len(s); {
		for i+4 <= len(s) && plain[s[i]] && plain[s[i+1]] && plain[s[i+2]] && plain[s[i+3]] {
			i += 4
		}
		if i == len(s) {
			break
		}
		c := s[i]
		if plain[c] {
			i++
			continue
		}
		if c >= utf8.RuneSelf {
			r, size := utf8.DecodeRuneInString(s[i:])
			if r == utf8.RuneError && size == 1 {
				dst = append(dst, s[start:i]...)
				dst = append(dst, "\ufffd"...)
				start = i + 1
			}
			i += size
			continue
		}
		dst = append(dst, s[start:i]...)
		dst = appendEscape(dst, c)
		i++
		start = i
	}
	dst = append(dst, s[start:]...)
	return append(dst, '"')
}

func appendEscape(dst []byte, c byte) []byte {
	switch c {
	case '"', '\\':
		return append(dst, '\\', c)
	case '\n':
		return append(dst, '\\', 'n')
	case '\r':
		return append(dst, '\\', 'r')
	case '\t':
		return append(dst, '\\', 't')
	default:
		return append(dst, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&0xf])
	}
}
