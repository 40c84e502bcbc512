package group_test

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

	"github.com/mailstream/mailstream/services/internal/platform/fate"
	"github.com/mailstream/mailstream/services/internal/platform/kafka"
	"github.com/mailstream/mailstream/services/internal/platform/kafka/group"
	"github.com/mailstream/mailstream/services/internal/platform/kafka/kafkatest"
	"github.com/mailstream/mailstream/services/servicetest"
)

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
	kafkatest.Produce(t, cfg, kafkatest.Records(kafkatest.Bounced, 200)...)
	reg := prometheus.NewRegistry()
	c, err := group.New(cfg, group.Config{
		Group: "readers", Topics: []string{kafkatest.Bounced, kafkatest.Opened}, FetchWaitMax: 20 * time.Millisecond, CheckInterval: 20 * time.Millisecond,
	}, kafkatest.Logger(t), reg)
	if err != nil {
		t.Fatal(err)
	}
	first := kafkatest.NewLedger()
	r := kafkatest.Go(t, func(ctx context.Context) error {
		return c.Run(ctx, func(_ context.Context, recs []*kgo.Record) error { first.Note(recs); return nil })
	})
	servicetest.Eventually(t, "all is read", func() bool { return first.Handled() == 200 })
	servicetest.Eventually(t, "nothing lags", func() bool { return gauge(t, reg, "mailstream_kafka_lag_records") == 0 })

	kafkatest.Remake(t, cfg, kafkatest.Bounced)
	kafkatest.Produce(t, cfg, kafkatest.Records(kafkatest.Bounced, 40)...)
	// It may begin anew by itself; until then it must not say that all is well.
	servicetest.Eventually(t, "the new records count as lag, or reading begins anew", func() bool {
		return gauge(t, reg, "mailstream_kafka_lag_records") == 40 || len(r.Done) > 0
	})
	if at, ok := c.FreshAt(); ok && time.Since(at) < 0 {
		t.Errorf("fresh at %s, in the future", at)
	}
	if err := r.End(t); err != nil && fate.Of(err) != fate.StartAgain {
		t.Errorf("Run = %v (%s), want nil or the fate start again", err, fate.Of(err))
	}

	again := kafkatest.NewLedger()
	c = kafkatest.Consumer(t, cfg, group.Config{Topics: []string{kafkatest.Bounced, kafkatest.Opened}})
	r = kafkatest.Go(t, func(ctx context.Context) error {
		return c.Run(ctx, func(_ context.Context, recs []*kgo.Record) error { again.Note(recs); return nil })
	})
	servicetest.Eventually(t, "the new topic is read from its beginning", func() bool { return again.Handled() == 40 })
	if err := r.End(t); err != nil || again.Repeated() != 0 {
		t.Errorf("Run = %v, %d records twice; want all once", err, again.Repeated())
	}
}

func TestConsumer_BeginsAnewWhereItsOffsetIsAfterTheEnd(t *testing.T) {
	t.Parallel()
	cfg := kafkatest.Start(t)
	kafkatest.Produce(t, cfg, kafkatest.Records(kafkatest.Bounced, 40)...)
	kafkatest.Commit(t, cfg, "readers", kafkatest.Bounced, 5_000)
	l := kafkatest.NewLedger()
	reg := prometheus.NewRegistry()
	c, err := group.New(cfg, group.Config{
		Group: "readers", Topics: []string{kafkatest.Bounced, kafkatest.Opened}, FetchWaitMax: 20 * time.Millisecond, CheckInterval: 20 * time.Millisecond,
	}, kafkatest.Logger(t), reg)
	if err != nil {
		t.Fatal(err)
	}
	r := kafkatest.Go(t, func(ctx context.Context) error {
		return c.Run(ctx, func(_ context.Context, recs []*kgo.Record) error { l.Note(recs); return nil })
	})
	servicetest.Eventually(t, "all is read", func() bool { return l.Handled() == 40 })
	servicetest.Eventually(t, "it is up to date", func() bool { _, ok := c.FreshAt(); return ok })
	if err := r.End(t); err != nil {
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
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { countsWhatWasDeleted(t, tc.held) })
		})
	}
}

