package api

import (
	"encoding/json"
	"time"
	"unicode/utf8"
)

// What is written here is byte for byte what encoding/json writes of the same values; a
// test compares them. A check of thousands would spend half of its time there.

// texts are the strings of a request. Where none of them has an escape, which is nearly
// always, they share the memory of one.
type texts []string

// UnmarshalJSON reads an array of strings, or null.
func (t *texts) UnmarshalJSON(b []byte) error {
	if out, ok := splitTexts(b); ok {
		*t = out
		return nil
	}
	return json.Unmarshal(b, (*[]string)(t))
}

// splitTexts reads an array of strings as they are; ok is false where one is written
// with an escape, is not UTF-8, or where something else is in the array. b is JSON.
func splitTexts(b []byte) (out []string, ok bool) {
	if len(b) < 2 || b[0] != '[' || !utf8.Valid(b) {
		return nil, false
	}
	rest := string(b[1 : len(b)-1])
	out = make([]string, 0, len(rest)/textBytesUsual)
	for begin, open, i := 0, false, 0; i < len(rest); i++ {
		switch c := rest[i]; {
		case c == '\\':
			return nil, false
		case c == '"' && !open:
			begin, open = i+1, true
		case c == '"':
			out, open = append(out, rest[begin:i]), false
		case open || c == ',' || c == ' ' || c == '\n' || c == '\r' || c == '\t':
		default:
			return nil, false
		}
	}
	return out, true
}

// textBytesUsual is about what an address takes in an array, for a first guess at how many
// there are.
const textBytesUsual = 24

// text returns the answer as JSON.
func (c *checkAnswer) text() []byte {
	rest, _ := json.Marshal(c) // of what it holds nothing is refused
	out := make([]byte, 0, len(c.suppressed)+len(rest)+len(`{"suppressed":[],`))
	out = append(append(append(out, `{"suppressed":[`...), c.suppressed...), `],`...)
	return append(out, rest[1:]...)
}

// add appends somebody who must not get the mail.
func (c *checkAnswer) add(s *suppressed) {
	if c.listed++; c.listed > 1 {
		c.suppressed = append(c.suppressed, ',')
	}
	c.suppressed = appendText(append(c.suppressed, `{"address":`...), s.Address)
	c.suppressed = appendView(append(c.suppressed, ','), &s.entryView)
	if len(s.Entries) > 0 {
		entries, _ := json.Marshal(s.Entries) // as above
		c.suppressed = append(append(c.suppressed, `,"entries":`...), entries...)
	}
	c.suppressed = append(c.suppressed, '}')
}

// appendForbidden appends the line for somebody who must not get the mail.
func appendForbidden(dst []byte, address string, stale bool, entry *entryView) []byte {
	dst = append(appendText(append(dst, `{"address":`...), address), `,"suppressed":true,`...)
	if stale {
		dst = append(dst, `"stale":true,`...)
	}
	return append(appendView(dst, entry), "}\n"...)
}

// appendAllowed appends the line for somebody who may be mailed.
func appendAllowed(dst []byte, address string, stale bool) []byte {
	dst = append(appendText(append(dst, `{"address":`...), address), `,"suppressed":false`...)
	if stale {
		dst = append(dst, `,"stale":true`...)
	}
	return append(dst, "}\n"...)
}

// appendView appends the members of an entry.
func appendView(dst []byte, v *entryView) []byte {
	dst = appendText(append(dst, `"reason":`...), string(v.Reason))
	dst = appendText(append(dst, `,"scope":`...), v.Scope)
	dst = appendTime(append(dst, `,"since":`...), v.Since)
	dst = append(dst, `,"expires":`...)
	if v.Expires == nil {
		dst = append(dst, "null"...)
	} else {
		dst = appendTime(dst, *v.Expires)
	}
	dst = append(dst, `,"evidence":{`...)
	for _, m := range [...]struct{ name, text string }{
		{`"event_id":`, v.Evidence.EventID}, {`"request_id":`, v.Evidence.RequestID},
		{`"provider":`, v.Evidence.Provider}, {`"source":`, v.Evidence.Source},
	} {
		if m.text != "" {
			dst = append(appendText(append(dst, m.name...), m.text), ',')
		}
	}
	dst = append(appendTime(append(dst, `"time":`...), v.Evidence.Time), '}')
	for _, m := range [...]struct{ name, text string }{
		{`,"note":`, v.Note}, {`,"matched":`, v.Matched}, {`,"advice":`, v.Advice},
	} {
		if m.text != "" {
			dst = appendText(append(dst, m.name...), m.text)
		}
	}
	return dst
}

func appendText(dst []byte, text string) []byte {
	if plainText(text) {
		return append(append(append(dst, '"'), text...), '"')
	}
	quoted, _ := json.Marshal(text) // a string is never refused
	return append(dst, quoted...)
}

func appendTime(dst []byte, t time.Time) []byte {
	return append(t.AppendFormat(append(dst, '"'), time.RFC3339Nano), '"')
}

// plainText says whether text is the same inside the quotes of JSON and outside.
func plainText[T string | []byte](text T) bool {
	for i := range len(text) {
		if c := text[i]; c < ' ' || c > '~' || c == '"' || c == '\\' || c == '<' || c == '>' || c == '&' {
			return false
		}
	}
	return true
}
