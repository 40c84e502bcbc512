package generic

import (
	"net/url"
	"strings"
	"unicode/utf8"

	"github.com/mailstream/mailstream/services/ingress/internal/jsonscan"
	"github.com/mailstream/mailstream/services/ingress/internal/provider"
)

// fieldsMax bounds the fields of one form.
const fieldsMax = 1000

// pair is one field of a form as it was sent.
type pair struct{ name, value string }

// form takes the fields as one item, or the JSON in one of them.
func (p *Provider) form(req *provider.Request, out *provider.Batch) error {
	fields, err := readForm(string(req.Body))
	if err != nil {
		return err
	}
	if p.field == "" {
		return p.json(object(fields), req, out)
	}
	for _, f := range fields {
		if f.name == p.field {
			return p.json([]byte(f.value), req, out)
		}
	}
	return &provider.FormError{What: "the form has no field with items"}
}

// readForm reads application/x-www-form-urlencoded in the order of the fields.
func readForm(body string) ([]pair, error) {
	if strings.Count(body, "&") >= fieldsMax {
		return nil, &jsonscan.LimitError{What: "too many fields"}
	}
	var fields []pair
	offset := 0
	for part := range strings.SplitSeq(body, "&") {
		name, value, _ := strings.Cut(part, "=")
		n, nerr := url.QueryUnescape(name)
		v, verr := url.QueryUnescape(value)
		if nerr != nil || verr != nil {
			return nil, &provider.FormError{What: "not a form", Offset: offset}
		}
		if part != "" {
			fields = append(fields, pair{n, v})
		}
		offset += len(part) + 1
	}
	if len(fields) == 0 {
		return nil, &provider.FormError{What: "an empty form"}
	}
	return fields, nil
}

// object writes fields as a JSON object in the order of their first appearance;
// a field that comes again has an array of strings.
func object(fields []pair) []byte {
	at := make(map[string]int, len(fields))
	var names []string
	var values [][]string
	for _, f := range fields {
		i, ok := at[f.name]
		if !ok {
			i = len(names)
			at[f.name] = i
			names, values = append(names, f.name), append(values, nil)
		}
		values[i] = append(values[i], f.value)
	}
	out := []byte{'{'}
	for i, name := range names {
		if i > 0 {
			out = append(out, ',')
		}
		out = append(appendString(out, name), ':')
		if len(values[i]) == 1 {
			out = appendString(out, values[i][0])
			continue
		}
		out = append(out, '[')
		for j, value := range values[i] {
			if j > 0 {
				out = append(out, ',')
			}
			out = appendString(out, value)
		}
		out = append(out, ']')
	}
	return append(out, '}')
}

// appendString writes s as a JSON string; what is no UTF-8 becomes U+FFFD.
func appendString(out []byte, s string) []byte {
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
