package mailchimp_test

import (
	"strings"
	"testing"

	"github.com/mailstream/mailstream/services/internal/jsontext"
	"github.com/mailstream/mailstream/services/internal/provider"
	"github.com/mailstream/mailstream/services/internal/provider/mailchimp"
	"github.com/mailstream/mailstream/services/internal/provider/providertest"
)

func suite() providertest.Suite {
	return providertest.Suite{
		Dir:    "testdata",
		Kinds:  []string{"subscribe", "unsubscribe", "profile", "upemail", "cleaned", "campaign", "batch_operation_completed"},
		Inside: providertest.FormObject,
	}
}

func TestProvider(t *testing.T) {
	t.Parallel()
	providertest.Run(t, mailchimp.Provider{}, suite())
}

func FuzzProvider(f *testing.F) {
	providertest.Fuzz(f, mailchimp.Provider{}, suite(), func([]byte) (int, bool) { return 1, true })
}

func TestProvider_TellsWhatHappensInOneSecond(t *testing.T) {
	t.Parallel()
	first := providertest.ID(t, mailchimp.Provider{}, []byte(unsubscribe))
	for name, change := range map[string][2]string{
		"type":     {"type=unsubscribe", "type=profile"},
		"audience": {"a1b2c3d4e5", "a1b2c3d4e6"},
		"contact":  {"ana%40", "bob%40"},
		"campaign": {"cb398d21d2", "cb398d21d3"},
		"action":   {"unsub&", "delete&"},
		"reason":   {"manual", "abuse"},
	} {
		body := strings.Replace(unsubscribe, change[0], change[1], 1)
		if id := providertest.ID(t, mailchimp.Provider{}, []byte(body)); id == first {
			t.Errorf("another %s has the same id", name)
		}
	}
	raw := strings.NewReplacer("%5B", "[", "%5D", "]").Replace(unsubscribe)
	if id := providertest.ID(t, mailchimp.Provider{}, []byte(raw)); id != first {
		t.Errorf("with brackets as they are the id is %s, encoded %s", id, first)
	}
}

const unsubscribe = `type=unsubscribe&fired_at=2026-03-04+09%3A20%3A00&data%5Baction%5D=unsub&data%5Breason%5D=manual&data%5Bid%5D=8a25ff1d98&data%5Blist_id%5D=a1b2c3d4e5&data%5Bemail%5D=ana%40example.com&data%5Bemail_type%5D=html&data%5Bip_opt%5D=203.0.113.9&data%5Bcampaign_id%5D=cb398d21d2&data%5Bmerges%5D%5BEMAIL%5D=ana%40example.com&data%5Bmerges%5D%5BFNAME%5D=Ana`

func BenchmarkDecode(b *testing.B) {
	b.Run("mailchimp", func(b *testing.B) {
		providertest.Benchmark(b, mailchimp.Provider{}, &provider.Request{Body: []byte(unsubscribe), Limits: jsontext.Limits{Depth: 64, Items: 1}}, 1)
	})
}
