package group_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/mailstream/mailstream/services/internal/platform/kafka/group"
	"github.com/mailstream/mailstream/services/internal/platform/kafka/kafkatest"
	"github.com/mailstream/mailstream/services/servicetest"
)

// What a crash costs is on the wire, whatever a comment says.
func TestConsumer_TellsTheGroupASessionOf15sAndShowsALifeSignASecond(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := kafkatest.StartVirtual(t)
		var mu sync.Mutex
		var session int32
		var beats []time.Time
		b.Control(func(req kmsg.Request) (kmsg.Response, error, bool) {
			b.KeepControl()
			mu.Lock()
			defer mu.Unlock()
			switch req := req.(type) {
			case *kmsg.JoinGroupRequest:
				session = req.SessionTimeoutMillis
			case *kmsg.HeartbeatRequest:
				beats = append(beats, time.Now())
			}
			return nil, nil, false
		})
		c := kafkatest.Consumer(t, b.Config, group.Config{})
		r := kafkatest.Go(t, func(ctx context.Context) error {
			return c.Run(ctx, func(context.Context, []*kgo.Record) error { return nil })
		})
		servicetest.Eventually(t, "partitions are assigned", func() bool { return len(c.Positions()) == kafkatest.Partitions })
		began := time.Now()
		time.Sleep(time.Minute)
		mu.Lock()
		defer mu.Unlock()
		if session != 15_000 {
			t.Errorf("JoinGroup said a session of %d ms, want 15000", session)
		}
		seen := 0
		for _, at := range beats {
			if at.After(began) {
				seen++
			}
		}
		if seen < 55 || seen > 65 {
			t.Errorf("%d heartbeats in a minute, want one a second", seen)
		}
		r.Stop()
	})
}

func TestConsumer_OnAssignedGivesWayToARebalance(t *testing.T) {
	t.Parallel()
	cfg := kafkatest.Start(t)
	kafkatest.Produce(t, cfg, kafkatest.Records(kafkatest.Bounced, 100)...)
	var entered, open atomic.Bool
	l := kafkatest.NewLedger()
	handle := func(_ context.Context, recs []*kgo.Record) error { l.Note(recs); return nil }
	first := kafkatest.Consumer(t, cfg, group.Config{
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
	a := kafkatest.Go(t, func(ctx context.Context) error { return first.Run(ctx, handle) })
	servicetest.Eventually(t, "the first member is asked to wait", entered.Load)
	second := kafkatest.Consumer(t, cfg, group.Config{})
	b := kafkatest.Go(t, func(ctx context.Context) error { return second.Run(ctx, handle) })
	servicetest.Eventually(t, "each has its share", func() bool { return len(first.Positions()) == 2 && len(second.Positions()) == 2 })
	open.Store(true)
	if err := b.End(t); err != nil { // ends the wait of the first by one more rebalance
		t.Error(err)
	}
	servicetest.Eventually(t, "all is handled", func() bool { return l.Handled() == 100 })
	if err := a.End(t); err != nil {
		t.Error(err)
	}
}
