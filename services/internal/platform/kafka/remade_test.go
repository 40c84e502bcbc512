package kafka_test

import (
	"context"
	"errors"
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
	"github.com/mailstream/mailstream/services/internal/platform/kafka/produce"
	"github.com/mailstream/mailstream/services/internal/platform/kafka/read"
	"github.com/mailstream/mailstream/services/internal/platform/telemetry"
)

func TestProducer_TakesUpATopicMadeAnew(t *testing.T) {
	t.Parallel()
	cfg := kafkatest.Start(t)
	p := producer(t, cfg, produce.Config{})
	if err := p.Publish(bounded(t), records(bounced, 20)...); err != nil {
		t.Fatal(err)
	}
	kafkatest.Remake(t, cfg, bounced)
	until(t, "records are taken again", func() bool { return p.Publish(bounded(t), records(bounced, 20)...) == nil })
	if err := p.Publish(bounded(t), records(opened, 20)...); err != nil {
		t.Errorf("Publish to another topic = %v", err)
	}
	if n := len(kafkatest.ReadAll(t, cfg, bounced)); n < 20 {
		t.Errorf("the new topic has %d records, want the 20 that were acknowledged", n)
	}
}

func TestProducer_TakesUpATopicThatWasGoneForAWhile(t *testing.T) {
	t.Parallel()
	cfg := kafkatest.Start(t)
	p := producer(t, cfg, produce.Config{PublishTimeout: 2 * time.Second})
	if err := p.Publish(bounded(t), record(bounced, 1)); err != nil {
		t.Fatal(err)
	}
	kafkatest.Delete(t, cfg, bounced)
	if err := p.Publish(bounded(t), record(bounced, 2)); err == nil || fate.Of(err) != fate.Retry {
		t.Errorf("Publish to a topic that is gone = %v (%s), want an error to retry", err, fate.Of(err))
	}
	kafkatest.Make(t, cfg)
	until(t, "records are taken again", func() bool { return p.Publish(bounded(t), record(bounced, 3)) == nil })
}

// gauge returns the sum of the metric called name.
func gauge(t *testing.T, reg *prometheus.Registry, name string) float64 {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	sum := 0.0
	for _, f := range families {
		if f.GetName() == name {
			for _, m := range f.GetMetric() {
				sum += m.GetGauge().GetValue() + m.GetCounter().GetValue()
			}
		}
	}
	return sum
}

func TestConsumer_SaysThatItIsBehindATopicMadeAnewAndReadsItWhenBegunAgain(t *testing.T) {
	t.Parallel()
	cfg := kafkatest.Start(t)
	kafkatest.Produce(t, cfg, records(bounced, 200)...)
	reg := newRegistry()
	c, err := group.New(cfg, group.Config{
		Group: "readers", Topics: []string{bounced, opened}, FetchWaitMax: 20 * time.Millisecond, CheckInterval: 20 * time.Millisecond,
	}, kafkatest.Logger(t), reg)
	if err != nil {
		t.Fatal(err)
	}
	first := newLedger()
	r := start(t, func(ctx context.Context) error {
		return c.Run(ctx, func(_ context.Context, recs []*kgo.Record) error { first.note(recs); return nil })
	})
	until(t, "all is read", func() bool { return first.handled() == 200 })
	until(t, "nothing lags", func() bool { return gauge(t, reg, "mailstream_kafka_lag_records") == 0 })

	kafkatest.Remake(t, cfg, bounced)
	kafkatest.Produce(t, cfg, records(bounced, 40)...)
	// It may begin anew by itself; until then it must not say that all is well.
	until(t, "the new records count as lag, or reading begins anew", func() bool {
		return gauge(t, reg, "mailstream_kafka_lag_records") == 40 || len(r.done) > 0
	})
	if at, ok := c.FreshAt(); ok && time.Since(at) < 0 {
		t.Errorf("fresh at %s, in the future", at)
	}
	if err := r.end(t); err != nil && fate.Of(err) != fate.StartAgain {
		t.Errorf("Run = %v (%s), want nil or the fate start again", err, fate.Of(err))
	}

	again := newLedger()
	c = consumer(t, cfg, group.Config{Topics: []string{bounced, opened}})
	r = start(t, func(ctx context.Context) error {
		return c.Run(ctx, func(_ context.Context, recs []*kgo.Record) error { again.note(recs); return nil })
	})
	until(t, "the new topic is read from its beginning", func() bool { return again.handled() == 40 })
	if err := r.end(t); err != nil || again.repeated() != 0 {
		t.Errorf("Run = %v, %d records twice; want all once", err, again.repeated())
	}
}

