package activecampaign_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/mailstream/mailstream/services/internal/jsontext"
	"github.com/mailstream/mailstream/services/internal/provider"
	"github.com/mailstream/mailstream/services/internal/provider/activecampaign"
	"github.com/mailstream/mailstream/services/internal/provider/providertest"
)

func suite() providertest.Suite {
	return providertest.Suite{
		Dir: "testdata",
		Kinds: []string{
			"subscribe", "unsubscribe", "update", "subscriber_note", "contact_tag_added", "contact_tag_removed", "contact_task_add",
			"list_add", "sent", "open", "click", "reply", "forward", "share", "bounce", "sms_sent", "sms_reply", "sms_unsub",
			"deal_add", "deal_update", "deal_note_add", "deal_pipeline_add", "deal_stage_add", "deal_task_add", "deal_task_complete",
			"deal_tasktype_add", "account_add", "account_update", "account_contact_add", "account_contact_update", "automation",
		},
		Inside: providertest.FormObject,
	}
}

func TestProvider(t *testing.T) {
	t.Parallel()
	providertest.Run(t, activecampaign.Provider{}, suite())
}

func FuzzProvider(f *testing.F) {
	providertest.Fuzz(f, activecampaign.Provider{}, suite(), func([]byte) (int, bool) { return 0, false })
}

func TestProvider_TellsWhatHappensInOneSecond(t *testing.T) {
	t.Parallel()
	first := providertest.ID(t, activecampaign.Provider{}, []byte(click))
	for name, change := range map[string][2]string{
		"type":     {"type=click", "type=open"},
		"contact":  {"ana%40", "bob%40"},
		"campaign": {"campaign%5Bid%5D=77", "campaign%5Bid%5D=78"},
		"mail":     {"%5Bmessage%5D%5Bid%5D=91", "%5Bmessage%5D%5Bid%5D=92"},
		"link":     {"link%5Bid%5D=12", "link%5Bid%5D=13"},
		"second":   {"31%3A02", "31%3A03"},
	} {
		body := strings.Replace(click, change[0], change[1], 1)
		if id := providertest.ID(t, activecampaign.Provider{}, []byte(body)); id == first {
			t.Errorf("another %s has the same id", name)
		}
	}
	raw := strings.NewReplacer("%5B", "[", "%5D", "]").Replace(click)
	if id := providertest.ID(t, activecampaign.Provider{}, []byte(raw)); id != first {
		t.Errorf("with brackets as they are the id is %s, encoded %s", id, first)
	}
}

func TestProvider_BoundsTheListsOfOneForm(t *testing.T) {
	t.Parallel()
	for lists, want := range map[int]struct {
		items int
		fault provider.Fault
	}{1: {1, ""}, 100: {100, ""}, 101: {1, provider.TooLarge}, 900: {1, provider.TooLarge}} {
		body := "type=unsubscribe&date_time=2026-03-04T03:20:00-06:00&contact[email]=ana%40example.com"
		for i := range lists {
			body += fmt.Sprintf("&list[%d][id]=%d", i, i+1)
		}
		var out provider.Batch
		if err := (activecampaign.Provider{}).Decode(&provider.Request{Body: []byte(body), Limits: limits}, &out); err != nil {
			t.Fatal(err)
		}
		if items := out.Items(); len(items) != want.items || items[0].Fault != want.fault {
			t.Errorf("%d lists: %d items, the first with the fault %q", lists, len(items), items[0].Fault)
		}
	}
}

var limits = jsontext.Limits{Depth: 64, Items: 1}

const click = `type=click&date_time=2026-03-04T03%3A31%3A02-06%3A00&initiated_from=public&initiated_by=contact&list=0&contact%5Bid%5D=42&contact%5Bemail%5D=ana%40example.com&link%5Bid%5D=12&link%5Burl%5D=https%3A%2F%2Fshop.example.com%2F%3Fa%3D1%26b%3D2&campaign%5Bid%5D=77&campaign%5Bname%5D=March+news&campaign%5Bmessage%5D%5Bid%5D=91`

func BenchmarkDecode(b *testing.B) {
	b.Run("activecampaign", func(b *testing.B) {
		providertest.Benchmark(b, activecampaign.Provider{}, &provider.Request{Body: []byte(click), Limits: limits}, 1)
	})
}
