package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"

	"github.com/mailstream/mailstream/services/internal/platform/telemetry"
)

// closeTimeout bounds closing one resource, after everything that uses it has
// ended: a producer that still waits for acknowledgements then has no caller left
// to report them to.
const closeTimeout = 5 * time.Second

// Life is how one service starts, runs and stops. Its constructor calls Build, its
// Run is Run of its tasks, and what either opens is said with Closes.
type Life struct {
	log    *zap.Logger
	ready  chan struct{}
	opened []resource // in the order of their opening
}

type resource struct {
	name  string
	close func(ctx context.Context) error
}

// New returns the life of one service, which is run once.
func New(log *zap.Logger) *Life { return &Life{log: log, ready: make(chan struct{})} }

// Ready is closed once all tasks are ready.
func (l *Life) Ready() <-chan struct{} { return l.ready }

// IsReady says whether Ready is closed.
func (l *Life) IsReady() bool {
	select {
	case <-l.ready:
		return true
	default:
		return false
	}
}

// Closes has a resource closed when all tasks have ended, the last one opened
// first. It belongs into a constructor, or into Start of a task.
func (l *Life) Closes(name string, close func(ctx context.Context) error) {
	l.opened = append(l.opened, resource{name, close})
}

// ClosesPlain is Closes for a resource that closes at once and without an error.
func (l *Life) ClosesPlain(name string, close func()) {
	l.Closes(name, func(context.Context) error { close(); return nil })
}

// Build calls what makes the parts of a service. When that fails, what it opened
// before is closed.
func (l *Life) Build(parts func() error) (err error) {
	built := false
	defer func() {
		if !built {
			err = errors.Join(err, l.Close())
		}
	}()
	err = parts()
	built = err == nil
	return err
}

// Close closes what was opened for a service that is not run.
func (l *Life) Close() error { return l.closeAll(context.Background()) }

// Run is RunInOrder of the tasks of a service, whose names it logs; then it closes
// what was opened. What could not be closed is an error beside the others.
func (l *Life) Run(ctx context.Context, tasks []Task) error {
	names := make([]string, 0, len(tasks))
	for _, t := range tasks {
		names = append(names, t.Name)
	}
	l.log.Info("tasks start in this order", telemetry.Tasks(names))
	err := inOrder(ctx, tasks, hooks{ready: func() { close(l.ready) }})
	return errors.Join(err, l.closeAll(context.WithoutCancel(ctx)))
}

func (l *Life) closeAll(ctx context.Context) error {
	var faults []error
	for i := len(l.opened) - 1; i >= 0; i-- {
		r := l.opened[i]
		closing, cancel := context.WithTimeout(ctx, closeTimeout)
		if err := r.close(closing); err != nil {
			faults = append(faults, fmt.Errorf("close %s: %w", r.name, err))
		}
		cancel()
	}
	l.opened = nil
	return errors.Join(faults...)
}