func TestConsumer_BeginsAnewWhereItsOffsetIsAfterTheEnd(t *testing.T) {
	t.Parallel()
	cfg := kafkatest.Start(t)
	kafkatest.Produce(t, cfg, records(bounced, 40)...)
	kafkatest.Commit(t, cfg, "readers", bounced, 5_000)
	l := newLedger()
	reg := newRegistry()
	c, err := group.New(cfg, group.Config{
		Group: "readers", Topics: []string{bounced, opened}, FetchWaitMax: 20 * time.Millisecond, CheckInterval: 20 * time.Millisecond,
	}, kafkatest.Logger(t), reg)
	if err != nil {
		t.Fatal(err)
	}
	r := start(t, func(ctx context.Context) error {
		return c.Run(ctx, func(_ context.Context, recs []*kgo.Record) error { l.note(recs); return nil })
	})
	until(t, "all is read", func() bool { return l.handled() == 40 })
	until(t, "it is up to date", func() bool { _, ok := c.FreshAt(); return ok })
	if err := r.end(t); err != nil {
		t.Error(err)
	}
}

func TestConsumer_CountsWhatWasDeletedBeforeItWasRead(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name string
		held bool // the consumer is under way when the records go
	}{{"before it starts", false}, {"while it is held up", true}} {
		t.Run(tc.name, func(t *testing.T) {
			cfg := kafkatest.Start(t)
			kafkatest.Produce(t, cfg, records(bounced, 400)...)
			kafkatest.Commit(t, cfg, "readers", bounced, 10)
			reg := newRegistry()
			gate := make(chan struct{})
			c, err := group.New(cfg, group.Config{
				Group: "readers", Topics: []string{bounced}, BatchRecordsMax: 4, FetchBytesMax: 1 << 10, FetchPartitionBytesMax: 1 << 8,
				FetchWaitMax: 20 * time.Millisecond, CheckInterval: 20 * time.Millisecond,
			}, zap.NewNop(), reg)
			if err != nil {
				t.Fatal(err)
			}
			if !tc.held {
				close(gate)
				kafkatest.DeleteRecords(t, cfg, bounced, 60)
			}
			l := newLedger()
			held := make(chan struct{}, 1_000)
			r := start(t, func(ctx context.Context) error {
				return c.Run(ctx, func(_ context.Context, recs []*kgo.Record) error {
					held <- struct{}{}
					<-gate
					l.note(recs)
					return nil
				})
			})
			if tc.held {
				<-held
				kafkatest.DeleteRecords(t, cfg, bounced, 60)
				close(gate)
			}
			ends := kafkatest.Ends(t, cfg, bounced)
			until(t, "the rest is read", func() bool {
				for _, p := range c.Positions() {
					if p.Next != ends[p.Partition] {
						return false
					}
				}
				return len(c.Positions()) == len(ends)
			})
			want := 400 - 10*kafkatest.Partitions - l.handled()
			lost := func() float64 { return gauge(t, reg, "mailstream_kafka_lost_records_total") }
			until(t, "what is gone is counted", func() bool { return lost() >= float64(want) })
			if inHand := 4.0; lost() > float64(want)+inHand {
				t.Errorf("%v records counted as lost, want %d, and those in hand at most", lost(), want)
			}
			if err := r.end(t); err != nil || want <= 0 {
				t.Errorf("Run = %v, %d records lost; want some", err, want)
			}
		})
	}
}

