package sparkpost_test

import (
	"bytes"
	"testing"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/internal/jsontext"
	"github.com/mailstream/mailstream/services/internal/provider/providertest"
	"github.com/mailstream/mailstream/services/internal/provider/sparkpost"
)

func suite() providertest.Suite {
	return providertest.Suite{
		Dir: "testdata",
		Kinds: []string{
			"injection", "delivery", "bounce", "delay", "out_of_band", "policy_rejection", "spam_complaint", "sms_status",
			"open", "initial_open", "click", "amp_open", "amp_initial_open", "amp_click", "generation_failure",
			"generation_rejection", "list_unsubscribe", "link_unsubscribe", "relay_injection", "relay_rejection",
			"relay_delivery", "relay_tempfail", "relay_permfail", "relay_message", "ab_test_completed",
			"ab_test_cancelled", "success", "error",
		},
		Batch:   batch,
		Largest: 1000,                                       // 350 and more are documented
		Steers:  []string{"msys.message_event.raw_rcpt_to"}, // instead of which rcpt_to is read
	}
}

func batch(items [][]byte) []byte {
	return append(append([]byte{'['}, bytes.Join(items, []byte(","))...), ']')
}

func TestProvider(t *testing.T) {
	t.Parallel()
	providertest.Run(t, sparkpost.Provider{}, suite())
}

// count counts events: an entry without msys is a bad item, an empty msys none.
func count(body []byte) (int, bool) {
	var doc jsontext.Document
	if doc.Parse(body, jsontext.Limits{Depth: 64, Items: 100_000}) != nil {
		return 0, false
	}
	total := 0
	for i := range doc.Items() {
		var msys jsontext.Value
		for m := doc.Members(i); m.Next(); {
			if m.Key() == "msys" {
				msys = m.Value()
			}
		}
		if msys.Kind() != jsontext.Object {
			total++
		}
		for m := msys.Members(); m.Next(); {
			total++
		}
	}
	return total, true
}

func FuzzProvider(f *testing.F) {
	providertest.Fuzz(f, sparkpost.Provider{}, suite(), count)
}

const delivery = `{"msys":{"message_event":{"type":"delivery","event_id":"92356927693813857","timestamp":"1772615733","injection_time":"2026-03-04T09:15:30.120Z","message_id":"000443ee14578172be22","transmission_id":"65832150921904138","campaign_id":"march","rcpt_to":"ana@example.com","raw_rcpt_to":"Ana@example.com","rcpt_meta":{"order":"77"},"rcpt_tags":[],"delv_method":"esmtp","ip_address":"198.51.100.7","sending_ip":"192.0.2.25","num_retries":"0","queue_time":"2810","outbound_tls":"1","msg_size":"1337"}}}`

func TestProvider_TellsTwoEventsOfOneSecondApart(t *testing.T) {
	t.Parallel()
	first := providertest.ID(t, sparkpost.Provider{}, []byte(delivery))
	if id := providertest.ID(t, sparkpost.Provider{}, batch([][]byte{[]byte(delivery)})); id != first {
		t.Errorf("in a batch the id is %s, alone %s", id, first)
	}
	other := bytes.Replace([]byte(delivery), []byte("813857"), []byte("813858"), 1)
	if id := providertest.ID(t, sparkpost.Provider{}, other); id == first {
		t.Error("another event id has the same id")
	}
}

func BenchmarkDecode(b *testing.B) {
	providertest.BenchmarkBatches(b, sparkpost.Provider{}, []byte(delivery), batch)
}

// TestOpens_OfOneLookAreOneEvent holds the two pixels of a message together, and
// what is not of one look apart.
func TestOpens_OfOneLookAreOneEvent(t *testing.T) {
	t.Parallel()
	open := func(word, second, rest string) string {
		return `{"msys":{"track_event":{"type":"` + word + `","event_id":"` + word + second + `","timestamp":"17726166` + second +
			`","injection_time":"1772616590","transmission_id":"65","rcpt_to":"ana@example.com"` + rest + `}}}`
	}
	const phone, laptop = `,"ip_address":"203.0.113.9","user_agent":"Phone"`, `,"ip_address":"203.0.113.9","user_agent":"Laptop"`
	top := open("initial_open", "00", phone)
	for name, tt := range map[string]struct {
		second string
		one    bool
	}{
		"the pixel at the end":    {open("open", "02", phone), true},
		"the same once more":      {top, true},
		"a minute later":          {open("open", "60", phone), false},
		"on another device":       {open("open", "01", laptop), false},
		"in the AMP part":         {open("amp_open", "01", phone), false},
		"a click":                 {open("click", "00", phone), false},
		"the AMP part's two ways": {open("amp_initial_open", "01", phone), false},
	} {
		events := providertest.Complete(t, sparkpost.Provider{}, []byte(`[`+top+`,`+tt.second+`]`))
		if len(events) != 2 {
			t.Fatalf("%s: %d events", name, len(events))
		}
		if events[0].Type != schemas.Opened {
			t.Errorf("%s: the pixel on top is %q", name, events[0].Type)
		}
		if one := events[0].ID == events[1].ID && events[0].Time.Equal(events[1].Time); one != tt.one {
			t.Errorf("%s: one event %v, want %v", name, one, tt.one)
		}
	}
}
