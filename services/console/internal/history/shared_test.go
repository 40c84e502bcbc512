package history

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// TestShared_AsksOnceForAllWhoWait has twenty ask at once, one of whom leaves, and asks
// once more when the answer is old, or was an error.
func TestShared_AsksOnceForAllWhoWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := newAnswers()
		asked := 0
		var fault error
		load := func(ctx context.Context) ([]int, error) {
			asked++
			time.Sleep(time.Second)
			if ctx.Err() != nil {
				t.Error("the one who left took the answer along")
			}
			return []int{asked}, fault
		}
		ask := func(ctx context.Context, want int) {
			t.Helper()
			if got, err := shared(ctx, a, "counts", load); err != nil || len(got) != 1 || got[0] != want {
				t.Errorf("got %v, %v, want %d", got, err, want)
			}
		}
		leaves, leave := context.WithTimeout(t.Context(), time.Millisecond)
		defer leave()
		var wait sync.WaitGroup
		wait.Go(func() {
			if _, err := shared(leaves, a, "counts", load); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("who leaves gets %v", err)
			}
		})
		synctest.Wait()
		for range 20 {
			wait.Go(func() { ask(t.Context(), 1) })
		}
		wait.Wait()
		time.Sleep(sharedLife - time.Second)
		ask(t.Context(), 1)
		time.Sleep(time.Second)
		fault = errors.New("away")
		if _, err := shared(t.Context(), a, "counts", load); !errors.Is(err, fault) {
			t.Errorf("error %v", err)
		}
		fault = nil
		ask(t.Context(), 3)
	})
}

// Spans are part of what is asked, so that answers of some seconds ago are never asked
// for once more: their rows must not stay.
func TestShared_ForgetsWhatIsOld(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := newAnswers()
		for i := range 10 {
			if _, err := shared(t.Context(), a, fmt.Sprint(i), func(context.Context) ([]int, error) { return nil, nil }); err != nil {
				t.Fatal(err)
			}
			time.Sleep(sharedLife)
		}
		if n := len(a.kept); n != 1 {
			t.Errorf("%d answers are kept, want the latest", n)
		}
	})
}

func TestShared_KeepsABoundedNumber(t *testing.T) {
	t.Parallel()
	a := newAnswers()
	for i := range 10 * sharedMax {
		if _, err := shared(t.Context(), a, fmt.Sprint(i), func(context.Context) ([]int, error) { return nil, nil }); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(a.kept); n > sharedMax {
		t.Errorf("%d answers are kept, want at most %d", n, sharedMax)
	}
}
