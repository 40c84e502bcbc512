// Package lifecycletest plays the life of a service at every point of its list of
// tasks: killed before, while and after each task starts, failed by each task at its
// start and later, with requests under way; and built with each of its parts
// failing. Whatever happens, nothing of the service may be left: no goroutine, and
// with the goroutines no client, no listener and no store.
//
// Stress runs in a testing/synctest bubble, on a network inside the process.
package lifecycletest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mailstream/mailstream/services/internal/platform/lifecycle"
)

const (
	// lifeMax ends a run whose point is not reached, because a task before it waits
	// for a server that is away.
	lifeMax = 30 * time.Second
	// stopMax is how long a service may take from its end to the return of Run; the
	// sum of what its parts may take is less.
	stopMax = time.Minute
	// moment is the span in which a random point falls: starts take less.
	moment = 300 * time.Millisecond
)

// Service is a service that was built and not yet run.
type Service struct {
	Life  *lifecycle.Life
	Tasks []lifecycle.Task
	// Use, when not nil, is called repeatedly while the service runs, also before
	// it listens: one request, whatever becomes of it.
	Use func(ctx context.Context)
}

// errInjected is how tasks fail.
var errInjected = errors.New("injected by the test")

// point is where a run ends.
type point struct {
	when string
	// change has the task call at when its point has come: it kills the service, or
	// notes that the task is about to fail.
	change func(task *lifecycle.Task, at func())
	err    error // what Run returns then; nil where the service is killed
}

// points are all ways in which a run ends at one task.
func points() []point {
	return []point{
		{"killed before", func(task *lifecycle.Task, at func()) {
			start := task.Start
			task.Start = func(ctx context.Context) error { at(); return call(ctx, start) }
		}, nil},
		{"killed while it starts", func(task *lifecycle.Task, at func()) {
			start := task.Start
			task.Start = func(ctx context.Context) error { later(ctx, at); return call(ctx, start) }
		}, nil},
		{"killed while it runs", func(task *lifecycle.Task, at func()) {
			run := task.Run
			task.Run = func(ctx context.Context) error { later(ctx, at); return work(ctx, run) }
		}, nil},
		{"killed once ready", func(task *lifecycle.Task, at func()) {
			run, ready := task.Run, task.Ready
			task.Run = func(ctx context.Context) error {
				go func() {
					if ready != nil {
						select {
						case <-ready:
						case <-ctx.Done():
						}
					}
					at()
				}()
				return work(ctx, run)
			}
		}, nil},
		{"fails to start", func(task *lifecycle.Task, at func()) {
			start := task.Start
			task.Start = func(ctx context.Context) error {
				if start != nil {
					_ = awhile(ctx, start) // the injected error is the one
				}
				at()
				return errInjected
			}
		}, errInjected},
		{"fails", func(task *lifecycle.Task, at func()) {
			run := task.Run
			task.Run = func(ctx context.Context) error { at(); return errors.Join(errInjected, awhile(ctx, run)) }
		}, errInjected},
		{"ends by itself", func(task *lifecycle.Task, at func()) {
			run := task.Run
			task.Run = func(ctx context.Context) error { at(); return awhile(ctx, run) }
		}, lifecycle.ErrEnded},
	}
}

func call(ctx context.Context, f func(context.Context) error) error {
	if f == nil {
		return nil
	}
	return f(ctx)
}

func work(ctx context.Context, f func(context.Context) error) error {
	if f == nil {
		<-ctx.Done()
		return nil
	}
	return f(ctx)
}

// awhile runs f for a moment.
func awhile(ctx context.Context, f func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, rand.N(moment))
	defer cancel()
	if err := work(ctx, f); err != nil && ctx.Err() == nil {
		return err
	}
	return nil
}

// later calls at within a moment, or when ctx ends.
func later(ctx context.Context, at func()) {
	go func() {
		_ = lifecycle.Sleep(ctx, rand.N(moment)) // at is called in both cases
		at()
	}()
}

// Stress runs the service that build makes through every point of every task,
// rounds times. The server that the service needs may be away: then lifeMax ends
// a run.
func Stress(t *testing.T, rounds int, build func() Service) {
	t.Helper()
	first := build()
	tasks := len(first.Tasks)
	if err := first.Life.Close(); err != nil {
		t.Errorf("close a service that did not run: %v", err)
	}
	for round := range rounds {
		for task := range tasks {
			for _, p := range points() {
				if t.Failed() {
					return // the first fault is the one to read
				}
				live(t, round, task, p, build)
			}
		}
	}
}

// live is one run of the service.
func live(t *testing.T, round, at int, p point, build func() Service) {
	t.Helper()
	var name string
	var ended time.Time
	failed := false
	leaks := labelled(func() {
		s := build()
		ctx, cancel := context.WithTimeout(context.Background(), lifeMax)
		defer cancel()
		name = fmt.Sprintf("round %d, %q %s", round, s.Tasks[at].Name, p.when)
		p.change(&s.Tasks[at], func() {
			if p.err == nil {
				cancel()
				return
			}
			failed = true
		})
		context.AfterFunc(ctx, func() { ended = time.Now() })
		var uses sync.WaitGroup
		if s.Use != nil {
			uses.Go(func() {
				for ctx.Err() == nil {
					s.Use(ctx)
					_ = lifecycle.Sleep(ctx, rand.N(moment/10)) // the loop sees its end
				}
			})
		}
		err := s.Life.Run(ctx, s.Tasks)
		if ctx.Err() != nil {
			synctest.Wait()
			if took := time.Since(ended); took > stopMax {
				t.Errorf("%s: the stop took %s, want at most %s", name, took, stopMax)
			}
		}
		cancel()
		uses.Wait()
		switch {
		case !failed:
			if err != nil {
				t.Errorf("%s: Run = %v, want nil", name, err)
			}
		case !errors.Is(err, p.err) || !strings.HasPrefix(err.Error(), s.Tasks[at].Name+": "):
			t.Errorf("%s: Run = %v, want %s: %v", name, err, s.Tasks[at].Name, p.err)
		}
	})
	if left := leaks(); left != "" {
		t.Errorf("%s: goroutines are left:\n%s", name, left)
	}
}
