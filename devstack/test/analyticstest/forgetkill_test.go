package analyticstest

import (
	"context"
	"testing"

	"go.uber.org/zap"

	"github.com/mailstream/mailstream/services/pipeline"
	"github.com/mailstream/mailstream/services/servicetest"
	"github.com/mailstream/mailstream/services/subject"
)

// TestForget_GoesOnAfterAKill kills the engine once analytics has begun to erase, and ends
// the command: analytics carries out what was asked for.
func TestForget_GoesOnAfterAKill(t *testing.T) {
	t.Parallel()
	own := newOwnEngine(t)
	w := &world{engine: own.now, database: "forgotten"}
	w.startBroker(t)
	w.prepare(t, `analytics: {listen: "127.0.0.1:0", flush_interval: 50ms, erase_interval: 1s}`, `privacy: {pepper: 0123456789abcdef0123456789abcdef}`)
	const people, gone = 20, 5
	_, stop := w.quietAnalytics(t)
	defer stop()
	w.settle(t, hasher(t, w.cfg), people)
	before := w.rates(t)
	var addresses []string
	for n := range gone {
		addresses = append(addresses, resident(n))
	}
	const mutations = "SELECT count() FROM system.mutations WHERE database = currentDatabase()"
	migrated := w.sql(t, mutations)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		_, err := pipeline.Forget(ctx, w.cfg, subject.Forget{Addresses: addresses, Reason: "request 4711", Wait: servicetest.Patience}, zap.NewNop())
		ended <- err
	}()
	servicetest.Eventually(t, "an erasure has begun", func() bool { return w.sql(t, mutations) != migrated })
	own.kill(t)
	cancel()
	if err := <-ended; err == nil {
		t.Log("the command had ended before")
	}
	own.start(t)
	w.engine = own.now
	w.wantSQL(t, "SELECT people, left FROM erasure_log FINAL", "5\t0")
	w.isForgotten(t, gone, people)
	if after := w.rates(t); after != before {
		t.Errorf("rates changed:\n%s\nwere\n%s", after, before)
	}
}
