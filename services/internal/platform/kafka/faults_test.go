package kafka_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/mailstream/mailstream/services/internal/platform/fate"
	"github.com/mailstream/mailstream/services/internal/platform/kafka"
	"github.com/mailstream/mailstream/services/internal/platform/kafka/group"
	"github.com/mailstream/mailstream/services/internal/platform/kafka/kafkatest"
	"github.com/mailstream/mailstream/services/internal/platform/kafka/read"
	"github.com/mailstream/mailstream/services/internal/platform/telemetry"
	"github.com/mailstream/mailstream/services/servicetest"
)

// failFetches answers every partition of every fetch with code while on holds.
func failFetches(b *kafkatest.Broker, code *kerr.Error, on func() bool) {
	b.ControlKey(int16(kmsg.Fetch), func(req kmsg.Request) (kmsg.Response, error, bool) {
		b.KeepControl()
		if !on() {
			return nil, nil, false
		}
		return fetchRefusal(req.(*kmsg.FetchRequest), code), nil, true
	})
}

func TestFaultsWhileReading_AreWaitedOutWithoutSpinning(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := kafkatest.StartVirtual(t)
		kafkatest.Produce(t, b.Config, kafkatest.Records(kafkatest.Bounced, 50)...)
		var failing atomic.Bool
		var answers atomic.Int64
		failing.Store(true)
		failFetches(b, kerr.UnknownServerError, func() bool {
			answers.Add(1)
			return failing.Load()
		})
		grouped, tailed := kafkatest.NewLedger(), kafkatest.NewLedger()
		c, tl := kafkatest.Consumer(t, b.Config, group.Config{}), kafkatest.Tail(t, b.Config, read.TailConfig{Topic: kafkatest.Bounced})
		g := kafkatest.Go(t, func(ctx context.Context) error {
			return c.Run(ctx, func(_ context.Context, recs []*kgo.Record) error { grouped.Note(recs); return nil })
		})
		tr := kafkatest.Go(t, func(ctx context.Context) error {
			return tl.Run(ctx, func(_ context.Context, recs []*kgo.Record) error { tailed.Note(recs); return nil })
		})
		servicetest.Eventually(t, "both have met the fault", func() bool { return answers.Load() > 4 })
		time.Sleep(time.Second)
		if n := answers.Load(); n > 400 {
			t.Errorf("%d fetches in a second of faults", n)
		}
		failing.Store(false)
		servicetest.Eventually(t, "all is read", func() bool { return grouped.Handled() == 50 && tailed.Handled() == 50 })
		for _, r := range []*kafkatest.Running{g, tr} {
			if err := r.End(t); err != nil {
				t.Error(err)
			}
		}
	})
}

func TestFaultsWhileReading_DenialHalts(t *testing.T) {
	t.Parallel()
	b := kafkatest.StartBroker(t)
	failFetches(b, kerr.TopicAuthorizationFailed, func() bool { return true })
	nop := func(context.Context, []*kgo.Record) error { return nil }
	c, tl := kafkatest.Consumer(t, b.Config, group.Config{}), kafkatest.Tail(t, b.Config, read.TailConfig{Topic: kafkatest.Bounced})
	for _, r := range []*kafkatest.Running{
		kafkatest.Go(t, func(ctx context.Context) error { return c.Run(ctx, nop) }),
		kafkatest.Go(t, func(ctx context.Context) error { return tl.Run(ctx, nop) }),
	} {
		if err := r.Wait(t); !errors.Is(err, kafka.ErrDenied) || fate.Of(err) != fate.Halt {
			t.Errorf("Run = %v (%s), want ErrDenied (halt)", err, fate.Of(err))
		}
	}
}

// linesMaxIn is how many lines a day of trouble may write in so many periods: of
// each kind one a period.
func linesMaxIn(periods, kinds int) int { return (periods + 1) * kinds }

