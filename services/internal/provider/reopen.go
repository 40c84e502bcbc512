package provider

import (
	"net/http"
	"time"

	"github.com/mailstream/mailstream/services/internal/jsontext"
)

// Envelope is what an event keeps of the request around its item, which some providers
// say only there. It is empty for a dead letter.
type Envelope struct {
	EventID string    // Event.ProviderEventID
	Time    time.Time // Event.Time
}

// Reopen returns a request to p with one item, whose bytes are raw: what an event or
// a dead letter keeps. Other headers of the request it came with are gone.
func Reopen(p Provider, raw []byte, was Envelope, lim jsontext.Limits) *Request {
	req := &Request{Header: http.Header{}, Body: raw, Limits: lim, Item: true}
	if e, ok := p.(interface {
		Enclose(req *Request, was Envelope)
	}); ok {
		e.Enclose(req, was)
	}
	return req
}

// Form returns the form that FormObject made the object raw of; nil when raw is no
// object of texts.
func Form(raw []byte, lim jsontext.Limits) []byte {
	var doc jsontext.Document
	if doc.Parse(raw, lim) != nil || doc.IsArray() || doc.Items()[0].Kind() != jsontext.Object {
		return nil
	}
	var out []byte
	add := func(name string, v jsontext.Value) {
		text, _ := v.Text()
		if len(out) > 0 {
			out = append(out, '&')
		}
		out = AppendEscaped(append(AppendEscaped(out, name), '='), text)
	}
	for m := doc.Members(0); m.Next(); {
		name, v := m.Key(), m.Value()
		if v.Kind() != jsontext.Array {
			add(name, v)
			continue
		}
		for e := v.Elements(); e.Next(); {
			add(name, e.Value())
		}
	}
	return out
}

// AppendEscaped appends s as a form has it.
func AppendEscaped(out []byte, s string) []byte {
	const digits = "0123456789ABCDEF"
	for i := range len(s) {
		switch c := s[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '.', c == '_':
			out = append(out, c)
		default:
			out = append(out, '%', digits[c>>4], digits[c&0xf])
		}
	}
	return out
}
