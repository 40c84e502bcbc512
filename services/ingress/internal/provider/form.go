package provider

import (
	"net/url"
	"strings"
	"unicode/utf8"

	"github.com/mailstream/mailstream/services/ingress/internal/jsonscan"
)

// formFieldsMax bounds the fields of one form: the largest documented has some
// dozens, and custom fields come on top.
const formFieldsMax = 1000

// Field is one field of a form as it was sent.
type Field struct{ Name, Value string }

// ReadForm reads application/x-www-form-urlencoded in the order of the fields. The
// error is a *jsonscan.LimitError or a *FormError.
func ReadForm(body string) ([]Field, error) {
	parts := strings.Count(body, "&") + 1
	if parts > formFieldsMax {
		return nil, &jsonscan.LimitError{What: "too many fields"}
	}
	fields := make([]Field, 0, parts)
	offset := 0
	for part := range strings.SplitSeq(body, "&") {
		name, value, _ := strings.Cut(part, "=")
		n, nerr := url.QueryUnescape(name)
		v, verr := url.QueryUnescape(value)
		if nerr != nil || verr != nil {
			return nil, &FormError{What: "not a form", Offset: offset}
		}
		if part != "" {
			fields = append(fields, Field{n, v})
		}
		offset += len(part) + 1
	}
	if len(fields) == 0 {
		return nil, &FormError{What: "an empty form"}
	}
	return fields, nil
}

// FormObject writes fields as a JSON object in the order of their first appearance;
// a field that comes again has an array of strings.
func FormObject(fields []Field) []byte {
	last := make(map[string]int, len(fields)) // where a name was seen last
	next := make([]int, len(fields))          // where it comes again, 0 for nowhere
	again := make([]bool, len(fields))
	size := len("{}")
	for i, f := range fields {
		if before, ok := last[f.Name]; ok {
			next[before], again[i] = i, true
		}
		last[f.Name] = i
		size += len(f.Name) + len(f.Value) + len(`"":"",`)
	}
	out := append(make([]byte, 0, size), '{')
	for i, f := range fields {
		if again[i] {
			continue
		}
		if len(out) > 1 {
			out = append(out, ',')
		}
		out = append(AppendString(out, f.Name), ':')
		if next[i] == 0 {
			out = AppendString(out, f.Value)
			continue
		}
		out = AppendString(append(out, '['), f.Value)
		for j := next[i]; j != 0; j = next[j] {
			out = AppendString(append(out, ','), fields[j].Value)
		}
		out = append(out, ']')
	}
	return append(out, '}')
}

// AppendString writes s as a JSON string; what is no UTF-8 becomes U+FFFD.
func AppendString(out []byte, s string) []byte {
	const hex = "0123456789abcdef"
	out = append(out, '"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			out = append(out, '\\', byte(r))
		case r < ' ':
			out = append(out, '\\', 'u', '0', '0', hex[r>>4], hex[r&0xf])
		default:
			out = utf8.AppendRune(out, r)
		}
	}
	return append(out, '"')
}
