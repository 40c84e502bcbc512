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

// Delayed is a fault of which is known when the next attempt is due, such as an
// answer with Retry-After.
type Delayed struct {
	Delay time.Duration
	Err   error
}

// Error returns the cause's text.
func (e *Delayed) Error() string { return e.Err.Error() }

// Unwrap returns the cause.
func (e *Delayed) Unwrap() error { return e.Err }

// Retry calls do until it returns nil, an error whose fate is not retry, or ctx
// is done; then it returns the cause of ctx together with the last fault. The
// delay of a Delayed is used instead of Next.
// failed, when not nil, is called for each failed attempt, counted from 1, with
// the delay before the next.
func (b Backoff) Retry(ctx context.Context, do func(ctx context.Context) error, failed func(attempt int, delay time.Duration, err error)) error {
	for attempt := 1; ; attempt++ {
		err := do(ctx)
		if err == nil || fate.Final(err) {
			return err
		}
		if ctx.Err() != nil {
			return fmt.Errorf("%w, after: %w", context.Cause(ctx), err)
		}
		delay := b.Next(attempt)
		if known, ok := errors.AsType[*Delayed](err); ok {
			delay = known.Delay
		}
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

// UnlessDone returns err, or nil when err is only the end of ctx.
func UnlessDone(ctx context.Context, err error) error {
	if ctx.Err() != nil && (errors.Is(err, ctx.Err()) || errors.Is(err, context.Cause(ctx))) {
		return nil
	}
	return err
}
