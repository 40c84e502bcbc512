package lifecycle_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"github.com/mailstream/mailstream/services/internal/platform/lifecycle"
)

type diary struct {
	mu    sync.Mutex
	lines []string
}

func (d *diary) add(s string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lines = append(d.lines, s)
}

func (d *diary) task(name string, end error) lifecycle.Task {
	ready := make(chan struct{})
	return lifecycle.Task{Name: name, Ready: ready, Run: func(ctx context.Context) error {
		d.add("run " + name)
		if end != nil {
			return end
		}
		close(ready)
		<-ctx.Done()
		d.add("end " + name)
		return nil
	}}
}

func TestRunInOrder_StopsInReverseWhenAsked(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		var d diary
		done := make(chan error, 1)
		go func() {
			done <- lifecycle.RunInOrder(ctx, []lifecycle.Task{d.task("broker", nil), d.task("engine", nil), d.task("ingress", nil)}, nil, nil)
		}()
		synctest.Wait()
		cancel()
		if err := <-done; err != nil {
			t.Errorf("RunInOrder = %v, want nil", err)
		}
		want := []string{"run broker", "run engine", "run ingress", "end ingress", "end engine", "end broker"}
		if diff := cmp.Diff(want, d.lines); diff != "" {
			t.Error(diff)
		}
	})
}

func TestRunInOrder_OneFaultStopsAll(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var d diary
		fault := errors.New("listen 127.0.0.1:8080: address in use")
		err := lifecycle.RunInOrder(t.Context(), []lifecycle.Task{d.task("broker", nil), d.task("ingress", fault), d.task("never", nil)}, nil, nil)
		if !errors.Is(err, fault) {
			t.Errorf("RunInOrder = %v, want %v", err, fault)
		}
		if slices.Contains(d.lines, "run never") || !slices.Contains(d.lines, "end broker") {
			t.Errorf("order of events: %v", d.lines)
		}
	})
}

func TestRunInOrder_ATaskThatDoesNotStartStopsTheOnesBefore(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var d diary
		fault := errors.New("topics contradict the configuration")
		check := lifecycle.Task{Name: "topics", Start: func(context.Context) error { return fault }, Run: func(context.Context) error { d.add("run topics"); return nil }}
		err := lifecycle.RunInOrder(t.Context(), []lifecycle.Task{d.task("http", nil), check, d.task("never", nil)}, nil, nil)
		if !errors.Is(err, fault) {
			t.Errorf("RunInOrder = %v, want %v", err, fault)
		}
		if diff := cmp.Diff([]string{"run http", "end http"}, d.lines); diff != "" {
			t.Error(diff)
		}
	})
}

func TestRunInOrder_TheStopWaitsForAStart(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		ended := false
		start := func(ctx context.Context) error {
			<-ctx.Done()
			ended = true
			return context.Cause(ctx)
		}
		done := make(chan error, 1)
		go func() { done <- lifecycle.RunInOrder(ctx, []lifecycle.Task{{Name: "topics", Start: start}}, nil, nil) }()
		synctest.Wait()
		cancel()
		if err := <-done; err != nil || !ended {
			t.Errorf("RunInOrder = %v, the start has ended: %t", err, ended)
		}
	})
}
