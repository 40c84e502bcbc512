package mailtrap_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/mailstream/mailstream/services/internal/jsontext"
	"github.com/mailstream/mailstream/services/internal/provider"
	"github.com/mailstream/mailstream/services/internal/provider/mailtrap"
	"github.com/mailstream/mailstream/services/internal/provider/providertest"
)

func suite() providertest.Suite {
	return providertest.Suite{
		Dir: "testdata",
		Kinds: []string{
			"delivery", "soft_bounce", "bounce", "suspension", "reject", "open", "click", "unsubscribe", "spam",
			"activity_log", "inbound", "lines",
		},
		Batch:   batch,
		Largest: 500, // as Mailtrap documents
	}
}

func batch(items [][]byte) []byte {
	return append(append([]byte(`{"events":[`), bytes.Join(items, []byte(","))...), "]}"...)
}

func TestProvider(t *testing.T) {
	t.Parallel()
	providertest.Run(t, mailtrap.Provider{}, suite())
}

func FuzzProvider(f *testing.F) {
	providertest.Fuzz(f, mailtrap.Provider{}, suite(), func([]byte) (int, bool) { return 0, false })
}

func TestProvider_GivesAnEventOneIDInBothFormats(t *testing.T) {
	t.Parallel()
	second := bytes.ReplaceAll([]byte(bounce), []byte("000000000003"), []byte("000000000004"))
	want := []string{
		providertest.ID(t, mailtrap.Provider{}, []byte(bounce)),
		providertest.ID(t, mailtrap.Provider{}, batch([][]byte{second})),
	}
	if want[0] == want[1] {
		t.Error("two event ids make one id")
	}
	for _, ending := range []string{"\n", "\r\n", "\n\n"} {
		var out provider.Batch
		body := []byte(bounce + ending + string(second) + ending)
		if err := (mailtrap.Provider{}).Decode(&provider.Request{Body: body, Limits: limits}, &out); err != nil {
			t.Fatal(err)
		}
		if n := len(out.Items()); n != 2 {
			t.Fatalf("%d items of 2 lines ending in %q", n, ending)
		}
		for i, raw := range [][]byte{[]byte(bounce), second} {
			if !bytes.Equal(out.Items()[i].Event.Raw, raw) {
				t.Errorf("line %d is %s", i, out.Items()[i].Event.Raw)
			}
		}
	}
}

func TestProvider_LosesOneLineAndNotTheRest(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, body string
		faults     []provider.Fault // "" for an event; nil for none of it is taken
	}{
		{"a line cut short", bounce + "\n" + bounce[:40] + "\n" + bounce, []provider.Fault{"", provider.NotAnObject, ""}},
		{"text at the end", bounce + "\nbye\n", []provider.Fault{"", provider.NotAnObject}},
		{"no event on the first line", "hello\n" + bounce, nil},
		{"one event on many lines, and a brace too many", strings.ReplaceAll(bounce, ",", ",\n") + "\n}", nil},
	} {
		var out provider.Batch
		err := mailtrap.Provider{}.Decode(&provider.Request{Body: []byte(tt.body), Limits: limits}, &out)
		if (err == nil) != (tt.faults != nil) {
			t.Errorf("%s: error %v", tt.name, err)
		}
		if err != nil {
			continue
		}
		var got []provider.Fault
		for i := range out.Items() {
			got = append(got, out.Items()[i].Fault)
		}
		if !slices.Equal(got, tt.faults) {
			t.Errorf("%s: faults %q, want %q", tt.name, got, tt.faults)
		}
	}
}

func TestProvider_BoundsTheLines(t *testing.T) {
	t.Parallel()
	body := bytes.Repeat([]byte(bounce+"\n"), 3)
	for items, ok := range map[int]bool{3: true, 2: false} {
		var out provider.Batch
		err := mailtrap.Provider{}.Decode(&provider.Request{Body: body, Limits: jsontext.Limits{Depth: 8, Items: items}}, &out)
		if (err == nil) != ok {
			t.Errorf("3 lines where %d are allowed: %v", items, err)
		}
	}
}

var limits = jsontext.Limits{Depth: 64, Items: 10_000}

const bounce = `{"event":"bounce","message_id":"7d0c6f7e-5d4f-4c0e-9a49-3b7b0f4f0a03","sending_stream":"bulk","email":"gone@example.com","sending_domain_name":"example.org","category":"order","custom_variables":{"order":"77","vip":true},"timestamp":1772615741,"event_id":"e3a1c0de-0000-4000-8000-000000000003","response":"5.1.1 User unknown","response_code":550,"bounce_category":"badrecipient"}`

func BenchmarkDecode(b *testing.B) {
	providertest.BenchmarkBatches(b, mailtrap.Provider{}, []byte(bounce), batch)
}
