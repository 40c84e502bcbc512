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

// question is something that is asked for, which takes a second and may fail.
type question struct {
	answers *answers
	key     string
	asked   int
	fault   error
}

func (q *question) load(ctx context.Context) ([]int, error) {
	q.asked++
	n := q.asked
	<-time.After(time.Second) // in the bubble of the test
	if ctx.Err() != nil {
		return nil, fmt.Errorf("the one who left took the answer along: %w", ctx.Err())
	}
	return []int{n}, q.fault
}

// wants asks and checks which answer it is, how old, and how long that took.
func (q *question) wants(t *testing.T, answer int, old, took time.Duration) {
	t.Helper()
	var w Watch
	began := time.Now()
	got, err := shared(Watched(t.Context(), &w), q.answers, q.key, q.load)
	if err != nil || len(got) != 1 || got[0] != answer {
		t.Errorf("got %v, %v, want %d", got, err, answer)
	}
	if age := time.Since(w.Oldest()); age != old || time.Since(began) != took {
		t.Errorf("the answer is %s old and took %s, want %s and %s", age, time.Since(began), old, took)
	}
}

// TestShared_AsksOnceForAllWhoWait has twenty ask at once, one of whom leaves.
func TestShared_AsksOnceForAllWhoWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := &question{answers: newAnswers(), key: "counts"}
		leaves, leave := context.WithTimeout(t.Context(), time.Millisecond)
		defer leave()
		var wait sync.WaitGroup
		wait.Go(func() {
			if _, err := shared(leaves, q.answers, q.key, q.load); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("who leaves gets %v", err)
			}
		})
		synctest.Wait()
		for range 20 {
			wait.Go(func() { q.wants(t, 1, time.Second, time.Second) })
		}
		wait.Wait()
		time.Sleep(freshCost*time.Second - 2*time.Second)
		q.wants(t, 1, freshCost*time.Second-time.Second, 0)
		synctest.Wait()
		if q.asked != 1 {
			t.Errorf("asked %d times", q.asked)
		}
	})
}

// TestShared_GivesAnOldAnswerWhileItAsks has an answer grow old: it is given at once with
// its age, also where asking anew fails, until it is too old.
func TestShared_GivesAnOldAnswerWhileItAsks(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := &question{answers: newAnswers(), key: "counts"}
		q.wants(t, 1, time.Second, time.Second)
		time.Sleep((freshCost - 1) * time.Second)
		for range 20 {
			q.wants(t, 1, freshCost*time.Second, 0) // and all of them ask once
		}
		time.Sleep(2 * time.Second)
		q.wants(t, 2, 2*time.Second, 0)
		q.fault = errors.New("away")
		time.Sleep(freshCost * time.Second)
		q.wants(t, 2, (freshCost+2)*time.Second, 0)
		time.Sleep(staleMax)
		if _, err := shared(t.Context(), q.answers, q.key, q.load); !errors.Is(err, q.fault) {
			t.Errorf("an answer of long ago is given, error %v", err)
		}
	})
}

// TestShared_ReadsAnewWhatPeopleChanged changes something while a question about it is
// being answered.
func TestShared_ReadsAnewWhatPeopleChanged(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := &question{answers: newAnswers(), key: stateKey + "letters"}
		var wait sync.WaitGroup
		wait.Go(func() { q.wants(t, 1, time.Second, time.Second) })
		synctest.Wait()
		q.answers.forget()
		q.wants(t, 2, time.Second, time.Second)
		wait.Wait()
		q.wants(t, 2, time.Second, 0)
		time.Sleep(freshCost * time.Second)
		q.wants(t, 3, time.Second, time.Second) // no old answer
	})
}

// Spans are part of what is asked, so that answers of some seconds ago are never asked
// for once more: their rows must not stay.
func TestShared_ForgetsWhatIsOld(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := newAnswers()
		for i := range 10 {
			if _, err := shared(t.Context(), a, fmt.Sprint(i), func(context.Context) ([]int, error) { return make([]int, 10), nil }); err != nil {
				t.Fatal(err)
			}
			time.Sleep(freshMin + staleMax)
		}
		if n := len(a.kept); n != 1 || a.rows != 10 {
			t.Errorf("%d answers of %d rows are kept, want the latest", n, a.rows)
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

func TestShared_KeepsABoundedNumberOfRows(t *testing.T) {
	t.Parallel()
	a := newAnswers()
	for i := range 5 {
		if _, err := shared(t.Context(), a, fmt.Sprint(i), func(context.Context) ([]int, error) { return make([]int, sharedRowsMax/2), nil }); err != nil {
			t.Fatal(err)
		}
		if a.rows > sharedRowsMax {
			t.Errorf("%d rows are kept, want at most %d", a.rows, sharedRowsMax)
		}
	}
}
