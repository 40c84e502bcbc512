// Package lifecycle runs a service: a list of named tasks that start in order and
// stop in reverse, with the resources that are closed after them. Beside it are
// back-off with jitter, attempts that it spaces, and a sleep that ends with its
// context. It starts no goroutine that it does not wait for.
package lifecycle

import (
	"context"
	"errors"
	"fmt"
)

// Task is one named part of a service or a process. It is ready, and the next task
// may start, once Start has returned nil and Ready is closed; a nil one of both is
// done at once.
type Task struct {
	Name string
	// Start does what comes before the next task, and returns.
	Start func(ctx context.Context) error
	// Run works until its context is done and returns soon after; to return before
	// is a failure. nil waits for the context.
	Run func(ctx context.Context) error
	// Ready is closed by Run.
	Ready <-chan struct{}
}

// ErrEnded is the failure of a task that returned no error before its context was
// done.
var ErrEnded = errors.New("ended by itself")

// RunInOrder starts the tasks one after the other, each when the one before is
// ready, and blocks until all have ended. The first that fails, or ctx, stops them
// in reverse order, each before the one it builds on. It returns every failure with
// the name of its task, the first one first, and nil when ctx ended tasks that all
// stopped well. onStart and onStop, when not nil, are called with each name.
func RunInOrder(ctx context.Context, tasks []Task, onStart, onStop func(name string)) error {
	return inOrder(ctx, tasks, hooks{onStart, onStop, nil})
}

// hooks are called from the goroutine of inOrder; each may be nil.
type hooks struct {
	start, stop func(name string)
	ready       func() // all tasks are ready
}

// running is a task that was started.
type running struct {
	Task
	cancel  context.CancelFunc
	started chan struct{} // closed when Start has returned nil
	ended   chan struct{} // closed when err is final
	err     error
}

func inOrder(ctx context.Context, tasks []Task, h hooks) error {
	ended := make(chan *running, len(tasks))
	var all []*running
	var failed *running
	for _, task := range tasks {
		notify(h.start, task.Name)
		r := begin(ctx, task, ended)
		all = append(all, r)
		if failed = first(ctx, ended, r.started); failed != nil || ctx.Err() != nil {
			break
		}
		if task.Ready == nil {
			continue
		}
		if failed = first(ctx, ended, task.Ready); failed != nil || ctx.Err() != nil {
			break
		}
	}
	if failed == nil && ctx.Err() == nil {
		if h.ready != nil {
			h.ready()
		}
		failed = first(ctx, ended, nil)
	}
	var fault error
	if failed != nil {
		fault = failed.fault()
	}
	for i := len(all) - 1; i >= 0; i-- {
		r := all[i]
		notify(h.stop, r.Name)
		r.cancel()
		<-r.ended
		if r != failed && r.err != nil && !errors.Is(r.err, context.Canceled) {
			fault = errors.Join(fault, r.fault())
		}
	}
	return fault
}

// begin starts a task, whose context ends by cancel alone: it has to outlive ctx
// until those that build on it have stopped.
func begin(ctx context.Context, task Task, ended chan<- *running) *running {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	r := &running{Task: task, cancel: cancel, started: make(chan struct{}), ended: make(chan struct{})}
	go func() {
		r.err = r.live(ctx)
		close(r.ended)
		ended <- r
	}()
	return r
}

func (r *running) live(ctx context.Context) error {
	if r.Start != nil {
		if err := r.Start(ctx); err != nil {
			return err
		}
	}
	close(r.started)
	if r.Run != nil {
		return r.Run(ctx)
	}
	<-ctx.Done()
	return nil
}

// first waits for then, ctx or the end of a task, which it returns.
func first(ctx context.Context, ended <-chan *running, then <-chan struct{}) *running {
	select {
	case r := <-ended:
		return r
	case <-then:
	case <-ctx.Done():
	}
	return nil
}

func (r *running) fault() error {
	if r.err == nil {
		return fmt.Errorf("%s: %w", r.Name, ErrEnded)
	}
	return fmt.Errorf("%s: %w", r.Name, r.err)
}

func notify(f func(string), name string) {
	if f != nil {
		f(name)
	}
}
