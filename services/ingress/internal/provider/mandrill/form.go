package mandrill

import (
	"bytes"

	"github.com/mailstream/mailstream/services/ingress/internal/provider"
)

// fieldEvents is the only field of the form.
const fieldEvents = "mandrill_events"

// events returns the content of mandrill_events in memory of its own. Other
// fields are noted; a second one of the name is refused, for only one of them
// would count.
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
		key, ok := unescape(name)
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
		if found, ok = unescape(value); !ok {
			return nil, &provider.FormError{What: "mandrill_events is not encoded as in forms"}
		}
	}
	if found == nil {
		return nil, &provider.FormError{What: "no form with mandrill_events"}
	}
	return found, nil
}

// unescape decodes application/x-www-form-urlencoded text; never nil when ok.
func unescape(in []byte) (out []byte, ok bool) {
	out = make([]byte, 0, len(in))
	for i := 0; i < len(in); i++ {
		switch c := in[i]; c {
		case '+':
			out = append(out, ' ')
		case '%':
			if i+2 >= len(in) {
				return nil, false
			}
			high, low := hexOf(in[i+1]), hexOf(in[i+2])
			if high < 0 || low < 0 {
				return nil, false
			}
			out = append(out, byte(high<<4|low))
			i += 2
		default:
			out = append(out, c)
		}
	}
	return out, true
}

func hexOf(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c|0x20 >= 'a' && c|0x20 <= 'f':
		return int(c|0x20-'a') + 10
	default:
		return -1
	}
}
