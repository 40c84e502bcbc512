//go:build !kafka

package e2e

import (
	"context"
	"testing"

	"go.uber.org/zap"

	"github.com/mailstream/mailstream/devstack/broker"
	"github.com/mailstream/mailstream/services/servicetest"
)

// externalBroker returns "": the stack embeds its own broker.
func externalBroker(*testing.T) string { return "" }

func stopBroker() {}

// compact does nothing: the embedded broker compacts when it starts.
func (r replicas) compact(*process) (given, left int64) { return r.counted() }

// newOutage starts a broker of its own that can be taken away.
func newOutage(t *testing.T) outage {
	t.Helper()
	dir, listen := t.TempDir(), servicetest.FreePort(t).Addr
	var cancel context.CancelFunc
	var done chan error
	start := func() error {
		ctx, stop := context.WithCancel(context.Background())
		b := broker.New(broker.Config{Listen: listen, DataDir: dir}, zap.NewNop())
		cancel, done = stop, make(chan error, 1)
		go func() { done <- b.Run(ctx) }()
		select {
		case <-b.Ready():
			return nil
		case err := <-done:
			done = nil
			return err
		}
	}
	stop := func() error {
		if done == nil {
			return nil
		}
		cancel()
		err := <-done
		done = nil
		return err
	}
	t.Cleanup(func() {
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
	if err := start(); err != nil {
		t.Fatal(err)
	}
	return outage{addr: listen, take: stop, giveBack: start}
}
