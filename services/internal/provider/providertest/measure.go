package providertest

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"testing"
	"time"

	"github.com/mailstream/mailstream/services/internal/provider"
)

// ID returns the id of the only event of a request with the body given.
func ID(tb testing.TB, p provider.Provider, body []byte) string {
	tb.Helper()
	batch, err := decode(p, newNormaliser(tb), requestOf(p, body))
	if err != nil {
		tb.Fatal(err)
	}
	if n := len(batch.Items()); n != 1 || batch.Items()[0].Fault != "" {
		tb.Fatalf("%d items, want one event", n)
	}
	return batch.Items()[0].Event.ID
}

// Benchmark decodes req, which has the given number of events, in a loop. Beside
// the usual it reports microseconds a KiB of the request, whose budget is 4 on
// one core, and how many times as long a reader needs that takes the same bytes
// apart with the standard library into maps.
func Benchmark(b *testing.B, p provider.Provider, req *provider.Request, events int) {
	b.Helper()
	var out provider.Batch
	b.SetBytes(int64(len(req.Body)))
	b.ReportAllocs()
	for b.Loop() {
		out.Reset()
		if err := p.Decode(req, &out); err != nil {
			b.Fatal(err)
		}
	}
	if len(out.Items()) != events {
		b.Fatalf("%d events, want %d", len(out.Items()), events)
	}
	each := float64(b.Elapsed().Nanoseconds()) / float64(b.N)
	b.ReportMetric(each/float64(events), "ns/event")
	b.ReportMetric(each/1e3/float64(len(req.Body))*1024, "us/KiB")
	b.ReportMetric(float64(standard(b, req.Body).Nanoseconds())/each, "x-stdlib")
}

// BenchmarkBatches is Benchmark for one item alone and for a hundred of it, in the
// requests that batch makes of them.
func BenchmarkBatches(b *testing.B, p provider.Provider, item []byte, batch func([][]byte) []byte) {
	b.Helper()
	for _, size := range []int{1, 100} {
		b.Run(p.Name()+"/batch="+strconv.Itoa(size), func(b *testing.B) {
			items := make([][]byte, size)
			for i := range items {
				items[i] = item
			}
			Benchmark(b, p, &provider.Request{Header: http.Header{}, Body: batch(items), Limits: limits}, size)
		})
	}
}

// standardFor is how long the reference is measured.
const standardFor = 100 * time.Millisecond

// standard returns how long the standard library takes for a body: JSON into any,
// a form into values, and JSON in a form's field as well.
func standard(b *testing.B, body []byte) time.Duration {
	b.Helper()
	began, n := time.Now(), 0
	for ; time.Since(began) < standardFor; n++ {
		var v any
		if json.Unmarshal(body, &v) == nil {
			continue
		}
		form, err := url.ParseQuery(string(body))
		if err != nil {
			b.Fatal(err)
		}
		for _, values := range form {
			_ = json.Unmarshal([]byte(values[0]), &v) // most fields are not JSON
		}
	}
	return time.Since(began) / time.Duration(n)
}
