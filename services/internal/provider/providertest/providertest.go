// Package providertest is the suite every provider package passes: golden
// fixtures from the provider's documentation, and what must hold for all
// requests of all providers. `go test -update` rewrites the golden files; the
// review reads their diff, ids included: a changed id is a broken promise.
package providertest

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/internal/address"
	"github.com/mailstream/mailstream/services/internal/fingerprint"
	"github.com/mailstream/mailstream/services/internal/jsontext"
	"github.com/mailstream/mailstream/services/internal/normalise"
	"github.com/mailstream/mailstream/services/internal/platform/config"
	"github.com/mailstream/mailstream/services/internal/provider"
	"github.com/mailstream/mailstream/services/internal/provider/registry"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// pepper and receivedAt are fixed, so that golden files can hold ids and hashes.
const pepper = "pepper-of-the-golden-files"

var receivedAt = time.Date(2026, time.March, 4, 9, 15, 30, 0, time.UTC)

// limits are generous: the suite is about the provider, not about limits.
var limits = jsontext.Limits{Depth: 64, Items: 100_000}

// Suite is what the suite has to know about a provider.
type Suite struct {
	// Dir holds the fixtures: CASE.in.json, .in.txt or .in.form (bytes as received)
	// and CASE.want.json; provider.yaml says for all where they are from, how many
	// items a request has and its headers, CASE.meta.yaml where a case differs.
	Dir string
	// Kinds are the provider's documented words for events. Each needs a case
	// whose name starts with it.
	Kinds []string
	// Batch builds a request of the given items; nil when the provider has none.
	Batch func(items [][]byte) []byte
	// Largest is the number of items of the largest documented batch.
	Largest int
	// Inside returns the text that the items are parts of, for a provider that
	// wraps them; nil says that it is the body.
	Inside func(body []byte) []byte
	// Outside is what paths of drift begin with where an item is a member of the
	// request, such as "data.".
	Outside string
	// Steers are the paths of values by which others are read or not: with another
	// type of these, others are drift too.
	Steers []string
}

// FormObject is Inside of a provider whose items are the fields of a form: the
// object made of them, whose bytes are in the golden files. Parameters of a URL may
// begin with "?".
func FormObject(body []byte) []byte {
	fields, err := provider.ReadForm(bytes.TrimPrefix(body, []byte("?")))
	if err != nil {
		return nil
	}
	return provider.FormObject(fields)
}

// required are the cases every provider needs beside those of its kinds.
var required = []string{"unknown_event", "unknown_field", "missing_fields", "wrong_types", "no_identity", "not_this_provider"}

// outcome is CASE.want.json.
type outcome struct {
	Items []json.RawMessage `json:"items"`
	Drift []string          `json:"drift,omitempty"`
	Error string            `json:"error,omitempty"`
}

// rejected is an item in an outcome that is not an event.
type rejected struct {
	Fault string `json:"fault"`
	Raw   string `json:"raw"`
}

// Run runs the suite.
func Run(t *testing.T, p provider.Provider, s Suite) {
	t.Helper()
	fixtures := s.load(t)
	n := newNormaliser(t)
	t.Run("required cases", func(t *testing.T) { s.required(t, fixtures) })
	for _, f := range fixtures {
		t.Run("golden/"+f.name, func(t *testing.T) { s.golden(t, p, n, f) })
	}
	t.Run("answers", func(t *testing.T) { answers(t, p.Answers()) })
	t.Run("the same item has the same id in any request", func(t *testing.T) { s.sameIDs(t, p, n, fixtures) })
	t.Run("an event is made again from its bytes", func(t *testing.T) { again(t, p, n, fixtures) })
	t.Run("drift has the path of the value", func(t *testing.T) { s.misfits(t, p, n, fixtures) })
	t.Run("errors hold nothing of the body", func(t *testing.T) { silentErrors(t, p, fixtures) })
	t.Run("the largest batch", func(t *testing.T) { s.largest(t, p, n, fixtures) })
}

func newNormaliser(tb testing.TB) *normalise.Normaliser {
	tb.Helper()
	hasher, err := address.NewHasher(config.Literal(pepper))
	if err != nil {
		tb.Fatal(err)
	}
	classifier, err := registry.Classifier()
	if err != nil {
		tb.Fatal(err)
	}
	n, err := normalise.New(hasher, classifier)
	if err != nil {
		tb.Fatal(err)
	}
	return n
}

// decode takes a request along the ingress' path from decode to fingerprint.
func decode(p provider.Provider, n *normalise.Normaliser, req *provider.Request) (*provider.Batch, error) {
	var batch provider.Batch
	if err := p.Decode(req, &batch); err != nil {
		return nil, err
	}
	origin := normalise.Origin{Provider: p.Name(), Source: "golden", ReceivedAt: receivedAt}
	for i := range batch.Items() {
		it := &batch.Items()[i]
		if it.Fault == "" {
			n.Complete(it, origin)
			fingerprint.Set(it, nil)
		}
	}
	return &batch, nil
}

