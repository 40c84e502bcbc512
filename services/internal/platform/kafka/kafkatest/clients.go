package kafkatest

import (
	"cmp"
	"context"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mailstream/mailstream/services/internal/platform/kafka"
	"github.com/mailstream/mailstream/services/internal/platform/kafka/group"
	"github.com/mailstream/mailstream/services/internal/platform/kafka/produce"
	"github.com/mailstream/mailstream/services/internal/platform/kafka/read"
)

// How soon the readers of tests look again and try again.
const (
	checkInterval = 20 * time.Millisecond
	retryMin      = time.Millisecond
	retryMax      = 5 * time.Millisecond
)

// Consumer returns a consumer of the group "readers" of Bounced, quick to look and
// to try again, unless cc says otherwise.
func Consumer(tb testing.TB, cfg kafka.Config, cc group.Config) *group.Consumer {
	tb.Helper()
	cc.Group = cmp.Or(cc.Group, "readers")
	if cc.Topics == nil {
		cc.Topics = []string{Bounced}
	}
	cc.FetchWaitMax = cmp.Or(cc.FetchWaitMax, 20*time.Millisecond)
	cc.Retry.Min, cc.Retry.Max = cmp.Or(cc.Retry.Min, retryMin), cmp.Or(cc.Retry.Max, retryMax)
	cc.CheckInterval = cmp.Or(cc.CheckInterval, checkInterval)
	c, err := group.New(cfg, cc, Logger(tb), prometheus.NewRegistry())
	if err != nil {
		tb.Fatal(err)
	}
	return c
}

// Tail returns a tail of Suppressed, quick to look and to try again, unless tc says
// otherwise.
func Tail(tb testing.TB, cfg kafka.Config, tc read.TailConfig) *read.Tail {
	tb.Helper()
	tc.Topic = cmp.Or(tc.Topic, Suppressed)
	tc.CheckInterval = cmp.Or(tc.CheckInterval, checkInterval)
	tc.Retry.Min, tc.Retry.Max = cmp.Or(tc.Retry.Min, retryMin), cmp.Or(tc.Retry.Max, retryMax)
	tl, err := read.NewTail(cfg, tc, Logger(tb), prometheus.NewRegistry())
	if err != nil {
		tb.Fatal(err)
	}
	return tl
}

// CaughtUp waits until tl has caught up.
func CaughtUp(tb testing.TB, tl *read.Tail) {
	tb.Helper()
	select {
	case <-tl.CaughtUp():
	case <-Context(tb).Done():
		tb.Fatal("tail did not catch up")
	}
}

// Producer returns a producer that is closed with the test.
func Producer(tb testing.TB, cfg kafka.Config, pc produce.Config) *produce.Producer {
	tb.Helper()
	p, err := produce.New(cfg, pc, Logger(tb), prometheus.NewRegistry())
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		p.Close(ctx) // some tests leave records behind on purpose
	})
	return p
}
