package generic

import (
	"bytes"
	"encoding/base64"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/mailstream/mailstream/services/internal/provider"
)

// specVersion is the only version of CloudEvents that is read; 0.3 has other
// rules.
const specVersion = "1.0"

// bom is the byte order mark that JSON may begin with.
var bom = []byte("\xef\xbb\xbf")

// The modes of the HTTP binding.
const (
	modeStructured = "structured"
	modeBatch      = "batch"
	modeBinary     = "binary"
)

// TakesBinary says whether events may have their attributes in headers.
func (c Config) TakesBinary() bool {
	return c.Format == formatCloudEvents && (len(c.Modes) == 0 || slices.Contains(c.Modes, modeBinary))
}

// cloudEventPlaces adds where CloudEvents has everything.
func (p *Provider) cloudEventPlaces(c Config) Config {
	if len(c.Type) == 0 {
		c.Type = OneOrMore{"/type"}
	}
	if c.Time == "" {
		c.Time = "/time"
	}
	if len(c.ID) == 0 { // source and id together are unique
		c.ID, p.ids = OneOrMore{"/source", "/id"}, 2
	}
	for name, s := range map[string]slot{
		"specversion": slotSpecVersion, "type": slotEventType, "id": slotEventID, "source": slotEventSource, "data": slotData, "data_base64": slotDataBase64,
	} {
		p.wanted.want([]string{name}, s)
	}
	return c
}

// cloudEvents takes the three modes of the HTTP binding. The content type gives
// the mode. Batch is checked first: the type of structured mode is its prefix.
func (p *Provider) cloudEvents(req *provider.Request, out *provider.Batch) error {
	contentType := strings.ToLower(req.Header.Get("Content-Type"))
	media, _, _ := strings.Cut(contentType, ";")
	media = strings.TrimSpace(media)
	mode := modeOf(media, req.Header)
	switch {
	case mode == "":
		return &provider.FormError{What: "neither the content type nor the ce- headers of CloudEvents"}
	case len(p.modes) > 0 && !slices.Contains(p.modes, mode):
		return &provider.FormError{What: "a mode of CloudEvents that this source does not take"}
	case mode == modeBatch:
		return p.structured(req, out, media == "application/cloudevents-batch+json", true)
	case mode == modeStructured:
		return p.structured(req, out, media == "application/cloudevents+json" || media == "application/cloudevents", false)
	default:
		return p.binary(req, out, media)
	}
}

func modeOf(media string, h http.Header) string {
	switch {
	case strings.HasPrefix(media, "application/cloudevents-batch"):
		return modeBatch
	case strings.HasPrefix(media, "application/cloudevents"):
		return modeStructured
	case h.Get("Ce-Specversion") != "":
		return modeBinary
	}
	return ""
}

func (p *Provider) structured(req *provider.Request, out *provider.Batch, isJSON, batch bool) error {
	if !isJSON {
		return &provider.FormError{What: "CloudEvents in another format than JSON"}
	}
	if err := p.json(req.Body, req, out); err != nil {
		return err
	}
	if out.JSON().IsArray() != batch {
		return &provider.FormError{What: "a batch of CloudEvents is an array, and a single one is none"}
	}
	return nil
}

// binary makes one structured event of headers and body, so that all modes read
// alike and raw has the attributes too.
func (p *Provider) binary(req *provider.Request, out *provider.Batch, media string) error {
	text, err := attributes(req.Header)
	if err != nil {
		return err
	}
	if media != "" {
		text = appendMember(text, "datacontenttype")
		text = provider.AppendString(text, req.Header.Get("Content-Type"))
	}
	switch body := bytes.TrimSpace(bytes.TrimPrefix(req.Body, bom)); {
	case len(req.Body) == 0:
	case media == "" || strings.HasSuffix(media, "/json") || strings.HasSuffix(media, "+json"):
		// On its own first: what is more than one value must not become attributes.
		if err := out.JSON().Parse(req.Body, req.Limits); err != nil {
			return err
		}
		text = append(appendMember(text, "data"), body...)
	case strings.HasPrefix(media, "text/") && utf8.Valid(req.Body):
		text = provider.AppendString(appendMember(text, "data"), string(req.Body))
	default:
		text = append(appendMember(text, "data_base64"), '"')
		text = append(base64.StdEncoding.AppendEncode(text, req.Body), '"')
	}
	return p.json(append(text, '}'), req, out)
}

// attributes writes the ce- headers as members of an object that is still open,
// in the order of their names.
func attributes(h http.Header) ([]byte, error) {
	var names []string
	for name := range h {
		if strings.HasPrefix(name, "Ce-") {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	text := []byte{'{'}
	for _, name := range names {
		attribute := strings.ToLower(name[len("Ce-"):])
		value, ok := headerValue(h[name])
		if !ok || !isAttribute(attribute) {
			return nil, &provider.FormError{What: "a ce- header that is not an attribute of CloudEvents"}
		}
		text = provider.AppendString(appendMember(text, attribute), value)
	}
	return text, nil
}

func appendMember(text []byte, name string) []byte {
	if text[len(text)-1] != '{' {
		text = append(text, ',')
	}
	return append(provider.AppendString(text, name), ':')
}

// isAttribute says whether name may be an attribute; data and datacontenttype
// are mapped elsewhere.
func isAttribute(name string) bool {
	if name == "" || name == "data" || name == "datacontenttype" {
		return false
	}
	for i := range len(name) {
		if c := name[i]; !(c >= 'a' && c <= 'z' || c >= '0' && c <= '9') {
			return false
		}
	}
	return true
}

// headerValue undoes quotes and one round of percent encoding.
func headerValue(values []string) (string, bool) {
	if len(values) != 1 {
		return "", false
	}
	v := values[0]
	if strings.HasPrefix(v, `"`) {
		// A quoted string is what a media type's parameter is.
		_, params, err := mime.ParseMediaType("x/x; v=" + v)
		if err != nil {
			return "", false
		}
		v = params["v"]
	}
	v, err := url.PathUnescape(v)
	return v, err == nil && utf8.ValidString(v)
}
