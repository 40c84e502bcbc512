package provider

import (
	"strconv"
	"strings"
	"time"

	"github.com/mailstream/mailstream/services/internal/classify"
	"github.com/mailstream/mailstream/services/internal/jsontext"
)

// Text returns v as text, "" when it is absent or null. An array or an object is
// noted as a wrong type. Numbers come as they are written, so ids keep every digit.
func (b *Batch) Text(v jsontext.Value) string {
	text, ok := v.Text()
	if !ok && v.Kind() != jsontext.Invalid && v.Kind() != jsontext.Null {
		b.DriftAt(WrongType, v)
	}
	return text
}

// Object returns a walk over the object v; over nothing when it is absent, null
// or the [] that some providers write for an empty object. Anything else is
// noted as a wrong type.
func (b *Batch) Object(v jsontext.Value) jsontext.Members {
	switch v.Kind() {
	case jsontext.Object, jsontext.Null, jsontext.Invalid:
	case jsontext.Array:
		if e := v.Elements(); e.Next() {
			b.DriftAt(WrongType, v)
		}
	default:
		b.DriftAt(WrongType, v)
	}
	return b.Members(v)
}

// Members returns a walk over the object v, over nothing for anything else.
func (b *Batch) Members(v jsontext.Value) jsontext.Members { return b.json.MembersOf(v) }

// Metadata adds the members of the object v to the metadata of it: text as it
// is, anything deeper as JSON.
func (b *Batch) Metadata(it *Item, v jsontext.Value) {
	for m := b.Object(v); m.Next(); {
		it.SetMetadata(m.Key(), Plain(m.Value()))
	}
}

// Tags adds v to the tags of it: one text, or an array of them.
func (b *Batch) Tags(it *Item, v jsontext.Value) {
	if v.Kind() != jsontext.Array {
		it.AddTag(b.Text(v))
		return
	}
	for e := v.Elements(); e.Next(); {
		it.AddTag(b.Text(e.Value()))
	}
}

// Plain returns v as text: a string without its quotes, everything else as it is
// written, "" for null.
func Plain(v jsontext.Value) string {
	if text, ok := v.Text(); ok || v.Kind() == jsontext.Null {
		return text
	}
	return string(v)
}

// isoLayouts are the forms of a time beside RFC 3339 that providers write. One
// without a zone is in UTC.
func isoLayouts() [4]string {
	return [...]string{
		"2006-01-02T15:04:05 -0700", "2006-01-02T15:04:05", "2006-01-02 15:04:05", "2006-01-02 15:04:05Z07:00",
	}
}

// Time reads RFC 3339 and its relatives, or seconds since 1970 as UnixTime does;
// the zero time when v is neither. It cuts to milliseconds. stamp is v as text.
func Time(v jsontext.Value) (t time.Time, stamp string) {
	stamp, _ = v.Text()
	if len(stamp) < len("2006-01-02") || stamp[4] != '-' {
		return UnixTime(v)
	}
	t, err := time.Parse(time.RFC3339, stamp)
	for _, layout := range isoLayouts() {
		if err == nil {
			break
		}
		t, err = time.Parse(layout, stamp)
	}
	if err != nil {
		return time.Time{}, stamp
	}
	return t.UTC().Truncate(time.Millisecond), stamp
}

// SMTPCode returns text as a reply code (RFC 5321, section 4.2.1), 0 when it is
// none: providers also use numbers that are not reply codes.
func SMTPCode(text string) int {
	if len(text) != len("250") {
		return 0
	}
	n, err := strconv.Atoi(text)
	if code, _ := classify.Codes(text); err != nil || code != n {
		return 0
	}
	return n
}

// EnhancedCode returns text when it is a code of RFC 3463, else "".
func EnhancedCode(text string) string {
	if _, code := classify.Codes(text); code == text {
		return text
	}
	return ""
}

// Address returns the bare address of one mailbox of RFC 5322, section 3.4: the
// part in the angle brackets of "Ana <ana@example.com>", or before the comment
// of "ana@example.com (Ana)", and behind the scheme of "mailto:ana@example.com".
// Any other text, a list of mailboxes too, is returned as it is.
func Address(text string) string {
	text = strings.TrimSpace(text)
	switch {
	case strings.HasSuffix(text, ">"):
		i := strings.LastIndexByte(text, '<')
		if i >= 0 && displayName(strings.TrimSpace(text[:i])) {
			return withoutScheme(strings.TrimSpace(text[i+1 : len(text)-1]))
		}
	case strings.HasSuffix(text, ")"):
		bare, _, found := strings.Cut(text, " (")
		if found && strings.Count(bare, "@") == 1 && !strings.ContainsAny(bare, " <,") {
			return withoutScheme(bare)
		}
	}
	return withoutScheme(text)
}

// displayName says that text is at most one display name: the text before the
// last of several mailboxes has a closing bracket outside of quotes.
func displayName(text string) bool {
	quoted := false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case c == '>' && !quoted:
			return false
		}
	}
	return true
}

func withoutScheme(address string) string {
	const scheme = "mailto:"
	if len(address) > len(scheme) && strings.EqualFold(address[:len(scheme)], scheme) {
		return address[len(scheme):]
	}
	return address
}
