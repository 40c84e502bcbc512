package brevo_test

import (
	"bytes"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/mailstream/mailstream/services/internal/jsontext"
	"github.com/mailstream/mailstream/services/internal/provider"
	"github.com/mailstream/mailstream/services/internal/provider/brevo"
	"github.com/mailstream/mailstream/services/internal/provider/providertest"
)

func suite() providertest.Suite {
	return providertest.Suite{
		Dir: "testdata",
		Kinds: []string{
			"request", "delivered", "deferred", "soft_bounce", "hard_bounce", "blocked", "invalid_email", "error",
			"spam", "complaint", "opened", "unique_opened", "proxy_open", "unique_proxy_open", "click", "unsubscribed",
			"unsubscribe", "list_addition", "contact_updated", "contact_deleted",
		},
		Batch:   batch,
		Largest: 500,
		Steers:  []string{"ts"}, // read where the finer time beside it is not
	}
}

func batch(items [][]byte) []byte {
	return append(append([]byte{'['}, bytes.Join(items, []byte(","))...), ']')
}

func TestProvider(t *testing.T) {
	t.Parallel()
	providertest.Run(t, brevo.Provider{}, suite())
}

func FuzzProvider(f *testing.F) {
	providertest.Fuzz(f, brevo.Provider{}, suite(), func(body []byte) (int, bool) {
		if bytes.ContainsAny(body, `\`) || bytes.Contains(body, []byte(`"events"`)) || bytes.Contains(body, []byte(`"list_id"`)) {
			return 0, false // the list in it counts
		}
		return providertest.CountJSON(body)
	})
}

func TestProvider_GivesAnEventTheSameIDInEveryForm(t *testing.T) {
	t.Parallel()
	want := providertest.ID(t, brevo.Provider{}, []byte(click))
	for _, body := range []string{"[" + click + "]", `{"events":[` + click + `]}`} {
		if id := providertest.ID(t, brevo.Provider{}, []byte(body)); id != want {
			t.Errorf("id %s, want %s: %s", id, want, body)
		}
	}
	for old, changed := range map[string]string{"/o/77": "/o/78", "660250": "660251", "ana@": "bo@"} {
		other := strings.Replace(click, old, changed, 1)
		if id := providertest.ID(t, brevo.Provider{}, []byte(other)); id == want || other == click {
			t.Errorf("another event has the same id: %s", other)
		}
	}
}

func TestProvider_HoldsTheLimitOfItemsInEvents(t *testing.T) {
	t.Parallel()
	body := []byte(`{"events":[` + click + `,` + click + `,` + click + `]}`)
	err := brevo.Provider{}.Decode(&provider.Request{Body: body, Limits: jsontext.Limits{Depth: 64, Items: 2}}, new(provider.Batch))
	if _, ok := errors.AsType[*jsontext.LimitError](err); !ok {
		t.Errorf("three items where two are allowed: %v", err)
	}
}

func TestProvider_MakesAnEventOfEachList(t *testing.T) {
	t.Parallel()
	decode := func(event, lists string) []provider.Item {
		out := new(provider.Batch)
		body := `[{"email":"ana@example.com","event":"` + event + `","list_id":[` + lists + `],"ts_event":1772618700}]`
		if err := (brevo.Provider{}).Decode(&provider.Request{Body: []byte(body), Limits: jsontext.Limits{Depth: 64, Items: 101}}, out); err != nil {
			t.Fatal(err)
		}
		return out.Items()
	}
	for _, event := range []string{"unsubscribe", "unsubscribed", "list_addition"} {
		items := decode(event, "3,null,7")
		if len(items) != 2 || items[0].Event.ListID != "3" || items[1].Event.ListID != "7" {
			t.Errorf("%s of two lists: %d events, the first of list %q", event, len(items), items[0].Event.ListID)
		}
	}
	if items := decode("contact_deleted", "3,7"); len(items) != 1 || items[0].Event.ListID != "3,7" {
		t.Errorf("a contact with two lists: %d events", len(items))
	}
	for n, want := range map[int]int{100: 100, 101: 1} {
		items := decode("unsubscribe", strings.Repeat("3,", n-1)+"7")
		if len(items) != want || (items[0].Fault == provider.TooLarge) != (want == 1) {
			t.Errorf("%d lists: %d items, fault %q", n, len(items), items[0].Fault)
		}
	}
	event := `{"email":"ana@example.com","event":"unsubscribe","list_id":[3,7],"ts_event":1772618700}`
	out := new(provider.Batch)
	if err := (brevo.Provider{}).Decode(&provider.Request{Body: batch([][]byte{[]byte(event), []byte(event)}), Limits: jsontext.Limits{Depth: 64, Items: 3}}, out); err != nil {
		t.Fatal(err)
	}
	if items := out.Items(); len(items) != 3 || items[2].Fault != provider.TooLarge {
		t.Errorf("four events where three are allowed: %d items", len(items))
	}
}

func TestProvider_LosesNothingByAnAnswer(t *testing.T) {
	t.Parallel()
	a := brevo.Provider{}.Answers()
	for name, status := range map[string]int{
		"unauthenticated": a.Unauthenticated, "malformed": a.Malformed, "too large": a.TooLarge, "slow": a.Slow, "unavailable": a.Unavailable,
	} {
		if status != http.StatusTooManyRequests {
			t.Errorf("%s is answered with %d, at which the event is dropped", name, status)
		}
	}
}

const click = `{"id":90211,"email":"ana@example.com","message-id":"<202603040915.18273645@smtp-relay.mailin.fr>","date":"2026-03-04 10:31:00","subject":"Your order","event":"click","sending_ip":"203.0.113.9","ts":1772616660,"ts_event":1772616660,"ts_epoch":1772616660250,"link":"https://shop.example.org/o/77?a=1&b=2","tags":["order"],"user_agent":"Mozilla/5.0 (X11; Linux x86_64)","device_used":"DESKTOP"}`

func BenchmarkDecode(b *testing.B) {
	providertest.BenchmarkBatches(b, brevo.Provider{}, []byte(click), batch)
}