// countsWhatWasDeleted needs virtual time: records that the client has fetched are
// handled although they are deleted meanwhile, and on a busy machine a check may
// come before they are.
func countsWhatWasDeleted(t *testing.T, whileHeld bool) {
	cfg := kafkatest.StartVirtual(t).Config
	kafkatest.Produce(t, cfg, kafkatest.Records(kafkatest.Bounced, 400)...)
	kafkatest.Commit(t, cfg, "readers", kafkatest.Bounced, 10)
	reg := prometheus.NewRegistry()
	gate := make(chan struct{})
	c, err := group.New(cfg, group.Config{
		Group: "readers", Topics: []string{kafkatest.Bounced}, BatchRecordsMax: 4, FetchBytesMax: 1 << 10, FetchPartitionBytesMax: 1 << 8,
		FetchWaitMax: 20 * time.Millisecond, CheckInterval: 20 * time.Millisecond,
	}, zap.NewNop(), reg)
	if err != nil {
		t.Fatal(err)
	}
	if !whileHeld {
		close(gate)
		kafkatest.DeleteRecords(t, cfg, kafkatest.Bounced, 60)
	}
	l := kafkatest.NewLedger()
	held := make(chan struct{}, 1_000)
	r := kafkatest.Go(t, func(ctx context.Context) error {
		return c.Run(ctx, func(_ context.Context, recs []*kgo.Record) error {
			held <- struct{}{}
			<-gate
			l.Note(recs)
			return nil
		})
	})
	if whileHeld {
		<-held
		kafkatest.DeleteRecords(t, cfg, kafkatest.Bounced, 60)
		close(gate)
	}
	ends := kafkatest.Ends(t, cfg, kafkatest.Bounced)
	servicetest.Eventually(t, "the rest is read", func() bool {
		for _, p := range c.Positions() {
			if p.Next != ends[p.Partition] {
				return false
			}
		}
		return len(c.Positions()) == len(ends)
	})
	want := 400 - 10*kafkatest.Partitions - l.Handled()
	lost := func() float64 { return gauge(t, reg, "mailstream_kafka_lost_records_total") }
	servicetest.Eventually(t, "what is gone is counted", func() bool { return lost() >= float64(want) })
	if inHand := 4.0; lost() > float64(want)+inHand {
		t.Errorf("%v records counted as lost, want %d, and those in hand at most", lost(), want)
	}
	if err := r.End(t); err != nil || want <= 0 {
		t.Errorf("Run = %v, %d records lost; want some", err, want)
	}
}

func TestConsumer_ReadsAgainWhenItsGroupWasDeleted(t *testing.T) {
	t.Parallel()
	cfg := kafkatest.Start(t)
	kafkatest.Produce(t, cfg, kafkatest.Records(kafkatest.Bounced, 40)...)
	for range 2 {
		l := kafkatest.NewLedger()
		c := kafkatest.Consumer(t, cfg, group.Config{})
		r := kafkatest.Go(t, func(ctx context.Context) error {
			return c.Run(ctx, func(_ context.Context, recs []*kgo.Record) error { l.Note(recs); return nil })
		})
		servicetest.Eventually(t, "all is read", func() bool { return l.Handled() == 40 })
		if err := r.End(t); err != nil {
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
			c := kafkatest.Consumer(t, b.Config, group.Config{})
			r := kafkatest.Go(t, func(ctx context.Context) error {
				return c.Run(ctx, func(context.Context, []*kgo.Record) error { return nil })
			})
			if err := r.Wait(t); !errors.Is(err, kafka.ErrDenied) || fate.Of(err) != fate.Halt {
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
