// Package servicetest runs what a test is about and waits for what the test wants to
// see. It knows no service, so that the tests of all packages and of the development
// stack use it.
package servicetest

import (
	"context"
	"testing"
	"time"
)

// Patience bounds every wait for what must happen. It is far above what anything
// takes, since the machine may be busy with other tests: it is not a measurement.
const Patience = 2 * time.Minute

// Between two questions of Eventually is a pollShare of the time that it has waited,
// within these bounds: short beside what is waited for, and long beside asking for it.
const (
	pollMin   = 5 * time.Millisecond
	pollMax   = 250 * time.Millisecond
	pollShare = 20
)

// Eventually waits until ok is true; what says in a message what did not happen.
func Eventually(tb testing.TB, what string, ok func() bool) {
	tb.Helper()
	EventuallyOr(tb, ok, func() string { return what })
}

// EventuallyOr is Eventually for a message that is known at the end: otherwise says
// what is there instead.
func EventuallyOr(tb testing.TB, ok func() bool, otherwise func() string) {
	tb.Helper()
	for start := time.Now(); ; {
		began := time.Now()
		if ok() {
			return
		}
		waited := time.Since(start)
		if waited > Patience {
			tb.Fatalf("waited %s in vain: %s", Patience, otherwise())
		}
		// To ask, of a database above all, slows down what is waited for.
		<-time.After(max(min(max(pollMin, waited/pollShare), pollMax), 3*time.Since(began)))
	}
}

// Running is a function that runs until its context ends.
type Running struct {
	tb     testing.TB
	cancel context.CancelFunc
	done   chan struct{}
	err    error
	asked  bool // the test has the error
}

// Run runs f until Stop is called or the test ends. An error that the test does not
// ask for fails it.
func Run(tb testing.TB, f func(context.Context) error) *Running {
	tb.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	r := &Running{tb: tb, cancel: cancel, done: make(chan struct{})}
	go func() {
		defer close(r.done)
		r.err = f(ctx)
	}()
	tb.Cleanup(func() {
		tb.Helper()
		if r.asked {
			return
		}
		if err := r.Stop(); err != nil {
			tb.Errorf("run: %v", err)
		}
	})
	return r
}

// Stop ends it, waits for that and returns its error. Further calls do nothing
// more.
func (r *Running) Stop() error {
	r.tb.Helper()
	r.cancel()
	return r.Wait()
}

// Wait waits until it has ended by itself and returns its error.
func (r *Running) Wait() error {
	r.tb.Helper()
	r.asked = true
	select {
	case <-r.done:
		return r.err
	case <-time.After(Patience):
		r.tb.Fatalf("run: still running after %s", Patience)
		return nil
	}
}

// Service is what Start runs.
type Service interface {
	Run(context.Context) error
	// Ready is closed when the service does its work.
	Ready() <-chan struct{}
}

// Start is Run of a service, and returns when it is ready.
func Start(tb testing.TB, s Service) *Running {
	tb.Helper()
	r := Run(tb, s.Run)
	select {
	case <-s.Ready():
	case <-r.done:
		tb.Fatalf("run: ended before it was ready: %v", r.Wait())
	case <-time.After(Patience):
		tb.Fatalf("run: not ready after %s", Patience)
	}
	return r
}
