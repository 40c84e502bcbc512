package generic_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
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
	"github.com/mailstream/mailstream/services/internal/provider/generic"
	"github.com/mailstream/mailstream/services/internal/provider/providertest"
	"github.com/mailstream/mailstream/services/internal/provider/registry"
)

// inHouse is a sender that posts JSON.
const inHouse = `
type: /event
types:
  mail.delivered: delivered
  mail.bounced: bounced/hard
  mail.soft: bounced/soft
  mail.clicked: clicked
  order.created: other
id: /id
time: /at
time_unit: ms
recipient: /to/0/email
message_id: /message/id
reason: /reply
url: /a~0b/c~1d
ip: /client/ip
user_agent: /client/agent
country: /client/country
`

func parse(tb testing.TB, text string) *generic.Provider {
	tb.Helper()
	var c generic.Config
	if err := config.Decode("generic", []byte(text), &c); err != nil {
		tb.Fatal(err)
	}
	return build(tb, c)
}

func build(tb testing.TB, c generic.Config) *generic.Provider {
	tb.Helper()
	var faults config.Problems
	p := generic.New(c, "golden", &faults)
	if err := faults.Err(); err != nil {
		tb.Fatal(err)
	}
	return p
}

func suite() providertest.Suite {
	return providertest.Suite{
		Dir:     "testdata/json",
		Kinds:   []string{"mail.delivered", "mail.bounced", "mail.soft", "mail.clicked", "order.created"},
		Batch:   batch,
		Largest: 1000, // the largest of any provider
	}
}

func batch(items [][]byte) []byte {
	return append(append([]byte{'['}, bytes.Join(items, []byte(","))...), ']')
}

func TestProvider(t *testing.T) {
	t.Parallel()
	providertest.Run(t, parse(t, inHouse), suite())
}

func FuzzProvider(f *testing.F) {
	providertest.Fuzz(f, parse(f, inHouse), suite(), providertest.CountJSON)
}

// mode is testdata/modes/CASE.yaml.
type mode struct {
	Source  string            `yaml:"source"`
	Config  generic.Config    `yaml:"config"`
	Headers map[string]string `yaml:"headers"`
	Query   string            `yaml:"query"`
	Body    string            `yaml:"body"`
	Items   int               `yaml:"items"`
}

func modes(tb testing.TB) map[string]mode {
	tb.Helper()
	paths, err := filepath.Glob("testdata/modes/*.yaml")
	if err != nil || len(paths) == 0 {
		tb.Fatalf("%d modes, %v", len(paths), err)
	}
	out := map[string]mode{}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			tb.Fatal(err)
		}
		var m mode
		if err := config.Decode(path, text, &m); err != nil || m.Source == "" {
			tb.Fatalf("%s: source %q, %v", path, m.Source, err)
		}
		out[strings.TrimSuffix(path, ".yaml")] = m
	}
	return out
}

func (m mode) request() *provider.Request {
	req := &provider.Request{Header: http.Header{}, Query: m.Query, Body: []byte(m.Body), Limits: jsontext.Limits{Depth: 64, Items: 10_000}}
	for k, v := range m.Headers {
		req.Header.Set(k, v)
	}
	return req
}

// outcome is CASE.want.json.
type outcome struct {
	Items []json.RawMessage `json:"items"`
	Drift []string          `json:"drift,omitempty"`
	Error string            `json:"error,omitempty"`
}

