// Package lifecycle holds what every long-running loop needs: back-off with
// jitter, attempts that it spaces, a sleep that ends with its context, and a
// group of named tasks that stop together in reverse order of start. It starts
// no goroutine that it does not wait for.
package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/mailstream/mailstream/services/internal/platform/fate"
)

// Backoff grows a delay from Min to Max by doubling, with full jitter over its
// upper half so that many clients do not return at once.
type Backoff struct {
	Min time.Duration // delay before the second attempt, > 0
	Max time.Duration // largest delay, >= Min
}

// doublingsMax bounds the shift; 2^20 times any Min is beyond every Max.
const doublingsMax = 20

// Next returns the delay after the failed attempt, counted from 1: between half
// and all of min(Max, Min * 2^(attempt-1)).
func (b Backoff) Next(attempt int) time.Duration {
	d := min(b.Max, b.Min<<min(max(attempt-1, 0), doublingsMax))
	if d <= 0 {
		d = b.Max
	}
	return d/2 + rand.N(d/2+1)
}

// Retry calls do until it returns nil, an error whose fate is not retry, or ctx
// is done; then it returns the cause of ctx together with the last fault.
// failed, when not nil, is told of each failed attempt, counted from 1, and of
// the delay before the next.
func (b Backoff) Retry(ctx context.Context, do func(ctx context.Context) error, failed func(attempt int, delay time.Duration, err error)) error {
	for attempt := 1; ; attempt++ {
		err := do(ctx)
		if err == nil || fate.Of(err) != fate.Retry {
			return err
		}
		if ctx.Err() != nil {
			return fmt.Errorf("%w, after: %w", context.Cause(ctx), err)
		}
		delay := b.Next(attempt)
		if failed != nil {
			failed(attempt, delay, err)
		}
		if cause := Sleep(ctx, delay); cause != nil {
			return fmt.Errorf("%w, after: %w", cause, err)
		}
	}
}

// Sleep waits for d or until ctx is done, whose cause it then returns.
func Sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

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
