package providertest

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/mailstream/mailstream/services/internal/normalise"
	"github.com/mailstream/mailstream/services/internal/provider"
)

// Drifts returns what of a request is not as documented, each as its kind and its path
// or word, in the order in which it was met; times last.
func Drifts(batch *provider.Batch) []string {
	var out []string
	for _, d := range batch.Drifts() {
		out = append(out, string(d.Kind)+" "+d.Name)
	}
	for i := range batch.Items() {
		if it := &batch.Items()[i]; it.Fault == "" && !normalise.Believed(it) {
			out = append(out, string(provider.BadTime)+" "+batch.TimePath(it))
		}
	}
	return out
}

// others are values of all types.
var others = []string{`{"other":[7]}`, `[["other"]]`, `"other"`, `7`, `true`}

// misfits gives every value of every item in turn another type. What that makes unknown
// is noted with the path of the value or of what is in it.
func (s Suite) misfits(t *testing.T, p provider.Provider, n *normalise.Normaliser, fixtures []fixture) {
	t.Helper()
	noted := 0
	for _, f := range fixtures {
		batch, err := decode(p, n, f.request(p))
		if err != nil {
			continue
		}
		for i := range batch.Items() {
			it := &batch.Items()[i]
			if it.Fault != "" || i > 0 && sameBytes(it.Event.Raw, batch.Items()[i-1].Event.Raw) {
				continue
			}
			drift := func(raw []byte) []string {
				was := provider.Envelope{EventID: it.Event.ProviderEventID, Time: it.Event.Time}
				changed, err := decode(p, n, provider.Reopen(p, raw, was, limits))
				if err != nil {
					return nil
				}
				return Drifts(changed)
			}
			before := drift(bytes.Clone(it.Event.Raw))
			for _, v := range partsOf(t, it.Event.Raw) {
				for _, other := range others {
					changed := slices.Concat(it.Event.Raw[:v.start], []byte(other), it.Event.Raw[v.end:])
					for _, found := range drift(changed) {
						kind, path, _ := strings.Cut(found, " ")
						if kind == string(provider.UnknownEvent) || slices.Contains(before, found) {
							continue
						}
						noted++
						if rest, ok := strings.CutPrefix(path, s.Outside+v.path); slices.Contains(s.Steers, v.path) {
							continue
						} else if !ok || rest != "" && rest[0] != '.' && rest[0] != '[' {
							t.Errorf("%s: item %d with %s at %s: %s", f.name, i, other, v.path, found)
						}
					}
				}
			}
		}
	}
	if noted == 0 {
		t.Error("no value of another type is noted")
	}
}

// part is a value in an item.
type part struct {
	path       string
	start, end int
}

// partsOf returns every value in the object raw, as package json finds them.
func partsOf(t *testing.T, raw []byte) []part {
	t.Helper()
	var found []part
	d := json.NewDecoder(bytes.NewReader(raw))
	token := func() json.Token {
		token, err := d.Token()
		if err != nil {
			t.Fatalf("%v of %s", err, raw)
		}
		return token
	}
	var value func(path string)
	value = func(path string) {
		before := int(d.InputOffset())
		one := part{path: path, start: before + len(raw[before:]) - len(bytes.TrimLeft(raw[before:], " \t\r\n,:"))}
		switch token() {
		case json.Delim('{'):
			for d.More() {
				name, _ := token().(string)
				value(strings.TrimPrefix(path+"."+name, "."))
			}
			token()
		case json.Delim('['):
			for d.More() {
				value(path + "[]")
			}
			token()
		}
		one.end = int(d.InputOffset())
		found = append(found, one)
	}
	value("")
	return found[:len(found)-1] // the last one is all of it
}
