package mandrill_test

import (
	"bytes"
	"net/url"
	"strings"
	"testing"

	"github.com/mailstream/mailstream/services/internal/jsontext"
	"github.com/mailstream/mailstream/services/internal/provider"
	"github.com/mailstream/mailstream/services/internal/provider/mandrill"
	"github.com/mailstream/mailstream/services/internal/provider/providertest"
)

func suite() providertest.Suite {
	return providertest.Suite{
		Dir: "testdata",
		Kinds: []string{
			"send", "deferral", "delivered", "hard_bounce", "soft_bounce", "open", "click", "spam", "unsub", "reject",
			"blacklist", "whitelist", "inbound",
		},
		Batch:   batch,
		Largest: 1000,
		Inside:  inside,
		Steers:  []string{"event"}, // the msg of a received mail
	}
}

// batch writes a form as browsers do, and as Mandrill does.
func batch(items [][]byte) []byte {
	list := append(append([]byte{'['}, bytes.Join(items, []byte(","))...), ']')
	return []byte(url.Values{"mandrill_events": {string(list)}}.Encode())
}

// inside decodes the form, and gives nothing for what is none.
func inside(body []byte) []byte {
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return nil
	}
	return []byte(form.Get("mandrill_events"))
}

func TestProvider(t *testing.T) {
	t.Parallel()
	providertest.Run(t, mandrill.Provider{}, suite())
}

func FuzzProvider(f *testing.F) {
	providertest.Fuzz(f, mandrill.Provider{}, suite(), func(body []byte) (int, bool) {
		return providertest.CountJSON(inside(body))
	})
}

// FuzzForm holds the reading of forms to net/url.
func FuzzForm(f *testing.F) {
	for _, seed := range []string{
		"mandrill_events=%5B%5D", "mandrill_events=[]", "a=b&mandrill_events=%5b%5D", "mandrill%5Fevents=%5B+%5D", "&&mandrill_events=[]&",
		"mandrill_events=%", "mandrill_events=%zz", "mandrill_events", "mandrill_events=1&mandrill_events=2", "%=1",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		if bytes.IndexByte(body, ';') >= 0 {
			return // which net/url refuses, for it once was a separator
		}
		form, ferr := url.ParseQuery(string(body))
		list := form["mandrill_events"]
		var doc jsontext.Document
		limits := jsontext.Limits{Depth: 64, Items: 100_000}
		valid := ferr == nil && len(list) == 1 && doc.Parse([]byte(list[0]), limits) == nil &&
			(doc.IsArray() || doc.Items()[0].Kind() == jsontext.Object)
		var out provider.Batch
		err := (mandrill.Provider{}).Decode(&provider.Request{Body: body, Limits: limits}, &out)
		// A bad escape in a field that nobody reads is no reason to lose events.
		if valid != (err == nil) && (ferr == nil || err != nil) {
			t.Fatalf("%q: %v", body, err)
		}
	})
}

const sent = `{"event":"delivered","ts":1767225661,"_id":"a1b2c3d4e5f60718293a4b5c6d7e8f01","msg":{"ts":1767225599,"subject":"Invoice 7781","email":"ana@example.com","sender":"shop@example.com","tags":["invoice"],"opens":[],"clicks":[],"state":"sent","metadata":{"order":"7781"},"smtp_events":[{"ts":1767225601,"type":"sent","diag":"250 2.0.0 OK","source_ip":"198.51.100.7","destination_ip":"203.0.113.25","size":2048}],"_id":"a1b2c3d4e5f60718293a4b5c6d7e8f01","_version":"v0002"}}`

func TestProvider_KnowsARepeatWhoseMessageHasGrown(t *testing.T) {
	t.Parallel()
	grown := strings.NewReplacer(`"v0002"`, `"v0003"`, `"opens":[]`, `"opens":[{"ts":1767225700}]`).Replace(sent)
	first := providertest.ID(t, mandrill.Provider{}, batch([][]byte{[]byte(sent)}))
	if id := providertest.ID(t, mandrill.Provider{}, batch([][]byte{[]byte(grown)})); grown == sent || id != first {
		t.Errorf("a repeat has the id %s and had %s", id, first)
	}
}

func BenchmarkDecode(b *testing.B) {
	providertest.BenchmarkBatches(b, mandrill.Provider{}, []byte(sent), batch)
}