func normaliser(tb testing.TB) *normalise.Normaliser {
	tb.Helper()
	hasher, err := address.NewHasher(config.Literal("pepper-of-the-golden-files"))
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

var receivedAt = time.Date(2026, time.March, 4, 9, 15, 40, 0, time.UTC)

// decode takes a request along the ingress' path from decode to fingerprint.
func decode(p *generic.Provider, n *normalise.Normaliser, req *provider.Request) (*provider.Batch, error) {
	var b provider.Batch
	if err := p.Decode(req, &b); err != nil {
		return nil, err
	}
	for i := range b.Items() {
		if it := &b.Items()[i]; it.Fault == "" {
			n.Complete(it, normalise.Origin{Provider: generic.Name, Source: "golden", ReceivedAt: receivedAt})
			fingerprint.Set(it, nil)
		}
	}
	return &b, nil
}

func describe(b *provider.Batch, err error) outcome {
	out := outcome{Items: []json.RawMessage{}}
	if err != nil {
		out.Error = err.Error()
		return out
	}
	for i := range b.Items() {
		it := &b.Items()[i]
		text := schemas.AppendJSON(nil, &it.Event)
		if it.Fault != "" {
			text, _ = json.Marshal(map[string]string{"fault": string(it.Fault), "raw": string(it.Event.Raw)}) // two strings
		}
		out.Items = append(out.Items, text)
	}
	out.Drift = providertest.Drifts(b)
	return out
}

func TestModes(t *testing.T) {
	t.Parallel()
	n := normaliser(t)
	for path, m := range modes(t) {
		t.Run(filepath.Base(path), func(t *testing.T) {
			t.Parallel()
			b, err := decode(build(t, m.Config), n, m.request())
			if err == nil && len(b.Items()) != m.Items {
				t.Errorf("%d items came out, %d went in", len(b.Items()), m.Items)
			}
			got, jerr := json.MarshalIndent(describe(b, err), "", "  ")
			if jerr != nil {
				t.Fatal(jerr)
			}
			got = append(got, '\n')
			if flag.Lookup("update").Value.String() == "true" {
				if err := os.WriteFile(path+".want.json", got, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path + ".want.json")
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), string(got)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestModes_OneEventHasOneIDInAllCloudEventsModes(t *testing.T) {
	t.Parallel()
	p, n := parse(t, "{format: cloudevents, otherwise: 'webhook:x'}"), normaliser(t)
	const event = `{"specversion":"1.0","id":"e","source":"/s","type":"t","time":"2026-03-04T09:15:30Z","data":{"n":1}}`
	ids := map[string]bool{}
	for _, m := range []mode{
		{Body: event, Headers: map[string]string{"Content-Type": "application/cloudevents+json"}},
		{Body: "[" + event + "]", Headers: map[string]string{"Content-Type": "application/CloudEvents-Batch+JSON; charset=utf-8"}},
		{Body: `{"n":1}`, Headers: map[string]string{"Content-Type": "application/json", "CE-SpecVersion": "1.0", "ce-id": "e", "ce-source": "/s", "ce-type": "t", "ce-time": "2026-03-04T09:15:30Z"}},
	} {
		b, err := decode(p, n, m.request())
		if err != nil || len(b.Items()) != 1 || b.Items()[0].Fault != "" {
			t.Fatalf("%v, %+v", err, b)
		}
		ids[b.Items()[0].Event.ID] = true
	}
	if len(ids) != 1 {
		t.Errorf("ids %v", ids)
	}
}

func TestNew_NamesTheFaultWithItsPointer(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, text, want string }{
		{"no type", `{}`, "type: is missing"},
		{"no pointer", `{type: data/type}`, `type: "data/type" is neither a JSON pointer`},
		{"bad escape", `{type: /type, recipient: /a~2b}`, `recipient: "/a~2b" has a '~'`},
		{"bad pointer in a list", `{type: /type, id: [/id, id]}`, `id[1]: "id" is neither`},
		{"deep", `{type: "` + strings.Repeat("/a", 17) + `"}`, "is deeper than 16"},
		{"header", `{type: "header:"}`, `type: "header:" does not name a header`},
		{"header with a space", `{type: "header:X Y"}`, "does not name a header"},
		{"items", `{type: /type, items: events}`, `items: "events" is neither`},
		{"items of a form", `{type: /type, format: form, items: /events}`, "items: is for format json, or for form with field"},
		{"field of JSON", `{type: /type, field: payload}`, "field: is for format form only"},
		{"format", `{type: /type, format: xml}`, `format: "xml" is not one of`},
		{"origins", `{type: /type, origins: ["*"]}`, "origins: is for format cloudevents only"},
		{"unit", `{type: /type, time_unit: h}`, `time_unit: "h" is not one of`},
		{"too many ids", `{type: /type, id: [/1, /2, /3, /4, /5, /6, /7]}`, "id: 7 places, want at most 6"},
		{"target", `{type: /type, types: {a: lost}}`, `types.a: "lost" is not one of`},
		{"soft delivery", `{type: /type, types: {a: delivered/soft}}`, `types.a: "delivered/soft" is not one of`},
		{"too many words", `{type: [/1, /2, /3, /4]}`, "type: 4 places, want at most 3"},
		{"bad pointer for a word", `{type: [/type, type]}`, `type[1]: "type" is neither`},
		{"words that differ by case", `{type: /type, types: {Sent: delivered, sent: delivered}}`, `types.sent: differs from "Sent" by its case only`},
		{"field of a query", `{type: /type, format: query, field: payload}`, "field: is for format form only"},
		{"items of a query", `{type: /type, format: query, items: /a}`, "items: is for format json, or for form with field"},
		{"layout without a day", `{type: /type, time_unit: "2006 15:04"}`, `time_unit: "2006 15:04" is not one of`},
		{"one bad unit of two", `{type: /type, time_unit: [s, 12h]}`, `time_unit: "12h" is not one of`},
		{"too many units", `{type: /type, time_unit: [s, s, s, s, s, s, s, s, s]}`, "time_unit: 9 of them, want at most 8"},
		{"classes without a place", `{type: /type, classes: {full: mailbox_full}}`, "classes: needs class"},
		{"class", `{type: /type, class: /c, classes: {full: quota}}`, `classes.full: "quota" is not one of`},
		{"metadata", `{type: /type, metadata: {order: order}}`, `metadata.order: "order" is neither`},
		{"modes of JSON", `{type: /type, modes: [binary]}`, "modes: is for format cloudevents only"},
		{"mode", `{format: cloudevents, modes: [xml]}`, `modes: "xml" is not one of`},
		{"webhook name", `{type: /type, types: {a: "webhook:A.B"}}`, `types.a: "webhook:A.B": a name is`},
		{"otherwise", `{type: /type, otherwise: lost}`, `otherwise: "lost" is not one of`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var c generic.Config
			if err := config.Decode("generic", []byte(tt.text), &c); err != nil {
				t.Fatal(err)
			}
			var faults config.Problems
			if p := generic.New(c, "golden", &faults); p != nil {
				t.Error("there is a provider")
			}
			if got := fmt.Sprint(faults.Err()); !strings.Contains(got, tt.want) {
				t.Errorf("faults %s, want %q", got, tt.want)
			}
		})
	}
	many := generic.Config{Type: generic.OneOrMore{"/type"}, Types: map[string]string{}}
	for i := range 65 {
		many.Types[strconv.Itoa(i)] = "webhook:n" + strconv.Itoa(i)
	}
	var faults config.Problems
	if p := generic.New(many, "golden", &faults); p != nil || !strings.Contains(fmt.Sprint(faults.Err()), "want at most 64") {
		t.Errorf("faults %v", faults.Err())
	}
	if n := len(many.Webhooks()); n != 65 {
		t.Errorf("%d webhooks", n)
	}
}

func TestTimes_AreReadInTheirUnit(t *testing.T) {
	t.Parallel()
	want := time.Date(2026, time.March, 4, 9, 15, 30, 123e6, time.UTC)
	for _, tt := range []struct {
		unit, json string
		want       time.Time
	}{
		{"rfc3339", `"2026-03-04T09:15:30.123999Z"`, want},
		{"rfc3339", `"2026-03-04T11:15:30.123+02:00"`, want},
		{"rfc3339", `1772615730`, time.Time{}},
		{"datetime", `"2026-03-04 09:15:30"`, want.Truncate(time.Second)},
		{"s", `1772615730.123`, want},
		{"s", `"1772615730"`, want.Truncate(time.Second)},
		{"s", `"\""`, time.Time{}},
		{"s", `-1`, time.Time{}},
		{"ms", `1772615730123`, want},
		{"ms", `"1772615730123.9"`, want},
		{"us", `1772615730123456`, want},
		{"ns", `1772615730123456789`, want},
		{"ms", `9223372036854775807`, time.Time{}},
		{"ms", `99999999999999999999`, time.Time{}},
		{"ms", `{}`, time.Time{}},
		{`"1/2/2006 3:04:05 PM"`, `"3/4/2026 9:15:30 AM"`, want.Truncate(time.Second)},
		{`"1/2/2006 3:04:05 PM"`, `"3/4/2026 9:15:30 PM"`, want.Truncate(time.Second).Add(12 * time.Hour)},
		{`"02/01/2006 15:04:05 -0700"`, `"04/03/2026 10:15:30 +0100"`, want.Truncate(time.Second)},
		{`"1/2/2006 3:04:05 PM"`, `"2026-03-04 09:15:30"`, time.Time{}},
		{`"Mon, 02 Jan 2006 15:04:05 MST"`, `"Wed, 04 Mar 2026 09:15:30 GMT"`, want.Truncate(time.Second)},
		{`"2006-01-02 15:04:05 MST"`, `"2026-03-04 09:15:30 UTC"`, want.Truncate(time.Second)},
		{`"2006-01-02 15:04:05 MST"`, `"2026-03-04 01:15:30 PST"`, time.Time{}},
		{`"2006-01-02 15:04:05 -0700 MST"`, `"2026-03-04 01:15:30 -0800 PST"`, want.Truncate(time.Second)},
		{`"2006-01-02 15:04:05 -0700 MST"`, `"2026-03-04 09:15:30 +0000 WET"`, want.Truncate(time.Second)},
		{`["1/2/2006 3:04:05 PM", datetime, s]`, `"2026-03-04 09:15:30"`, want.Truncate(time.Second)},
		{`["1/2/2006 3:04:05 PM", datetime, s]`, `"1772615730"`, want.Truncate(time.Second)},
	} {
		p := parse(t, "{type: /t, time: /at, time_unit: "+tt.unit+", otherwise: other}")
		var b provider.Batch
		req := &provider.Request{Body: []byte(`{"t":"x","at":` + tt.json + `}`), Limits: jsontext.Limits{Depth: 64, Items: 1}}
		if err := p.Decode(req, &b); err != nil {
			t.Fatal(err)
		}
		if got := b.Items()[0].Event.Time; !got.Equal(tt.want) {
			t.Errorf("%s %s: %s, want %s", tt.unit, tt.json, got, tt.want)
		}
	}
}

func TestMachine_IsABooleanOrNothing(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, place, json, header string }{
		{"yes", "/robot", `"1"`, ""},
		{"yes in a header", "header:X-Robot", `0`, "true"},
		{"a quote", "/robot", `"\""`, ""},
		{"a quote and a backslash", "/robot", `"\"\\x"`, ""},
		{"a quote in a header", "header:X-Robot", `0`, `"`},
	} {
		p := parse(t, "{type: /t, otherwise: other, machine: '"+tt.place+"'}")
		var b provider.Batch
		req := &provider.Request{
			Header: http.Header{"X-Robot": {tt.header}}, Body: []byte(`{"t":"x","robot":` + tt.json + `}`), Limits: jsontext.Limits{Depth: 64, Items: 1},
		}
		if err := p.Decode(req, &b); err != nil {
			t.Fatal(err)
		}
		want := strings.HasPrefix(tt.name, "yes")
		if got := b.Items()[0].Event.Machine; (got != nil) != want || want && !*got {
			t.Errorf("%s: %v", tt.name, got)
		}
	}
}

func TestConsents_OnlyToItsOrigins(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, asked string
		origins     []string
		want        bool
	}{
		{"listed", "EventGrid.example.net", []string{"eventgrid.example.net"}, true},
		{"everybody", "a.example", []string{"*"}, true},
		{"another", "evil.example", []string{"eventgrid.example.net"}, false},
		{"none", "a.example", nil, false},
		{"not asked", "", []string{"*"}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			h := http.Header{}
			if tt.asked != "" {
				h.Set("WebHook-Request-Origin", tt.asked)
			}
			if got, ok := generic.Consents(tt.origins, h); ok != tt.want || ok && got != tt.asked {
				t.Errorf("%q, %v", got, ok)
			}
		})
	}
}

