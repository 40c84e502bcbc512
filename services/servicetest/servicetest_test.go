package servicetest_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/mailstream/mailstream/services/servicetest"
)

// record is a test that a failure does not fail.
type record struct {
	testing.TB
	message  string
	cleanups []func()
}

func (r *record) Helper()                        {}
func (r *record) Cleanup(f func())               { r.cleanups = append(r.cleanups, f) }
func (r *record) Errorf(format string, a ...any) { r.message += fmt.Sprintf(format, a...) }
func (r *record) Fatalf(format string, a ...any) {
	r.Errorf(format, a...)
	runtime.Goexit()
}

// failure returns what a test says that does f and ends.
func failure(t *testing.T, f func(testing.TB)) string {
	r := &record{TB: t}
	for _, step := range []func(){func() { f(r) }, func() {
		for _, cleanup := range r.cleanups {
			cleanup()
		}
	}} {
		done := make(chan struct{})
		go func() {
			defer close(done)
			step()
		}()
		<-done
	}
	return r.message
}

type service struct {
	ready chan struct{}
	run   func(context.Context) error
}

func (s service) Ready() <-chan struct{}        { return s.ready }
func (s service) Run(ctx context.Context) error { return s.run(ctx) }

func TestKit_SaysWhatWentWrong(t *testing.T) {
	t.Parallel()
	fault := errors.New("port is taken")
	open, never := make(chan struct{}), make(chan struct{})
	close(open)
	ends := func(context.Context) error { return fault }
	waits := func(ctx context.Context) error { <-ctx.Done(); return nil }
	wrong := func(ctx context.Context) error { <-ctx.Done(); return fault }
	for _, tt := range []struct {
		name, want string
		f          func(testing.TB)
	}{
		{"in time", "", func(tb testing.TB) {
			n := 0
			servicetest.Eventually(tb, "three", func() bool { n++; return n == 3 })
		}},
		{"never", "waited 2m0s in vain: a fourth", func(tb testing.TB) {
			servicetest.Eventually(tb, "a fourth", func() bool { return false })
		}},
		{"what there is", "in vain: got 3", func(tb testing.TB) {
			servicetest.EventuallyOr(tb, func() bool { return false }, func() string { return "got 3" })
		}},
		{"a life", "", func(tb testing.TB) { servicetest.Start(tb, service{open, waits}) }},
		{"an error at the end", "run: port is taken", func(tb testing.TB) { servicetest.Start(tb, service{open, wrong}) }},
		{"an error that is asked for", "", func(tb testing.TB) {
			if err := servicetest.Start(tb, service{open, wrong}).Stop(); !errors.Is(err, fault) {
				tb.Errorf("stop: %v", err)
			}
		}},
		{"an end of its own", "", func(tb testing.TB) {
			if err := servicetest.Run(tb, ends).Wait(); !errors.Is(err, fault) {
				tb.Errorf("wait: %v", err)
			}
		}},
		{"an end too early", "ended before it was ready: port is taken", func(tb testing.TB) { servicetest.Start(tb, service{never, ends}) }},
		{"not ready", "not ready after 2m0s", func(tb testing.TB) { servicetest.Start(tb, service{make(chan struct{}), waits}) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				got := failure(t, tt.f)
				if (tt.want == "") != (got == "") || !strings.Contains(got, tt.want) {
					t.Errorf("says %q, want %q", got, tt.want)
				}
			})
		})
	}
}
