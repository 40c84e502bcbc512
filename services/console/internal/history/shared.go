package history

import (
	"context"
	"fmt"
	"maps"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"
)

const (
	// freshMin is how long an answer serves everybody who asks the same: pages are looked
	// at by many, and refresh themselves every 20 s.
	freshMin = 10 * time.Second
	// freshCost is how many times as long as it took an answer serves, so that one question
	// keeps a thread of ClickHouse busy for at most a fiftieth of the time, however many ask
	// it.
	freshCost = 50
	// freshMax bounds that: a page over months may be a minute old, and says so.
	freshMax = time.Minute
	// staleMax is how long after that an answer is still given, at once, while it is asked
	// for anew: whoever comes back, or leaves the overview open, does not wait.
	staleMax = 30 * time.Second
	// sharedMax bounds the answers that are kept.
	sharedMax = 256
	// sharedRowsMax bounds the rows of them all, at some 100 bytes each.
	sharedRowsMax = 400_000
)

// answers keeps the latest answers about no person for some time, and asks once for all
// who wait for the same.
type answers struct {
	now    func() time.Time
	flight singleflight.Group

	mu      sync.Mutex
	kept    map[string]answer // guarded by mu
	rows    int               // of all that are kept; guarded by mu
	changes int               // how often forget was called; guarded by mu
}

// stateKey begins the names of questions about what people change on the pages: see forget.
// Their answers are never given beyond their time.
const stateKey = "state "

type answer struct {
	rows  any
	count int
	at    time.Time     // when it was asked for
	fresh time.Duration // how long it serves without being asked for anew
}

// until is the age from which an answer is not given any more.
func (one answer) until(key string) time.Duration {
	if strings.HasPrefix(key, stateKey) {
		return one.fresh
	}
	return one.fresh + staleMax
}

func newAnswers() *answers { return &answers{now: time.Now, kept: map[string]answer{}} }

// shared returns what load returns, or returned to somebody else a moment ago, and notes
// its age for the page (see Watch). Who takes the rows must not change them. An error is
// not kept.
func shared[T any](ctx context.Context, a *answers, key string, load func(context.Context) ([]T, error)) ([]T, error) {
	a.mu.Lock()
	if strings.HasPrefix(key, stateKey) {
		key = fmt.Sprint(key, " ", a.changes) // an answer from before a change serves nobody
	}
	found, ok := a.kept[key]
	a.mu.Unlock()
	age := a.now().Sub(found.at)
	if rows, is := found.rows.([]T); ok && is && age < found.until(key) {
		if age >= found.fresh {
			a.flight.DoChan(key, func() (any, error) { return ask(ctx, a, key, load) })
		}
		noteAge(ctx, found.at)
		return rows, nil
	}
	done := a.flight.DoChan(key, func() (any, error) { return ask(ctx, a, key, load) })
	select {
	case <-ctx.Done():
		return nil, fmt.Errorf("wait for an answer: %w", ctx.Err())
	case got := <-done:
		if got.Err != nil {
			return nil, got.Err
		}
		one := got.Val.(answer)
		noteAge(ctx, one.at)
		return one.rows.([]T), nil
	}
}

// ask loads an answer and keeps it. Others wait for it, too: it goes on when the one who
// began it leaves.
func ask[T any](ctx context.Context, a *answers, key string, load func(context.Context) ([]T, error)) (answer, error) {
	began := a.now()
	rows, err := load(context.WithoutCancel(ctx))
	if err != nil {
		return answer{}, err
	}
	one := answer{rows, len(rows), began, min(freshMax, max(freshMin, freshCost*a.now().Sub(began)))}
	a.keep(key, one)
	return one, nil
}

// keep puts an answer in the place of the one before, and forgets those that would never
// serve again.
func (a *answers) keep(key string, one answer) {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := a.now()
	maps.DeleteFunc(a.kept, func(name string, old answer) bool {
		gone := name == key || now.Sub(old.at) >= old.until(name)
		if gone {
			a.rows -= old.count
		}
		return gone
	})
	if len(a.kept) >= sharedMax || a.rows+one.count > sharedRowsMax {
		clear(a.kept)
		a.rows = 0
	}
	a.kept[key] = one
	a.rows += one.count
}

// forget has everything be asked anew that people change on the pages.
func (a *answers) forget() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.changes++
}

// key names a span so that all who ask within some seconds ask the same: one that moves
// with the clock is named by its length alone.
func (s Span) key() string {
	if s.Live {
		return s.To.Sub(s.From).Round(time.Second).String()
	}
	return fmt.Sprint(s.From.UnixMilli(), s.To.UnixMilli())
}

// Watch notes how old the answers for one page are.
type Watch struct {
	mu     sync.Mutex
	oldest time.Time // guarded by mu
}

type watchKey struct{}

// Watched returns a context whose answers w notes.
func Watched(ctx context.Context, w *Watch) context.Context {
	return context.WithValue(ctx, watchKey{}, w)
}

// Oldest returns when the oldest of the answers was asked for, zero without one that is
// shared.
func (w *Watch) Oldest() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.oldest
}

func noteAge(ctx context.Context, at time.Time) {
	w, ok := ctx.Value(watchKey{}).(*Watch)
	if !ok {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.oldest.IsZero() || at.Before(w.oldest) {
		w.oldest = at
	}
}
