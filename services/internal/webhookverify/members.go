package webhookverify

import "github.com/mailstream/mailstream/services/internal/jsontext"

// depthMax bounds the JSON that is looked into before it is proven.
const depthMax = 64

// Member is one member: its text where it is a string or a number, and its bytes.
type Member struct {
	Text string
	Raw  jsontext.Value
}

// MembersOf returns the named members of the object body, empty where they are
// missing. Of equal names the last one counts, as it does when the body is
// decoded. It is false when body is not an object. It takes no memory for what it
// skips: the body is not authenticated yet, and an index of members of five
// bytes is five times as large as they are.
func MembersOf(body []byte, names ...string) ([]Member, bool) {
	v, err := jsontext.Check(body, jsontext.Limits{Depth: depthMax})
	if err != nil || v.Kind() != jsontext.Object {
		return nil, false
	}
	return Member{Raw: v}.Within(names...), true
}

// Within returns the named members of an object that was found.
func (f Member) Within(names ...string) []Member {
	out := make([]Member, len(names))
	for m := f.Raw.Members(); m.Next(); {
		for i, name := range names {
			if m.KeyIs(name) {
				out[i].Raw = m.Value()
			}
		}
	}
	for i := range out {
		out[i].Text, _ = out[i].Raw.Text() // "" for what is not text
	}
	return out
}
