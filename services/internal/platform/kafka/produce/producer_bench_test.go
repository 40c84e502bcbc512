package produce_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"go.uber.org/zap"

	"github.com/mailstream/mailstream/services/internal/platform/config"
	"github.com/mailstream/mailstream/services/internal/platform/kafka/kafkatest"
	"github.com/mailstream/mailstream/services/internal/platform/kafka/produce"
)

// eventBytes is about what one event with its raw item takes.
const eventBytes = 1200

// BenchmarkPublish measures requests of n records by many goroutines against
// a broker in the same process that discards them, so that it shows our side.
func BenchmarkPublish(b *testing.B) {
	for _, linger := range []time.Duration{-1, time.Millisecond, 5 * time.Millisecond} {
		for _, n := range []int{1, 100} {
			for _, callers := range []int{1, 64, 512} {
				b.Run(fmt.Sprintf("linger=%s/records=%d/callers=%d", max(0, linger), n, callers), func(b *testing.B) {
					benchmarkPublish(b, produce.Config{Linger: linger, BufferRecordsMax: 200_000, BufferBytesMax: 256 * config.MiB}, n, callers)
				})
			}
		}
	}
}

func benchmarkPublish(b *testing.B, pc produce.Config, n, callers int) {
	cfg := kafkatest.Start(b, kfake.BlackholeProduce())
	p, err := produce.New(cfg, pc, zap.NewNop(), prometheus.NewRegistry())
	if err != nil {
		b.Fatal(err)
	}
	defer p.Close(context.Background()) // the benchmark is over
	value := make([]byte, eventBytes)
	rand.Read(value[:eventBytes/4]) // a quarter does not compress
	b.SetParallelism((callers + 1) / 2)
	b.ReportAllocs()
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for i := 0; pb.Next(); i++ {
			// One block of memory a request: what is measured is Publish.
			block, ptrs := make([]kgo.Record, n), make([]*kgo.Record, n)
			for j := range block {
				block[j] = kgo.Record{Topic: kafkatest.Bounced, Key: value[(i+j)%64 : (i+j)%64+16], Value: value}
				ptrs[j] = &block[j]
			}
			if err := p.Publish(b.Context(), ptrs...); err != nil {
				b.Error(err)
				return
			}
		}
	})
	b.ReportMetric(float64(b.N*n)/b.Elapsed().Seconds(), "records/s")
}

// BenchmarkPublish_Plain is the same with the library's own ProduceSync, for
// comparison in the same run.
func BenchmarkPublish_Plain(b *testing.B) {
	for _, n := range []int{1, 100} {
		b.Run(fmt.Sprintf("records=%d/callers=512", n), func(b *testing.B) {
			cfg := kafkatest.Start(b, kfake.BlackholeProduce())
			cl := kafkatest.Client(b, cfg, kgo.ProducerLinger(time.Millisecond), kgo.ProducerBatchCompression(kgo.Lz4Compression()), kgo.RecordPartitioner(kgo.StickyKeyPartitioner(nil)))
			value := make([]byte, eventBytes)
			rand.Read(value[:eventBytes/4])
			b.SetParallelism(256)
			b.ReportAllocs()
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				for i := 0; pb.Next(); i++ {
					block, ptrs := make([]kgo.Record, n), make([]*kgo.Record, n)
					for j := range block {
						block[j] = kgo.Record{Topic: kafkatest.Bounced, Key: value[(i+j)%64 : (i+j)%64+16], Value: value}
						ptrs[j] = &block[j]
					}
					if err := cl.ProduceSync(context.Background(), ptrs...).FirstErr(); err != nil {
						b.Error(err)
						return
					}
				}
			})
			b.ReportMetric(float64(b.N*n)/b.Elapsed().Seconds(), "records/s")
		})
	}
}
