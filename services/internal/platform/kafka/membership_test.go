package kafka_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/mailstream/mailstream/services/internal/platform/kafka/group"
	"github.com/mailstream/mailstream/services/internal/platform/kafka/kafkatest"
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
		c := consumer(t, b.Config, group.Config{})
		r := start(t, func(ctx context.Context) error {
			return c.Run(ctx, func(context.Context, []*kgo.Record) error { return nil })
		})
		until(t, "partitions are assigned", func() bool { return len(c.Positions()) == kafkatest.Partitions })
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
		r.stop()
	})
}
