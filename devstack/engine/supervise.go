package engine

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"
)

// How a child that has ended unexpectedly is restarted.
const (
	// restartWaitMin is the pause before the first restart; it doubles up to
	// restartWaitMax while children do not run longer than restartRest.
	restartWaitMin = 500 * time.Millisecond
	restartWaitMax = 30 * time.Second
	restartRest    = time.Minute
	// restartsMax bounds restarts in a row: an engine that ends ten times within a
	// minute of its start has something that no start mends.
	restartsMax = 10
)

// restarts says when a child is restarted.
type restarts struct {
	row  int // in a row
	wait time.Duration
}

// next returns the pause before the next start, after a child that lived so long;
// false when there is to be none.
func (r *restarts) next(lived time.Duration) (time.Duration, bool) {
	if lived > restartRest {
		*r = restarts{}
	}
	r.row++
	r.wait = min(max(2*r.wait, restartWaitMin), restartWaitMax)
	return r.wait, r.row <= restartsMax
}

// supervise runs one child after the other until ctx is done, or one that is not
// to be followed by another has ended.
func (e *Engine) supervise(ctx context.Context, spec childSpec, lock *os.File) error {
	address := e.config.Listen
	var again restarts
	for {
		began := time.Now()
		listening, err := e.runChild(ctx, spec, address, lock)
		if ctx.Err() != nil || !e.config.Restart || e.URL() == "" {
			return err
		}
		if listening != "" {
			address = listening // a free port stays the one that was taken
		}
		wait, more := again.next(time.Since(began))
		if !more {
			return fmt.Errorf("restart engine: it ended %d times in a row: %w", again.row, err)
		}
		e.log.Warn("engine ended and will be restarted", slog.Int("attempt", again.row), slog.Duration("delay", wait), slog.Any("error", err))
		pause := time.NewTimer(wait)
		select {
		case <-pause.C:
		case <-ctx.Done():
			pause.Stop()
			return nil
		}
	}
}

// runChild runs one child until it has ended. It returns the address the child
// listened on, "" when it never did, and nil for an end that ctx asked for.
func (e *Engine) runChild(ctx context.Context, spec childSpec, address string, lock *os.File) (listening string, err error) {
	listener, listening, err := listen(ctx, address)
	if err != nil {
		return "", stopped(ctx, err)
	}
	defer listener.Close()
	child, err := startChild(spec, listener, lock)
	if err != nil {
		return "", fmt.Errorf("start engine: %w", err)
	}
	// The child has its own copy: once it is gone, nothing must still listen.
	listener.Close()
	if err := child.waitReady(ctx); err != nil {
		return "", stopped(ctx, errors.Join(err, child.stop()))
	}
	e.mu.Lock()
	first := e.url == ""
	e.url, e.process = "http://"+listening, child.cmd.Process.Pid
	e.mu.Unlock()
	if first {
		close(e.ready)
	} else {
		e.log.Info("engine restarted")
	}
	select {
	case <-ctx.Done():
		return listening, child.stop()
	case <-child.exited:
		return listening, child.failure()
	}
}
