package provider

import (
	"bytes"
	"io"
	"mime"
	"mime/multipart"
	"unicode/utf8"
	"unsafe"

	"github.com/mailstream/mailstream/services/internal/jsontext"
)

// formFieldsMax bounds the fields of one form: the largest documented has some
// dozens, and custom fields come on top.
const formFieldsMax = 1000

// Field is one field of a form as it was sent.
type Field struct{ Name, Value string }

// ReadForm reads application/x-www-form-urlencoded in the order of the fields,
// into newly allocated memory. The error is a *jsontext.LimitError or a
// *FormError.
func ReadForm(body []byte) ([]Field, error) {
	parts := bytes.Count(body, []byte{'&'}) + 1
	if parts > formFieldsMax {
		return nil, &jsontext.LimitError{Limit: jsontext.Fields}
	}
	fields := make([]Field, 0, parts)
	text := make([]byte, 0, len(body)) // of all fields: decoding makes nothing longer
	for offset := 0; offset <= len(body); {
		part := body[offset:]
		if end := bytes.IndexByte(part, '&'); end >= 0 {
			part = part[:end]
		}
		name, value, _ := bytes.Cut(part, []byte{'='})
		var nameOK, valueOK bool
		start := len(text)
		text, nameOK = AppendUnescaped(text, name)
		middle := len(text)
		text, valueOK = AppendUnescaped(text, value)
		if !nameOK || !valueOK {
			return nil, &FormError{What: "not a form", Offset: offset}
		}
		if len(part) > 0 {
			fields = append(fields, Field{view(text[start:middle]), view(text[middle:])})
		}
		offset += len(part) + 1
	}
	if len(fields) == 0 {
		return nil, &FormError{What: "an empty form"}
	}
	return fields, nil
}

// Parameters returns the parameters of the URL and behind them the fields of a form in
// the body, as one form; empty for a request with neither. It is false for a body of
// JSON, whatever its type.
func (r *Request) Parameters() (form []byte, ok bool) {
	body := bytes.TrimSpace(bytes.TrimPrefix(r.Body, []byte("\xef\xbb\xbf")))
	if len(body) > 0 && (body[0] == '{' || body[0] == '[') {
		return nil, false
	}
	form = []byte(r.Query)
	if len(form) > 0 && len(body) > 0 {
		form = append(form, '&')
	}
	return append(form, body...), true
}

// multipartPartBytesMax bounds one part of a form in parts; what is longer is cut.
const multipartPartBytesMax = 64 << 10

// FormIn reads body as the form that contentType says it is: urlencoded, or
// multipart/form-data (RFC 7578), of which files are left out. It is false for
// anything else, for a form that cannot be read, and for a JSON object whatever its
// type: many clients send that content type by default.
func FormIn(contentType string, body []byte) ([]Field, bool) {
	media, params, err := mime.ParseMediaType(contentType)
	switch {
	case err != nil || bytes.HasPrefix(bytes.TrimLeft(body, " \t\r\n"), []byte{'{'}):
		return nil, false
	case media == "application/x-www-form-urlencoded":
		fields, err := ReadForm(body)
		return fields, err == nil
	case media != "multipart/form-data":
		return nil, false
	}
	var fields []Field
	parts := multipart.NewReader(bytes.NewReader(body), params["boundary"])
	for len(fields) < formFieldsMax {
		part, err := parts.NextPart()
		if err != nil { // the end, or what is behind it
			break
		}
		if part.FileName() != "" {
			continue
		}
		value, err := io.ReadAll(io.LimitReader(part, multipartPartBytesMax))
		if err != nil {
			break
		}
		fields = append(fields, Field{part.FormName(), string(value)})
	}
	return fields, len(fields) > 0
}

// view returns b as a string without a copy: b is not written to any more.
func view(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// hexDigits has the value of every hexadecimal digit, and more than 15 for
// everything else.
var hexDigits = func() (table [256]byte) {
	for c := range table {
		table[c] = 0xff
	}
	for i, c := range []byte("0123456789abcdef") {
		table[c], table[bytes.ToUpper([]byte{c})[0]] = byte(i), byte(i)
	}
	return table
}()

// AppendUnescaped appends what in means in application/x-www-form-urlencoded; ok
// is false where a % is not followed by two hexadecimal digits.
func AppendUnescaped(out, in []byte) (_ []byte, ok bool) {
	for i := 0; i < len(in); i++ {
		c := in[i]
		switch c {
		case '+':
			c = ' '
		case '%':
			if i+2 >= len(in) {
				return out, false
			}
			high, low := hexDigits[in[i+1]], hexDigits[in[i+2]]
			if high|low > 0xf {
				return out, false
			}
			c = high<<4 | low
			i += 2
		}
		out = append(out, c)
	}
	return out, true
}

// searchMax is up to how many fields looking at each is quicker than a map.
const searchMax = 32

// FormObject writes fields as a JSON object in the order of their first appearance;
// a repeated field has an array of strings.
func FormObject(fields []Field) []byte {
	next, again := repeats(fields)
	size := len("{}")
	for _, f := range fields {
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

// repeats returns for each field the index of the next field with its name, 0
// for none, and whether an earlier one has it.
func repeats(fields []Field) (next []int, again []bool) {
	next, again = make([]int, len(fields)), make([]bool, len(fields))
	if len(fields) <= searchMax {
		for i := range fields {
			for j := i - 1; j >= 0; j-- {
				if fields[j].Name == fields[i].Name {
					next[j], again[i] = i, true
					break
				}
			}
		}
		return next, again
	}
	last := make(map[string]int, len(fields)) // where a name was seen last
	for i, f := range fields {
		if before, ok := last[f.Name]; ok {
			next[before], again[i] = i, true
		}
		last[f.Name] = i
	}
	return next, again
}

// AppendString writes s as a JSON string; what is not UTF-8 becomes U+FFFD.
func AppendString(out []byte, s string) []byte {
	const hex = "0123456789abcdef"
	out = append(out, '"')
	plain := 0 // from here on no byte needs an escape
	for i := 0; i < len(s); {
		c := s[i]
		if c >= ' ' && c < utf8.RuneSelf && c != '"' && c != '\\' {
			i++
			continue
		}
		size := 1
		if c >= utf8.RuneSelf {
			var r rune
			if r, size = utf8.DecodeRuneInString(s[i:]); r != utf8.RuneError || size > 1 {
				i += size
				continue
			}
		}
		out = append(out, s[plain:i]...)
		switch {
		case c >= utf8.RuneSelf:
			out = utf8.AppendRune(out, utf8.RuneError)
		case c < ' ':
			out = append(out, '\\', 'u', '0', '0', hex[c>>4], hex[c&0xf])
		default:
			out = append(out, '\\', c)
		}
		i += size
		plain = i
	}
	return append(append(out, s[plain:]...), '"')
}
