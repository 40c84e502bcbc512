package elasticemail_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/mailstream/mailstream/services/internal/jsontext"
	"github.com/mailstream/mailstream/services/internal/provider"
	"github.com/mailstream/mailstream/services/internal/provider/elasticemail"
	"github.com/mailstream/mailstream/services/internal/provider/providertest"
)

func suite() providertest.Suite {
	return providertest.Suite{
		Dir:   "testdata",
		Kinds: []string{"sent", "opened", "clicked", "error", "abusereport", "unsubscribed", "validation"},
		Inside: func(in []byte) []byte {
			if bytes.HasPrefix(in, []byte("{")) {
				return in
			}
			return providertest.FormObject(in)
		},
	}
}

func TestProvider(t *testing.T) {
	t.Parallel()
	providertest.Run(t, elasticemail.Provider{}, suite())
}

// A request is one event, or none where it validates the URL.
func FuzzProvider(f *testing.F) {
	providertest.Fuzz(f, elasticemail.Provider{}, suite(), func(in []byte) (int, bool) {
		return 1, !bytes.HasPrefix(in, []byte("?")) && len(bytes.TrimSpace(in)) > 0
	})
}

const (
	clicked = `status=Clicked&to=ana%40example.com&date=3%2F4%2F2026+9%3A31%3A00+AM&messageid=m1&target=https%3A%2F%2Fshop.example.org%2Fo%2F77`
	failed  = `status=Error&category=Timeout&to=ana%40example.com&date=3%2F4%2F2026+9%3A31%3A00+AM&transaction=t1`
)

func TestProvider_TellsWhatHappensInOneSecond(t *testing.T) {
	t.Parallel()
	for name, change := range map[string][3]string{
		"status":      {clicked, "Clicked", "Opened"},
		"recipient":   {clicked, "ana%40", "bob%40"},
		"second":      {clicked, "31%3A00", "31%3A01"},
		"half of day": {clicked, "+AM", "+PM"},
		"message":     {clicked, "m1", "m2"},
		"link":        {clicked, "77", "78"},
		"category":    {failed, "Timeout", "Spam"},
		"transaction": {failed, "t1", "t2"},
	} {
		first := providertest.ID(t, elasticemail.Provider{}, []byte("?"+change[0]))
		other := strings.Replace(change[0], change[1], change[2], 1)
		if id := providertest.ID(t, elasticemail.Provider{}, []byte("?"+other)); id == first {
			t.Errorf("another %s has the same id", name)
		}
	}
}

// TestProvider_KnowsOneEventInAnyForm takes what a change of the sender's settings, or a
// repeat with more in it, must not make another event of.
func TestProvider_KnowsOneEventInAnyForm(t *testing.T) {
	t.Parallel()
	first := providertest.ID(t, elasticemail.Provider{}, []byte("?"+failed))
	for name, in := range map[string]string{
		"posted as a form":  failed,
		"in another order":  "?transaction=t1&date=3%2F4%2F2026+9%3A31%3A00+AM&to=ana%40example.com&category=Timeout&status=Error",
		"in another case":   "?" + strings.NewReplacer("Error", "ERROR", "Timeout", "timeout", "ana", "Ana").Replace(failed),
		"with 24 hours":     "?" + strings.Replace(failed, "+AM", "", 1),
		"with zeros":        "?" + strings.Replace(failed, "3%2F4", "03%2F04", 1),
		"with more fields":  "?" + failed + "&subject=Hi&from=shop%40example.org&account=a",
		"with empty fields": "?" + failed + "&target=&messageid=&postback=",
		"as JSON":           `{"status":"Error","category":"Timeout","to":"ana@example.com","date":"2026-03-04T09:31:00Z","transaction":"t1"}`,
	} {
		if id := providertest.ID(t, elasticemail.Provider{}, []byte(in)); id != first {
			t.Errorf("%s: another id, %s and %s", name, id, first)
		}
	}
}

func BenchmarkDecode(b *testing.B) {
	b.Run("elasticemail", func(b *testing.B) {
		providertest.Benchmark(b, elasticemail.Provider{}, &provider.Request{Body: []byte(clicked), Limits: jsontext.Limits{Depth: 64, Items: 1}}, 1)
	})
}
