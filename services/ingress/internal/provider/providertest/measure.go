package providertest

import (
	"testing"

	"github.com/mailstream/mailstream/services/ingress/internal/provider"
)

// ID returns the id of the only event of a request with the body given.
func ID(tb testing.TB, p provider.Provider, body []byte) string {
	tb.Helper()
	batch, err := decode(p, newNormaliser(tb), &provider.Request{Body: body, Limits: limits})
	if err != nil {
		tb.Fatal(err)
	}
	if n := len(batch.Items()); n != 1 || batch.Items()[0].Fault != "" {
		tb.Fatalf("%d items, want one event", n)
	}
	return batch.Items()[0].Event.ID
}

// Benchmark decodes req, which has the given number of events, again and again.
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
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*events), "ns/event")
}
