package history

import (
	"context"
	"fmt"
	"maps"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"
)

const (
	// sharedLife is how long an answer serves everybody who asks the same: pages are
	// looked at by many, and refresh themselves every 20 s.
	sharedLife = 5 * time.Second
	// sharedMax bounds the answers that are kept, each for sharedLife.
	sharedMax = 64
)

// answers keeps the latest answers about no person for some seconds, and asks once for
// all who wait for the same.
type answers struct {
	now    func() time.Time
	flight singleflight.Group

	mu   sync.Mutex
	kept map[string]answer // guarded by mu
}

type answer struct {
	rows  any
	until time.Time
}

func newAnswers() *answers { return &answers{now: time.Now, kept: map[string]answer{}} }

// shared returns what load returns, or returned to somebody else a moment ago. Who takes
// the rows must not change them. An error is not kept.
func shared[T any](ctx context.Context, a *answers, key string, load func(context.Context) ([]T, error)) ([]T, error) {
	a.mu.Lock()
	found, ok := a.kept[key]
	a.mu.Unlock()
	if rows, is := found.rows.([]T); ok && is && a.now().Before(found.until) {
		return rows, nil
	}
	// Others wait for it, too: it goes on when the one who began it leaves.
	done := a.flight.DoChan(key, func() (any, error) {
		rows, err := load(context.WithoutCancel(ctx))
		if err == nil {
			a.keep(key, rows)
		}
		return rows, err
	})
	select {
	case <-ctx.Done():
		return nil, fmt.Errorf("wait for an answer: %w", ctx.Err())
	case got := <-done:
		rows, _ := got.Val.([]T) // nil with an error
		return rows, got.Err
	}
}

func (a *answers) keep(key string, rows any) {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := a.now()
	maps.DeleteFunc(a.kept, func(_ string, old answer) bool { return !now.Before(old.until) }) // they would never serve again
	if len(a.kept) >= sharedMax {
		clear(a.kept)
	}
	a.kept[key] = answer{rows, now.Add(sharedLife)}
}

// rounded names a span so that all who ask within some seconds ask the same.
func (s Span) rounded() Span { return Span{s.From.Truncate(sharedLife), s.To.Truncate(sharedLife)} }
