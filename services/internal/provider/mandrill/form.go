package mandrill

import (
	"bytes"

	"github.com/mailstream/mailstream/services/internal/provider"
)

// fieldEvents is the only field of the form.
const fieldEvents = "mandrill_events"

// events returns the content of mandrill_events in newly allocated memory.
// Other fields are noted; a second one of the name is refused, for only one of
// them would count.
func events(body []byte, out *provider.Batch) ([]byte, error) {
	var found []byte
	for rest := body; len(rest) > 0; {
		pair := rest
		if i := bytes.IndexByte(rest, '&'); i >= 0 {
			pair, rest = rest[:i], rest[i+1:]
		} else {
			rest = nil
		}
		name, value, _ := bytes.Cut(pair, []byte{'='})
		key, ok := provider.AppendUnescaped(nil, name)
		switch {
		case !ok:
			return nil, &provider.FormError{What: "a field's name is not encoded as in forms"}
		case len(pair) == 0:
			continue
		case string(key) != fieldEvents:
			out.Drift(provider.UnknownField, string(key))
			continue
		case found != nil:
			return nil, &provider.FormError{What: "mandrill_events is there twice"}
		}
		if found, ok = provider.AppendUnescaped(make([]byte, 0, len(value)), value); !ok {
			return nil, &provider.FormError{What: "mandrill_events is not encoded as in forms"}
		}
	}
	if found == nil {
		return nil, &provider.FormError{What: "no form with mandrill_events"}
	}
	return found, nil
}

// Enclose makes the form of one item of its bytes.
func (Provider) Enclose(req *provider.Request, _ provider.Envelope) {
	req.Body = provider.AppendEscaped([]byte(fieldEvents+"="), string(req.Body))
}
