package kafkatest

import (
	"context"
	"testing"
	"time"
)

// Timeout is how long a test waits for one thing before it fails, on a machine that is
// busy with others too.
const Timeout = 2 * time.Minute

// Context ends with the test, after Timeout at the latest.
func Context(tb testing.TB) context.Context {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), Timeout)
	tb.Cleanup(cancel)
	return ctx
}

// Running is a Run in its own goroutine.
type Running struct {
	// Stop asks it to end.
	Stop context.CancelFunc
	// Done has its error once it has ended.
	Done chan error
}

// Go starts run, and asks it to end with the test.
func Go(tb testing.TB, run func(ctx context.Context) error) *Running {
	tb.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	r := &Running{Stop: cancel, Done: make(chan error, 1)}
	go func() { r.Done <- run(ctx) }()
	tb.Cleanup(cancel)
	return r
}

// End stops it and returns its error.
func (r *Running) End(tb testing.TB) error {
	tb.Helper()
	r.Stop()
	return r.Wait(tb)
}

// Wait returns its error once it has ended by itself.
func (r *Running) Wait(tb testing.TB) error {
	tb.Helper()
	select {
	case err := <-r.Done:
		return err
	case <-time.After(Timeout):
		tb.Fatal("Run did not end")
		return nil
	}
}
