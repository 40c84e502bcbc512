package suppression_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/internal/platform/kafka/kafkatest"
)

// BenchmarkEventToCheck is the time from the acknowledgement of an event, when
// the ingress would answer 200, until a check says suppressed. Budget: p99 100 ms.
func BenchmarkEventToCheck(b *testing.B) {
	broker := kafkatest.StartBroker(b)
	cfg := broker.Config
	r := start(b, options{broker: broker})
	cl := kafkatest.Client(b, cfg, kgo.RecordPartitioner(kgo.StickyKeyPartitioner(nil)), kgo.ProducerLinger(0))
	var took []time.Duration
	for i := 0; b.Loop(); i++ {
		addr := fmt.Sprintf("u%d@example.com", i)
		if err := cl.ProduceSync(b.Context(), record(event(b, schemas.Bounced, addr, 1, hard))).FirstErr(); err != nil {
			b.Fatal(err)
		}
		began := time.Now()
		for r.check(addr, "marketing") == "" {
		}
		took = append(took, time.Since(began))
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "p50-ms")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "p99-ms")
}
