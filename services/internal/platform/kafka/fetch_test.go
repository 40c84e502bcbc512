package kafka_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/mailstream/mailstream/services/internal/platform/fate"
	"github.com/mailstream/mailstream/services/internal/platform/kafka"
	"github.com/mailstream/mailstream/services/internal/platform/kafka/group"
	"github.com/mailstream/mailstream/services/internal/platform/kafka/kafkatest"
	"github.com/mailstream/mailstream/services/internal/platform/kafka/read"
)

// failFetches answers every partition of every fetch with code while on holds.
func failFetches(b *kafkatest.Broker, code *kerr.Error, on func() bool) {
	b.ControlKey(int16(kmsg.Fetch), func(req kmsg.Request) (kmsg.Response, error, bool) {
		b.KeepControl()
		if !on() {
			return nil, nil, false
		}
		fetch := req.(*kmsg.FetchRequest)
		resp := req.ResponseKind().(*kmsg.FetchResponse)
		for _, topic := range fetch.Topics {
			rt := kmsg.NewFetchResponseTopic()
			rt.Topic, rt.TopicID = topic.Topic, topic.TopicID
			for _, p := range topic.Partitions {
				rp := kmsg.NewFetchResponseTopicPartition()
				rp.Partition, rp.ErrorCode = p.Partition, code.Code
				rt.Partitions = append(rt.Partitions, rp)
			}
			resp.Topics = append(resp.Topics, rt)
		}
		return resp, nil, true
	})
}

func TestFaultsWhileReading_AreWaitedOutWithoutSpinning(t *testing.T) {
	t.Parallel()
	b := kafkatest.StartBroker(t)
	kafkatest.Produce(t, b.Config, records(bounced, 50)...)
	var failing atomic.Bool
	var answers atomic.Int64
	failing.Store(true)
	failFetches(b, kerr.UnknownServerError, func() bool {
		answers.Add(1)
		return failing.Load()
	})
	grouped, tailed := newLedger(), newLedger()
	c, tl := consumer(t, b.Config, group.Config{}), tail(t, b.Config, read.TailConfig{Topic: bounced})
	g := start(t, func(ctx context.Context) error {
		return c.Run(ctx, func(_ context.Context, recs []*kgo.Record) error { grouped.note(recs); return nil })
	})
	tr := start(t, func(ctx context.Context) error {
		return tl.Run(ctx, func(_ context.Context, recs []*kgo.Record) error { tailed.note(recs); return nil })
	})
	until(t, "both have met the fault", func() bool { return answers.Load() > 4 })
	watch, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	<-watch.Done()
	if n := answers.Load(); n > 400 {
		t.Errorf("%d fetches in a second of faults", n)
	}
	failing.Store(false)
	until(t, "all is read", func() bool { return grouped.handled() == 50 && tailed.handled() == 50 })
	for _, r := range []*running{g, tr} {
		if err := r.end(t); err != nil {
			t.Error(err)
		}
	}
}

func TestFaultsWhileReading_DenialHalts(t *testing.T) {
	t.Parallel()
	b := kafkatest.StartBroker(t)
	failFetches(b, kerr.TopicAuthorizationFailed, func() bool { return true })
	nop := func(context.Context, []*kgo.Record) error { return nil }
	c, tl := consumer(t, b.Config, group.Config{}), tail(t, b.Config, read.TailConfig{Topic: bounced})
	for _, r := range []*running{
		start(t, func(ctx context.Context) error { return c.Run(ctx, nop) }),
		start(t, func(ctx context.Context) error { return tl.Run(ctx, nop) }),
	} {
		if err := r.wait(t); !errors.Is(err, kafka.ErrDenied) || fate.Of(err) != fate.Halt {
			t.Errorf("Run = %v (%s), want ErrDenied (halt)", err, fate.Of(err))
		}
	}
}

func TestConsumer_OnAssignedGivesWayToARebalance(t *testing.T) {
	t.Parallel()
	cfg := kafkatest.Start(t)
	kafkatest.Produce(t, cfg, records(bounced, 100)...)
	var entered, open atomic.Bool
	l := newLedger()
	handle := func(_ context.Context, recs []*kgo.Record) error { l.note(recs); return nil }
	first := consumer(t, cfg, group.Config{
		HandOver: 10 * time.Millisecond,
		OnAssigned: func(ctx context.Context, _ map[string][]int32) error {
			entered.Store(true)
			if open.Load() {
				return nil
			}
			<-ctx.Done() // what it waits for never comes
			return context.Cause(ctx)
		},
	})
	a := start(t, func(ctx context.Context) error { return first.Run(ctx, handle) })
	until(t, "the first member is asked to wait", entered.Load)
	second := consumer(t, cfg, group.Config{})
	b := start(t, func(ctx context.Context) error { return second.Run(ctx, handle) })
	until(t, "the second has its share", func() bool { return len(second.Positions()) == 2 })
	if n := len(first.Positions()); n != 2 {
		t.Errorf("the first has %d partitions, want 2", n)
	}
	open.Store(true)
	if err := b.end(t); err != nil { // ends the wait of the first by one more rebalance
		t.Error(err)
	}
	until(t, "all is handled", func() bool { return l.handled() == 100 })
	if err := a.end(t); err != nil {
		t.Error(err)
	}
}
