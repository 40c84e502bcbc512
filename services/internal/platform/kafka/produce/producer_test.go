package produce_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/mailstream/mailstream/services/internal/platform/config"
	"github.com/mailstream/mailstream/services/internal/platform/fate"
	"github.com/mailstream/mailstream/services/internal/platform/kafka"
	"github.com/mailstream/mailstream/services/internal/platform/kafka/kafkatest"
	"github.com/mailstream/mailstream/services/internal/platform/kafka/produce"
)

func TestProducer_PublishedRecordsAreThere(t *testing.T) {
	t.Parallel()
	cfg := kafkatest.Start(t)
	p := kafkatest.Producer(t, cfg, produce.Config{})
	var wg sync.WaitGroup
	for i := range 50 {
		wg.Go(func() {
			recs := []*kgo.Record{kafkatest.Record(kafkatest.Bounced, i), kafkatest.Record(kafkatest.Opened, i), kafkatest.Record(kafkatest.Bounced, i+1)}
			if err := p.Publish(kafkatest.Context(t), recs...); err != nil {
				t.Errorf("Publish = %v", err)
			}
		})
	}
	wg.Wait()
	if a, b := len(kafkatest.ReadAll(t, cfg, kafkatest.Bounced)), len(kafkatest.ReadAll(t, cfg, kafkatest.Opened)); a != 100 || b != 50 {
		t.Errorf("found %d and %d records, want 100 and 50", a, b)
	}
}

// The Java client's default partitioner takes (murmur2(key) & 0x7fffffff) %
// partitions.
func TestProducer_PartitionsLikeJava(t *testing.T) {
	t.Parallel()
	cfg := kafkatest.Start(t)
	p := kafkatest.Producer(t, cfg, produce.Config{})
	for _, tc := range []struct {
		name string
		key  string
		hash int32 // Utils.murmur2 of the key
	}{
		// The vectors of Kafka's own UtilsTest.testMurmur2.
		{"21", "21", -973932308},
		{"foobar", "foobar", -790332482},
		{"a-little-bit-long-string", "a-little-bit-long-string", -985981536},
		{"a-little-bit-longer-string", "a-little-bit-longer-string", -1486304829},
		{"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", "lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971},
		{"abc", "abc", 479470107},
	} {
		rec := &kgo.Record{Topic: kafkatest.Bounced, Key: []byte(tc.key), Value: []byte("v")}
		if err := p.Publish(kafkatest.Context(t), rec); err != nil {
			t.Fatal(err)
		}
		if want := (tc.hash & 0x7fffffff) % kafkatest.Partitions; rec.Partition != want {
			t.Errorf("%s: partition %d, want %d", tc.name, rec.Partition, want)
		}
		if place := produce.Placement(kafkatest.Partitions)(tc.key); place != rec.Partition {
			t.Errorf("%s: Placement says %d, it was written to %d", tc.name, place, rec.Partition)
		}
	}
}

func TestProducer_SaysWhatWentWrong(t *testing.T) {
	t.Parallel()
	refuse := func(code *kerr.Error) func(t *testing.T, b *kafkatest.Broker) {
		return func(_ *testing.T, b *kafkatest.Broker) {
			b.ControlKey(int16(kmsg.Produce), func(req kmsg.Request) (kmsg.Response, error, bool) {
				b.KeepControl()
				return refusal(req.(*kmsg.ProduceRequest), code), nil, true
			})
		}
	}
	for _, tc := range []struct {
		name string
		harm func(t *testing.T, b *kafkatest.Broker)
		pc   produce.Config
		rec  *kgo.Record
		want error
		fate fate.Fate
	}{
		{"topic that does not exist", nil, produce.Config{}, kafkatest.Record("email.nowhere", 1), kafka.ErrUnknownTopic, fate.Retry},
		{"record larger than its topic takes", nil, produce.Config{}, &kgo.Record{Topic: kafkatest.Bounced, Value: make([]byte, 2<<20)}, kafka.ErrTooLarge, fate.DeadLetter},
		{"broker that finds it too large", refuse(kerr.MessageTooLarge), produce.Config{}, kafkatest.Record(kafkatest.Bounced, 1), kafka.ErrTooLarge, fate.DeadLetter},
		{"no right to the topic", refuse(kerr.TopicAuthorizationFailed), produce.Config{}, kafkatest.Record(kafkatest.Bounced, 1), kafka.ErrDenied, fate.Halt},
		{"too few replicas for too long", refuse(kerr.NotEnoughReplicas), produce.Config{PublishTimeout: 200 * time.Millisecond, DeliveryTimeout: time.Second}, kafkatest.Record(kafkatest.Bounced, 1), kafka.ErrTimeout, fate.Retry},
		{"broker that does not answer", silence, produce.Config{PublishTimeout: 100 * time.Millisecond}, kafkatest.Record(kafkatest.Bounced, 1), kafka.ErrTimeout, fate.Retry},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := kafkatest.StartVirtual(t)
				if tc.harm != nil {
					tc.harm(t, b)
				}
				p := kafkatest.Producer(t, b.Config, tc.pc)
				err := p.Publish(kafkatest.Context(t), tc.rec)
				if !errors.Is(err, tc.want) || fate.Of(err) != tc.fate {
					t.Errorf("Publish = %v (%s), want %v (%s)", err, fate.Of(err), tc.want, tc.fate)
				}
			})
		})
	}
}

