package providertest

import (
	"bytes"
	"encoding/json"
	"testing"
	"unicode/utf8"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/internal/provider"
)

// Fuzz seeds from all fixtures and holds a provider to: no panic, no item lost,
// every event a valid record with the id it had the first time, and nothing of
// the body written to. count returns how many entries a body has, false when it
// does not know.
func Fuzz(f *testing.F, p provider.Provider, s Suite, count func(body []byte) (int, bool)) {
	f.Helper()
	fixtures := s.load(f)
	for _, fx := range fixtures {
		f.Add(fx.in)
	}
	n := newNormaliser(f)
	f.Fuzz(func(t *testing.T, body []byte) {
		before := bytes.Clone(body)
		batch, err := decode(p, n, requestOf(p, body))
		if !bytes.Equal(before, body) {
			t.Fatal("the body was written to")
		}
		if err != nil {
			return
		}
		if want, ok := count(body); ok && want != len(batch.Items()) {
			t.Fatalf("%d entries went in, %d items came out", want, len(batch.Items()))
		}
		again, err := decode(p, n, requestOf(p, before))
		if err != nil {
			t.Fatalf("the second time: %v", err)
		}
		for i := range batch.Items() {
			it := &batch.Items()[i]
			if it.Fault != "" {
				continue
			}
			if it.Event.ID != again.Items()[i].Event.ID {
				t.Fatalf("item %d has two ids", i)
			}
			record := schemas.AppendJSON(nil, &it.Event)
			if !json.Valid(record) || !utf8.Valid(record) {
				t.Fatalf("item %d is not a valid record: %q", i, record)
			}
			if _, err := schemas.Decode(record); err != nil {
				t.Fatalf("item %d: %v", i, err)
			}
		}
	})
}

// CountJSON counts the entries of a request that is one object or an array.
func CountJSON(body []byte) (int, bool) {
	body = bytes.TrimPrefix(body, []byte("\xef\xbb\xbf"))
	var list []json.RawMessage
	if json.Unmarshal(body, &list) == nil && bytes.HasPrefix(bytes.TrimLeft(body, " \t\r\n"), []byte("[")) {
		return len(list), true
	}
	return 1, json.Valid(body)
}
