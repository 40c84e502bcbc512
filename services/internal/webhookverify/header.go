package webhookverify

import (
	"net/http"
	"strings"
)

// HeaderSignature returns the decoded signature in a header; where there is none to read the
// verdict is a refusal.
func HeaderSignature(h http.Header, name string, decode func(string) ([]byte, error)) ([]byte, Verdict) {
	values := h.Values(name)
	if len(values) == 0 || len(values) == 1 && strings.TrimSpace(values[0]) == "" {
		return nil, NoSignature
	}
	signature, err := decode(HeaderOnce(h, name))
	if err != nil || len(signature) == 0 {
		return nil, BadSignature
	}
	return signature, Genuine
}

// HeaderOnce returns the value of a header that must be there once.
func HeaderOnce(h http.Header, name string) string {
	if values := h.Values(name); len(values) == 1 {
		return strings.TrimSpace(values[0])
	}
	return ""
}

// pairsMax bounds the key=value pairs of a header that are looked at; there are
// three while a key is changed.
const pairsMax = 16

// HeaderPairs returns the values of a name in a list "t=1,v1=a, v1=b".
func HeaderPairs(header, name string) []string {
	var out []string
	n := 0
	for entry := range strings.SplitSeq(header, ",") {
		if n++; n > pairsMax {
			break
		}
		key, value, ok := strings.Cut(entry, "=")
		if ok && strings.TrimSpace(key) == name {
			out = append(out, strings.TrimSpace(value))
		}
	}
	return out
}

// HeaderPair is HeaderPairs for a name that must be there once.
func HeaderPair(header, name string) (string, bool) {
	values := HeaderPairs(header, name)
	if len(values) != 1 {
		return "", false
	}
	return values[0], true
}
