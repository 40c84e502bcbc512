package signature

import (
	"sync"

	"github.com/mailstream/mailstream/services/ingress/internal/jsonscan"
)

// depthMax bounds the JSON that is looked into before it is proven.
const depthMax = 64

// members reads single members of a JSON object that signatures are about. It
// is safe for concurrent use.
type members struct{ documents sync.Pool }

func newMembers() *members {
	return &members{documents: sync.Pool{New: func() any { return new(jsonscan.Document) }}}
}

// found is one member: its text where it is a string or a number, and its bytes.
type found struct {
	text string
	raw  jsonscan.Value
}

// read returns the named members of the object body, empty where they are
// missing. Of equal names the last one counts, as it does when the body is
// decoded. It is false when body is no object.
func (m *members) read(body []byte, names ...string) ([]found, bool) {
	doc := m.documents.Get().(*jsonscan.Document)
	defer m.documents.Put(doc)
	defer doc.Reset()
	err := doc.Parse(body, jsonscan.Limits{Depth: depthMax, Items: 1})
	if err != nil || doc.IsArray() || doc.Items()[0].Kind() != jsonscan.Object {
		return nil, false
	}
	out := make([]found, len(names))
	collect(doc.Members(0), out, names)
	return out, true
}

// within is read for an object that was found.
func (f found) within(names ...string) []found {
	out := make([]found, len(names))
	collect(f.raw.Members(), out, names)
	return out
}

func collect(m jsonscan.Members, out []found, names []string) {
	for m.Next() {
		key := m.Key()
		for i, name := range names {
			if key == name {
				text, _ := m.Value().Text()
				out[i] = found{text: text, raw: m.Value()}
			}
		}
	}
}