// Complete returns the events of a request, complete but for what only the service
// knows. An item with a fault fails the test.
func Complete(tb testing.TB, p provider.Provider, body []byte) []schemas.Event {
	tb.Helper()
	batch, err := decode(p, newNormaliser(tb), requestOf(p, body))
	if err != nil {
		tb.Fatal(err)
	}
	events := make([]schemas.Event, 0, len(batch.Items()))
	for i := range batch.Items() {
		it := &batch.Items()[i]
		if it.Fault != "" {
			tb.Fatalf("item %d: %s", i, it.Fault)
		}
		events = append(events, it.Event)
	}
	return events
}

func describe(batch *provider.Batch, err error) outcome {
	out := outcome{Items: []json.RawMessage{}}
	if err != nil {
		out.Error = err.Error()
		return out
	}
	for i := range batch.Items() {
		it := &batch.Items()[i]
		if it.Fault != "" {
			b, _ := json.Marshal(rejected{Fault: string(it.Fault), Raw: string(it.Event.Raw)}) // two strings
			out.Items = append(out.Items, b)
			continue
		}
		out.Items = append(out.Items, schemas.AppendJSON(nil, &it.Event))
	}
	out.Drift = Drifts(batch)
	return out
}

func (s Suite) golden(t *testing.T, p provider.Provider, n *normalise.Normaliser, f fixture) {
	req := f.request(p)
	body := slices.Clone(req.Body)
	batch, err := decode(p, n, req)
	if err == nil {
		if len(batch.Items()) != *f.meta.Items {
			t.Errorf("%d items came out, %d went in", len(batch.Items()), *f.meta.Items)
		}
		received := req.Body
		if s.Inside != nil {
			received = s.Inside(f.in)
		}
		for i := range batch.Items() {
			it := &batch.Items()[i]
			// A form of Mailgun's is kept as an object, without what proves it.
			if it.Fault != provider.RetiredForm && !bytes.Contains(received, it.Event.Raw) {
				t.Errorf("item %d: raw is not as received: %s", i, it.Event.Raw)
			}
			if it.Fault == "" && !slices.Contains(schemas.Types(), it.Event.Type) {
				t.Errorf("item %d: %q is not a type", i, it.Event.Type)
			}
		}
	}
	if !bytes.Equal(req.Body, body) {
		t.Error("the body was written to")
	}
	got, err := json.MarshalIndent(describe(batch, err), "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	got = append(got, '\n')
	if *update {
		if err := os.WriteFile(f.path+wantEnding, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(f.path + wantEnding)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Error(diff)
	}
}

func (s Suite) required(t *testing.T, fixtures []fixture) {
	names := append(slices.Clone(required), s.Kinds...)
	if s.Batch != nil {
		names = append(names, "batch", "empty_batch")
	}
	for _, name := range names {
		if !slices.ContainsFunc(fixtures, func(f fixture) bool { return strings.HasPrefix(f.name, name) }) {
			t.Errorf("there is no case %q", name)
		}
	}
}

func answers(t *testing.T, a provider.Answers) {
	if a.OK < 200 || a.OK > 299 {
		t.Errorf("OK is %d", a.OK)
	}
	for name, status := range map[string]int{"unauthenticated": a.Unauthenticated, "malformed": a.Malformed, "too large": a.TooLarge, "slow": a.Slow} {
		if status < 400 || status > 599 {
			t.Errorf("%s is %d", name, status)
		}
	}
	if a.Unavailable != http.StatusTooManyRequests && a.Unavailable < 500 {
		t.Errorf("unavailable is %d, want a status that is retried", a.Unavailable)
	}
}

// sameIDs sends every item alone, twice, and in a batch with all others.
func (s Suite) sameIDs(t *testing.T, p provider.Provider, n *normalise.Normaliser, fixtures []fixture) {
	ids := map[string]string{} // what keyOf says to id
	var all [][]byte           // each entry once, however many items it makes
	for _, f := range fixtures {
		for range 2 {
			batch, err := decode(p, n, f.request(p))
			if err != nil {
				continue
			}
			for i := range batch.Items() {
				ev := &batch.Items()[i].Event
				if was, ok := ids[keyOf(ev)]; ok && was != ev.ID {
					t.Errorf("%s: item %d has the id %q, then %q", f.name, i, was, ev.ID)
				} else if !ok {
					ids[keyOf(ev)] = ev.ID
					if i == 0 || !sameBytes(ev.Raw, batch.Items()[i-1].Event.Raw) {
						all = append(all, ev.Raw)
					}
				}
			}
		}
	}
	distinct := map[string]string{}
	for raw, id := range ids {
		if other, ok := distinct[id]; ok && id != "" {
			t.Errorf("two items have the id %q:\n%s\n%s", id, raw, other)
		}
		distinct[id] = raw
	}
	if s.Batch == nil {
		return
	}
	batch, err := decode(p, n, &provider.Request{Body: s.Batch(all), Limits: limits})
	if err != nil {
		t.Fatal(err)
	}
	if len(batch.Items()) != len(ids) {
		t.Fatalf("%d items went in, %d came out", len(ids), len(batch.Items()))
	}
	for i := range batch.Items() {
		if ev := &batch.Items()[i].Event; ev.ID != ids[keyOf(ev)] {
			t.Errorf("in a batch the id is %q, alone %q: %s", ev.ID, ids[keyOf(ev)], ev.Raw)
		}
	}
}

// sameBytes says that two items were made of one entry.
func sameBytes(a, b []byte) bool { return len(a) > 0 && len(b) > 0 && &a[0] == &b[0] }

// keyOf is the identity of an item: one entry about two recipients or two lists
// is two items.
func keyOf(ev *schemas.Event) string {
	return strings.Join([]string{ev.Recipient, ev.ListID, string(ev.Raw)}, "\x00")
}

// silentErrors cuts every body at every byte.
func silentErrors(t *testing.T, p provider.Provider, fixtures []fixture) {
	for _, f := range fixtures {
		for end := range f.in {
			req := f.request(p)
			cut := requestOf(p, slices.Clone(f.in[:end]))
			req.Query, req.Body = cut.Query, cut.Body
			var batch provider.Batch
			err := p.Decode(req, &batch)
			if err == nil {
				continue
			}
			text := strings.ToLower(err.Error())
			if strings.Contains(text, "@") || strings.Contains(text, "example") || len(text) > 100 {
				t.Fatalf("%s cut at %d: the error says too much: %s", f.name, end, text)
			}
			_, syntax := errors.AsType[*jsontext.SyntaxError](err)
			_, limit := errors.AsType[*jsontext.LimitError](err)
			_, form := errors.AsType[*provider.FormError](err)
			if !syntax && !limit && !form {
				t.Fatalf("%s cut at %d: %T is not a documented error", f.name, end, err)
			}
		}
	}
}

func (s Suite) largest(t *testing.T, p provider.Provider, n *normalise.Normaliser, fixtures []fixture) {
	if s.Batch == nil {
		return
	}
	entries := make([][]byte, 0, s.Largest)
	makes := make([]int, 0, s.Largest) // items of each entry
	for len(entries) < s.Largest {
		for _, f := range fixtures {
			batch, err := decode(p, n, f.request(p))
			if err != nil {
				continue
			}
			for i := range batch.Items() {
				raw := batch.Items()[i].Event.Raw
				if i > 0 && sameBytes(raw, batch.Items()[i-1].Event.Raw) {
					makes[len(makes)-1]++
					continue
				}
				entries, makes = append(entries, raw), append(makes, 1)
			}
		}
	}
	want := 0
	for _, made := range makes[:s.Largest] {
		want += made
	}
	batch, err := decode(p, n, &provider.Request{Body: s.Batch(entries[:s.Largest]), Limits: limits})
	if err != nil {
		t.Fatal(err)
	}
	if len(batch.Items()) != want {
		t.Errorf("%d of %d items came out", len(batch.Items()), want)
	}
}

// again asks of every event of the fixtures that its bytes alone make the same one.
func again(t *testing.T, p provider.Provider, n *normalise.Normaliser, fixtures []fixture) {
	t.Helper()
	for _, f := range fixtures {
		batch, err := decode(p, n, f.request(p))
		if err != nil {
			continue
		}
		for i := range batch.Items() {
			it := &batch.Items()[i]
			if it.Fault != "" {
				continue
			}
			second, err := decode(p, n, provider.Reopen(p, bytes.Clone(it.Event.Raw), provider.Envelope{EventID: it.Event.ProviderEventID, Time: it.Event.Time}, limits))
			if err != nil {
				t.Errorf("%s: item %d: %v", f.name, i, err)
				continue
			}
			found := slices.IndexFunc(second.Items(), func(other provider.Item) bool { return other.Event.ID == it.Event.ID })
			if found < 0 {
				t.Errorf("%s: item %d: its bytes make another event", f.name, i)
				continue
			}
			first, other := schemas.AppendJSON(nil, &it.Event), schemas.AppendJSON(nil, &second.Items()[found].Event)
			if diff := cmp.Diff(string(first), string(other)); diff != "" {
				t.Errorf("%s: item %d differs (-first +again):\n%s", f.name, i, diff)
			}
		}
	}
}