// refusal answers every partition of req with code.
func refusal(req *kmsg.ProduceRequest, code *kerr.Error) *kmsg.ProduceResponse {
	resp := req.ResponseKind().(*kmsg.ProduceResponse)
	for _, topic := range req.Topics {
		rt := kmsg.NewProduceResponseTopic()
		rt.Topic, rt.TopicID = topic.Topic, topic.TopicID
		for _, p := range topic.Partitions {
			rp := kmsg.NewProduceResponseTopicPartition()
			rp.Partition, rp.ErrorCode = p.Partition, code.Code
			rt.Partitions = append(rt.Partitions, rp)
		}
		resp.Topics = append(resp.Topics, rt)
	}
	return resp
}

// silence makes the broker hold every produce request until the test ends.
func silence(t *testing.T, b *kafkatest.Broker) {
	over := make(chan struct{})
	t.Cleanup(func() { close(over) })
	b.ControlKey(int16(kmsg.Produce), func(kmsg.Request) (kmsg.Response, error, bool) {
		b.KeepControl()
		b.SleepControl(func() { <-over })
		return nil, nil, false
	})
}

func TestProducer_OneTooLargeRecordKeepsTheRequestFromStarting(t *testing.T) {
	t.Parallel()
	cfg := kafkatest.Start(t)
	p := kafkatest.Producer(t, cfg, produce.Config{})
	large := &kgo.Record{Topic: kafkatest.Bounced, Value: make([]byte, 2<<20)}
	err := p.Publish(kafkatest.Context(t), kafkatest.Record(kafkatest.Opened, 1), large)
	bad, ok := errors.AsType[*produce.RecordError](err)
	if !ok || bad.Record != large {
		t.Errorf("Publish = %v, want a RecordError of the large record", err)
	}
	if n := len(kafkatest.ReadAll(t, cfg, kafkatest.Opened)); n != 0 {
		t.Errorf("%d records of the refused request were written", n)
	}
	dead := &kgo.Record{Topic: "email.dead-letter", Value: make([]byte, 2<<20)}
	if err := p.Publish(kafkatest.Context(t), dead); err != nil {
		t.Errorf("Publish of the same size as a dead letter = %v, want nil", err)
	}
}

func TestProducer_FullBufferRefusesTheWholeRequestAtOnce(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name string
		pc   produce.Config
		fits int
	}{
		{"by records", produce.Config{BufferRecordsMax: 10}, 10},
		{"by bytes", produce.Config{BufferBytesMax: config.ByteSize(100)}, 10},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := kafkatest.StartVirtual(t)
				silence(t, b)
				tc.pc.PublishTimeout = 500 * time.Millisecond
				p := kafkatest.Producer(t, b.Config, tc.pc)
				ten := make([]*kgo.Record, tc.fits)
				for i := range ten {
					ten[i] = &kgo.Record{Topic: kafkatest.Bounced, Value: fmt.Appendf(nil, "%010d", i)}
				}
				if err := p.Publish(kafkatest.Context(t), ten...); !errors.Is(err, kafka.ErrTimeout) {
					t.Fatalf("Publish to a silent broker = %v, want ErrTimeout", err)
				}
				began := time.Now()
				err := p.Publish(kafkatest.Context(t), &kgo.Record{Topic: kafkatest.Bounced, Value: []byte("0123456789")})
				if !errors.Is(err, kafka.ErrBufferFull) {
					t.Errorf("Publish to a full buffer = %v, want ErrBufferFull", err)
				}
				if took := time.Since(began); took > 0 {
					t.Errorf("it took %s to say so, want no time", took)
				}
			})
		})
	}
}

