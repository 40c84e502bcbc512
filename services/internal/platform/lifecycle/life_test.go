package lifecycle_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/mailstream/mailstream/services/internal/platform/fate"
	"github.com/mailstream/mailstream/services/internal/platform/lifecycle"
)

func TestLife_ClosesWhatWasOpenedAfterAllTasksTheLastFirst(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var d diary
		core, lines := observer.New(zapcore.InfoLevel)
		l := lifecycle.New(zap.New(core))
		flush := errors.New("flush: no broker")
		l.Closes("producer", func(context.Context) error { d.add("close producer"); return flush })
		l.ClosesPlain("watch", func() { d.add("close watch") })
		ctx, cancel := context.WithCancel(t.Context())
		open := lifecycle.Task{Name: "open store", Start: func(context.Context) error {
			l.Closes("store", func(ctx context.Context) error {
				d.add("close store")
				<-ctx.Done() // it hangs
				return ctx.Err()
			})
			return nil
		}}
		done := make(chan error, 1)
		go func() { done <- l.Run(ctx, []lifecycle.Task{d.task("http", nil), open, d.task("intake", nil)}) }()
		<-l.Ready()
		began := time.Now()
		cancel()
		err := <-done
		if took := time.Since(began); took != 5*time.Second {
			t.Errorf("the stop took %s, want 5s", took)
		}
		if !errors.Is(err, flush) || err.Error() != "close store: context deadline exceeded\nclose producer: flush: no broker" {
			t.Errorf("Run = %v", err)
		}
		want := []string{"run http", "run intake", "end intake", "end http", "close store", "close watch", "close producer"}
		if diff := cmp.Diff(want, d.lines); diff != "" {
			t.Error(diff)
		}
		if n := lines.FilterMessage("tasks start in this order").Len(); n != 1 {
			t.Errorf("the list of tasks is logged %d times, want once", n)
		}
	})
}

func TestLife_IsReadyWhenItsLastTaskIs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := lifecycle.New(zap.NewNop())
		ready := make(chan struct{})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() {
			done <- l.Run(ctx, []lifecycle.Task{
				{Name: "topics", Start: func(ctx context.Context) error { return lifecycle.Sleep(ctx, time.Minute) }},
				{Name: "list", Ready: ready},
			})
		}()
		time.Sleep(2 * time.Minute)
		if l.IsReady() {
			t.Error("ready before its last task")
		}
		close(ready)
		synctest.Wait()
		if !l.IsReady() {
			t.Error("not ready")
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func TestLife_ABuildThatFailsClosesWhatItOpened(t *testing.T) {
	t.Parallel()
	fault := errors.New("no such file")
	for _, tt := range []struct {
		name string
		fail func() error
	}{{"error", func() error { return fault }}, {"panic", func() error { panic(fault) }}} {
		var d diary
		var err error
		func() {
			defer func() {
				if why := recover(); why != nil {
					err = why.(error)
				}
			}()
			l := lifecycle.New(zap.NewNop())
			err = l.Build(func() error {
				l.ClosesPlain("producer", func() { d.add("close producer") })
				l.ClosesPlain("client", func() { d.add("close client") })
				return tt.fail()
			})
		}()
		if !errors.Is(err, fault) {
			t.Errorf("%s: Build = %v, want %v", tt.name, err, fault)
		}
		if diff := cmp.Diff([]string{"close client", "close producer"}, d.lines); diff != "" {
			t.Errorf("%s: %s", tt.name, diff)
		}
	}
}

func TestLife_TheFirstFailureNamesItsTaskAndKeepsItsFate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := lifecycle.New(zap.NewNop())
		l.Closes("producer", func(context.Context) error { return fate.Wrap(fate.Halt, errors.New("flush: no broker")) })
		recreated := fate.Wrap(fate.StartAgain, errors.New("topic was made anew"))
		err := l.Run(t.Context(), []lifecycle.Task{
			{Name: "http", Run: func(ctx context.Context) error { <-ctx.Done(); return errors.New("close listeners") }},
			{Name: "consumer", Run: func(ctx context.Context) error { <-ctx.Done(); return context.Cause(ctx) }},
			{Name: "topics", Run: func(ctx context.Context) error { return recreated }},
		})
		want := "topics: topic was made anew\nhttp: close listeners\nclose producer: flush: no broker"
		if err == nil || err.Error() != want || fate.Of(err) != fate.StartAgain {
			t.Errorf("Run = %v (%s), want %s", err, fate.Of(err), want)
		}
	})
}
