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
	if strings.Count(body, "&") >= formFieldsMax {
		return nil, &jsonscan.LimitError{What: "too many fields"}
	}
	var fields []Field
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
	at := make(map[string]int, len(fields))
	var names []string
	var values [][]string
	for _, f := range fields {
		i, ok := at[f.Name]
		if !ok {
			i = len(names)
			at[f.Name] = i
			names, values = append(names, f.Name), append(values, nil)
		}
		values[i] = append(values[i], f.Value)
	}
	out := []byte{'{'}
	for i, name := range names {
		if i > 0 {
			out = append(out, ',')
		}
		out = append(AppendString(out, name), ':')
		if len(values[i]) == 1 {
			out = AppendString(out, values[i][0])
			continue
		}
		out = append(out, '[')
		for j, value := range values[i] {
			if j > 0 {
				out = append(out, ',')
			}
			out = AppendString(out, value)
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