// Whatever a broker answers, for as long as it likes, the log stays readable.
func TestReaders_KeepTheirLogShort(t *testing.T) {
	t.Parallel()
	const (
		kinds       = 8  // of lines, those of the library included
		requestsMax = 50 // a second: a fault is asked about, not chased
	)
	remake := func(t *testing.T, b *kafkatest.Broker) {
		kafkatest.Remake(t, b.Config, kafkatest.Bounced, kafkatest.Suppressed)
	}
	refuse := func(code *kerr.Error) func(*testing.T, *kafkatest.Broker) {
		return func(_ *testing.T, b *kafkatest.Broker) {
			b.ControlKey(int16(kmsg.Fetch), func(req kmsg.Request) (kmsg.Response, error, bool) {
				b.KeepControl()
				b.SleepControl(func() { <-time.After(10 * time.Millisecond) }) // a broker near by
				return fetchRefusal(req.(*kmsg.FetchRequest), code), nil, true
			})
		}
	}
	for _, tc := range []struct {
		name string
		harm func(*testing.T, *kafkatest.Broker)
	}{
		{"topic made anew", remake},
		{"topic deleted", func(t *testing.T, b *kafkatest.Broker) {
			kafkatest.Delete(t, b.Config, kafkatest.Bounced, kafkatest.Suppressed)
		}},
		{"records deleted", func(t *testing.T, b *kafkatest.Broker) {
			kafkatest.Produce(t, b.Config, kafkatest.Records(kafkatest.Bounced, 100)...)
			kafkatest.DeleteRecords(t, b.Config, kafkatest.Bounced, -1)
		}},
		{"unknown server error", refuse(kerr.UnknownServerError)},
		{"corrupt message", refuse(kerr.CorruptMessage)},
		{"unknown topic id", refuse(kerr.UnknownTopicID)},
		{"inconsistent topic id", refuse(kerr.InconsistentTopicID)},
		{"storage error", refuse(kerr.KafkaStorageError)},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := kafkatest.StartVirtual(t)
				kafkatest.Produce(t, b.Config, append(kafkatest.Records(kafkatest.Bounced, 50), kafkatest.Records(kafkatest.Suppressed, 50)...)...)
				core, seen := observer.New(zapcore.InfoLevel)
				log := zap.New(core)
				c, err := group.New(b.Config, group.Config{Group: "readers", Topics: []string{kafkatest.Bounced, kafkatest.Opened}}, log, prometheus.NewRegistry())
				if err != nil {
					t.Fatal(err)
				}
				tail, err := read.NewTail(b.Config, read.TailConfig{Topic: kafkatest.Suppressed}, log, prometheus.NewRegistry())
				if err != nil {
					t.Fatal(err)
				}
				nothing := func(context.Context, []*kgo.Record) error { return nil }
				group := kafkatest.Go(t, func(ctx context.Context) error { return c.Run(ctx, nothing) })
				all := kafkatest.Go(t, func(ctx context.Context) error { return tail.Run(ctx, nothing) })
				<-tail.CaughtUp()
				servicetest.Eventually(t, "the group is up to date", func() bool { _, ok := c.FreshAt(); return ok })
				seen.TakeAll()
				requests := 0
				b.Control(func(kmsg.Request) (kmsg.Response, error, bool) {
					b.KeepControl()
					requests++
					return nil, nil, false
				})
				tc.harm(t, b)
				const periods = 12
				time.Sleep(periods * telemetry.LinePeriod)
				if n := seen.Len(); n > linesMaxIn(periods, kinds) {
					t.Errorf("%d lines in %d periods, want at most %d, such as %v", n, periods, linesMaxIn(periods, kinds), seen.All()[n-1])
				}
				group.Stop()
				all.Stop()
				<-group.Done
				<-all.Done
				b.Close()
				if perSecond := requests / int(periods*telemetry.LinePeriod/time.Second); perSecond > requestsMax {
					t.Errorf("%d requests a second, want at most %d", perSecond, requestsMax)
				}
			})
		})
	}
}

// fetchRefusal answers every partition of req with code.
func fetchRefusal(req *kmsg.FetchRequest, code *kerr.Error) *kmsg.FetchResponse {
	resp := req.ResponseKind().(*kmsg.FetchResponse)
	for _, topic := range req.Topics {
		rt := kmsg.NewFetchResponseTopic()
		rt.Topic, rt.TopicID = topic.Topic, topic.TopicID
		for _, p := range topic.Partitions {
			rp := kmsg.NewFetchResponseTopicPartition()
			rp.Partition, rp.ErrorCode = p.Partition, code.Code
			rt.Partitions = append(rt.Partitions, rp)
		}
		resp.Topics = append(resp.Topics, rt)
	}
	return resp
}