// FuzzModes feeds every mode with anything: no panic, and every item is an event
// that is a valid record or a fault with bytes.
func FuzzModes(f *testing.F) {
	var list []mode
	for _, m := range modes(f) {
		list = append(list, m)
	}
	n := normaliser(f)
	for i, m := range list {
		f.Add(uint8(i), m.Query, m.Body, m.Headers["ce-subject"], m.Headers["Content-Type"])
	}
	f.Fuzz(func(t *testing.T, which uint8, query, body, subject, contentType string) {
		m := list[int(which)%len(list)]
		req := m.request()
		req.Query, req.Body = query, []byte(body)
		req.Header["Ce-Subject"], req.Header["Content-Type"] = []string{subject}, []string{contentType}
		b, err := decode(build(t, m.Config), n, req)
		if err != nil {
			return
		}
		for i := range b.Items() {
			it := &b.Items()[i]
			if it.Fault != "" {
				continue
			}
			record := schemas.AppendJSON(nil, &it.Event)
			if !json.Valid(record) {
				t.Fatalf("no valid record: %q", record)
			}
			if _, err := schemas.Decode(record); err != nil {
				t.Fatal(err)
			}
		}
	})
}

const delivered = `{"id":"evt-1","event":"mail.delivered","at":1772615730123,"message":{"id":"m-77","subject":"Invoice 7781","headers":[{"name":"X-Order","value":"7781"}]},"to":[{"email":"ana@example.com","name":"Ana Lima"}],"reply":"250 2.0.0 OK 1767225600 a1b2c3 - mx.example.com","tenant":"t-9","tags":["invoice","eu"],"metadata":{"order":"7781","campaign":"spring-2026"}}`

func BenchmarkDecode(b *testing.B) {
	providertest.BenchmarkBatches(b, parse(b, inHouse), []byte(delivered), batch)
}
