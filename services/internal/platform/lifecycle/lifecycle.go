// Package lifecycle holds what every long-running loop needs: back-off with
// jitter, attempts that it spaces, a sleep that ends with its context, and a
// group of named tasks that stop together in reverse order of start. It starts
// no goroutine that it does not wait for.
package lifecycle

import (
	"context"
	"errors"
	"fmt"
)

// Task is one named part of a process. Run must return soon after its context
// is done; a nil error before that counts as an unexpected end.
type Task struct {
	Name string
	Run  func(ctx context.Context) error
	// Ready is closed when the next task may start; nil starts it at once.
	Ready <-chan struct{}
}

// ErrEnded is what a task's unexpected end without an error is reported as.
var ErrEnded = errors.New("ended by itself")

type outcome struct {
	index int
	err   error
}

// RunInOrder starts the tasks one after the other, each when the one before is
// ready, and blocks until all have ended. The first to end, or ctx, stops the
// rest in reverse order, each before the one it builds on. It returns the first
// fault, nil when ctx ended it and every task stopped cleanly. onStart and
// onStop, when not nil, are told each task's name.
func RunInOrder(ctx context.Context, tasks []Task, onStart, onStop func(name string)) error {
	ended := make(chan outcome, len(tasks))
	cancels := make([]context.CancelFunc, 0, len(tasks))
	dones := make([]chan struct{}, 0, len(tasks))
	var first error
	fail := func(o outcome) {
		if o.err == nil {
			o.err = ErrEnded
		}
		if first == nil && ctx.Err() == nil {
			first = fmt.Errorf("%s: %w", tasks[o.index].Name, o.err)
		}
	}
start:
	for i, task := range tasks {
		notify(onStart, task.Name)
		tctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
		done := make(chan struct{})
		cancels, dones = append(cancels, cancel), append(dones, done)
		go func() {
			err := task.Run(tctx)
			close(done)
			ended <- outcome{i, err}
		}()
		if task.Ready == nil {
			continue
		}
		select {
		case <-task.Ready:
		case o := <-ended:
			fail(o)
			break start
		case <-ctx.Done():
			break start
		}
	}
	if first == nil && ctx.Err() == nil {
		select {
		case o := <-ended:
			fail(o)
		case <-ctx.Done():
		}
	}
	for i := len(cancels) - 1; i >= 0; i-- {
		notify(onStop, tasks[i].Name)
		cancels[i]()
		<-dones[i]
	}
	return first
}

func notify(f func(string), name string) {
	if f != nil {
		f(name)
	}
}
