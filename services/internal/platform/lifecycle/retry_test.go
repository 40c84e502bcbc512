package lifecycle_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mailstream/mailstream/services/internal/platform/fate"
	"github.com/mailstream/mailstream/services/internal/platform/lifecycle"
)

func TestBackoff_StaysWithinItsBounds(t *testing.T) {
	t.Parallel()
	b := lifecycle.Backoff{Min: 100 * time.Millisecond, Max: 30 * time.Second}
	for attempt := range 80 {
		want := min(b.Max, b.Min<<min(max(attempt-1, 0), 20))
		for range 50 {
			if got := b.Next(attempt); got < want/2 || got > want {
				t.Fatalf("Next(%d) = %s, want between %s and %s", attempt, got, want/2, want)
			}
		}
	}
}

func TestSleep_EndsWithItsContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began := time.Now()
		if err := lifecycle.Sleep(ctx, time.Hour); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Sleep = %v, want deadline exceeded", err)
		}
		if took := time.Since(began); took != time.Second {
			t.Errorf("slept %s, want 1s", took)
		}
	})
}

// TestRetry_EndsWithSuccessAFinalFaultOrItsContext drives attempts that fail as
// the case lists; after the last entry they fail for ever.
func TestRetry_EndsWithSuccessAFinalFaultOrItsContext(t *testing.T) {
	t.Parallel()
	fatal := fate.Wrap(fate.Halt, io.EOF)
	for _, tc := range []struct {
		name     string
		results  []error
		want     []error       // each is found by errors.Is; none: success
		patience time.Duration // of the context; a delay is 0.5s to 1s
		attempts int
		reported int
	}{
		{"success at once", []error{nil}, nil, time.Minute, 1, 0},
		{"success after two passing faults", []error{io.EOF, io.EOF, nil}, nil, time.Minute, 3, 2},
		{"a final fault is not repeated", []error{io.EOF, fatal}, []error{io.EOF}, time.Minute, 2, 1},
		{"the context ends the wait", []error{io.EOF}, []error{context.DeadlineExceeded, io.EOF}, 400 * time.Millisecond, 1, 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), tc.patience)
				defer cancel()
				attempts, reported := 0, 0
				err := lifecycle.Backoff{Min: time.Second, Max: time.Second}.Retry(ctx, func(context.Context) error {
					attempts++
					return tc.results[min(attempts, len(tc.results))-1]
				}, func(attempt int, delay time.Duration, err error) {
					reported++
					if attempt != reported || err == nil || delay < time.Second/2 || delay > time.Second {
						t.Errorf("reported attempt %d, delay %s, %v", attempt, delay, err)
					}
				})
				if (err == nil) != (len(tc.want) == 0) {
					t.Errorf("Retry = %v, want %v", err, tc.want)
				}
				for _, want := range tc.want {
					if !errors.Is(err, want) {
						t.Errorf("Retry = %v, want it to be %v", err, want)
					}
				}
				if attempts != tc.attempts || reported != tc.reported {
					t.Errorf("%d attempts and %d reports, want %d and %d", attempts, reported, tc.attempts, tc.reported)
				}
			})
		})
	}
}

func TestRetry_WaitsAsLongAsADelayedFaultSays(t *testing.T) {
	t.Parallel()
	for _, want := range []time.Duration{0, 7 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			began, failed := time.Now(), false
			err := lifecycle.Backoff{Min: time.Second, Max: time.Second}.Retry(t.Context(), func(context.Context) error {
				if failed {
					return nil
				}
				failed = true
				return fmt.Errorf("post: %w", &lifecycle.Delayed{Delay: want, Err: io.EOF})
			}, func(_ int, delay time.Duration, err error) {
				if delay != want || !errors.Is(err, io.EOF) {
					t.Errorf("delay %s, %v", delay, err)
				}
			})
			if took := time.Since(began); err != nil || took != want {
				t.Errorf("after %s: %v", took, err)
			}
		})
	}
}