func TestConsumer_ReadsAgainWhenItsGroupWasDeleted(t *testing.T) {
	t.Parallel()
	cfg := kafkatest.Start(t)
	kafkatest.Produce(t, cfg, records(bounced, 40)...)
	for range 2 {
		l := newLedger()
		c := consumer(t, cfg, group.Config{})
		r := start(t, func(ctx context.Context) error {
			return c.Run(ctx, func(_ context.Context, recs []*kgo.Record) error { l.note(recs); return nil })
		})
		until(t, "all is read", func() bool { return l.handled() == 40 })
		if err := r.end(t); err != nil {
			t.Error(err)
		}
		kafkatest.DeleteGroup(t, cfg, "readers")
	}
}

func TestConsumer_EndsWhenTheGroupIsDenied(t *testing.T) {
	t.Parallel()
	for _, key := range []kmsg.Key{kmsg.JoinGroup, kmsg.Heartbeat, kmsg.OffsetFetch, kmsg.FindCoordinator} {
		t.Run(key.Name(), func(t *testing.T) {
			t.Parallel()
			b := kafkatest.StartBroker(t)
			b.ControlKey(int16(key), func(req kmsg.Request) (kmsg.Response, error, bool) {
				b.KeepControl()
				return groupRefusal(req, kerr.GroupAuthorizationFailed), nil, true
			})
			c := consumer(t, b.Config, group.Config{})
			r := start(t, func(ctx context.Context) error {
				return c.Run(ctx, func(context.Context, []*kgo.Record) error { return nil })
			})
			if err := r.wait(t); !errors.Is(err, kafka.ErrDenied) || fate.Of(err) != fate.Halt {
				t.Errorf("Run = %v (%s), want ErrDenied with the fate halt", err, fate.Of(err))
			}
		})
	}
}

// groupRefusal answers a request of a group with code.
func groupRefusal(req kmsg.Request, code *kerr.Error) kmsg.Response {
	resp := req.ResponseKind()
	switch resp := resp.(type) {
	case *kmsg.JoinGroupResponse:
		resp.ErrorCode = code.Code
	case *kmsg.HeartbeatResponse:
		resp.ErrorCode = code.Code
	case *kmsg.OffsetFetchResponse:
		for _, g := range req.(*kmsg.OffsetFetchRequest).Groups {
			rg := kmsg.NewOffsetFetchResponseGroup()
			rg.Group, rg.ErrorCode = g.Group, code.Code
			resp.Groups = append(resp.Groups, rg)
		}
	case *kmsg.FindCoordinatorResponse:
		for _, k := range req.(*kmsg.FindCoordinatorRequest).CoordinatorKeys {
			rk := kmsg.NewFindCoordinatorResponseCoordinator()
			rk.Key, rk.ErrorCode = k, code.Code
			resp.Coordinators = append(resp.Coordinators, rk)
		}
	}
	return resp
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
	remake := func(t *testing.T, b *kafkatest.Broker) { kafkatest.Remake(t, b.Config, bounced, suppressed) }
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
		{"topic deleted", func(t *testing.T, b *kafkatest.Broker) { kafkatest.Delete(t, b.Config, bounced, suppressed) }},
		{"records deleted", func(t *testing.T, b *kafkatest.Broker) {
			kafkatest.Produce(t, b.Config, records(bounced, 100)...)
			kafkatest.DeleteRecords(t, b.Config, bounced, -1)
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
				kafkatest.Produce(t, b.Config, append(records(bounced, 50), records(suppressed, 50)...)...)
				core, seen := observer.New(zapcore.InfoLevel)
				log := zap.New(core)
				c, err := group.New(b.Config, group.Config{Group: "readers", Topics: []string{bounced, opened}}, log, newRegistry())
				if err != nil {
					t.Fatal(err)
				}
				tail, err := read.NewTail(b.Config, read.TailConfig{Topic: suppressed}, log, newRegistry())
				if err != nil {
					t.Fatal(err)
				}
				nothing := func(context.Context, []*kgo.Record) error { return nil }
				group := start(t, func(ctx context.Context) error { return c.Run(ctx, nothing) })
				all := start(t, func(ctx context.Context) error { return tail.Run(ctx, nothing) })
				<-tail.CaughtUp()
				until(t, "the group is up to date", func() bool { _, ok := c.FreshAt(); return ok })
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
				group.stop()
				all.stop()
				<-group.done
				<-all.done
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