func TestProducer_BufferIsFreeAgainAfterTheAnswers(t *testing.T) {
	t.Parallel()
	cfg := kafkatest.Start(t)
	p := kafkatest.Producer(t, cfg, produce.Config{BufferRecordsMax: 4, BufferBytesMax: 200})
	for i := range 200 {
		if err := p.Publish(kafkatest.Context(t), kafkatest.Records(kafkatest.Bounced, 4)...); err != nil {
			t.Fatalf("request %d: %v", i, err)
		}
	}
}

func TestProducer_TheCallersEndDoesNotEndTheWrite(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := kafkatest.StartVirtual(t)
		gate := make(chan struct{})
		b.ControlKey(int16(kmsg.Produce), func(kmsg.Request) (kmsg.Response, error, bool) {
			b.SleepControl(func() { <-gate })
			return nil, nil, false
		})
		p := kafkatest.Producer(t, b.Config, produce.Config{})
		gone, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		if err := p.Publish(gone, kafkatest.Record(kafkatest.Bounced, 1)); !errors.Is(err, kafka.ErrTimeout) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Publish = %v, want ErrTimeout because of the deadline", err)
		}
		close(gate)
		if err := p.Publish(kafkatest.Context(t), kafkatest.Record(kafkatest.Bounced, 2)); err != nil {
			t.Errorf("Publish by the next caller = %v, want nil", err)
		}
		var values []string
		for _, r := range kafkatest.ReadAll(t, b.Config, kafkatest.Bounced) {
			values = append(values, string(r.Value))
		}
		if len(values) != 2 {
			t.Errorf("found %v, want both records", values)
		}
	})
}

func TestProducer_CloseWaitsForAnswersAndEndsPublishing(t *testing.T) {
	t.Parallel()
	cfg := kafkatest.Start(t)
	p := kafkatest.Producer(t, cfg, produce.Config{})
	if err := p.Ping(kafkatest.Context(t)); err != nil {
		t.Errorf("Ping = %v", err)
	}
	if err := p.Publish(kafkatest.Context(t), kafkatest.Record(kafkatest.Bounced, 1)); err != nil {
		t.Fatal(err)
	}
	if err := p.Close(kafkatest.Context(t)); err != nil {
		t.Errorf("Close = %v", err)
	}
	if err := p.Publish(kafkatest.Context(t), kafkatest.Record(kafkatest.Bounced, 2)); !errors.Is(err, kafka.ErrClosed) {
		t.Errorf("Publish after Close = %v, want ErrClosed", err)
	}
	unused := kafkatest.Producer(t, cfg, produce.Config{})
	if err := unused.Close(kafkatest.Context(t)); err != nil {
		t.Errorf("Close of an unused producer = %v", err)
	}
	if err := unused.Publish(kafkatest.Context(t), kafkatest.Record(kafkatest.Bounced, 2)); !errors.Is(err, kafka.ErrClosed) {
		t.Errorf("Publish after Close = %v, want ErrClosed", err)
	}
}

func TestProducer_RefusesBadSettings(t *testing.T) {
	t.Parallel()
	pc := produce.Config{Linger: time.Hour, BufferRecordsMax: -1, BufferBytesMax: -1, PublishTimeout: -1, DeliveryTimeout: -2}
	_, err := produce.New(kafka.Default(), pc, kafkatest.Logger(t), prometheus.NewRegistry())
	bad, ok := errors.AsType[*config.InvalidError](err)
	if !ok {
		t.Fatalf("NewProducer = %v, want InvalidError", err)
	}
	want := []string{
		"producer.linger: 1h0m0s is not in [-1ns, 100ms]",
		"producer.buffer_records_max: -1 is not in [1, 10000000]",
		"producer.buffer_bytes_max: -1B is not in [1B, 16GiB]",
		"producer.publish_timeout: -1ns is not in [1ms, 5m0s]",
		"producer.delivery_timeout: -2ns is below publish_timeout -1ns",
	}
	if diff := cmp.Diff(want, bad.Faults); diff != "" {
		t.Error(diff)
	}
}
