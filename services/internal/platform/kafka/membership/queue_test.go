package membership

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestQueue_RevokeWaitsUntilTheLoopIsDone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := NewQueue()
		q.Assign([]int32{1, 2})
		revoked := make(chan struct{})
		go func() {
			q.Revoke(t.Context(), []int32{2})
			close(revoked)
		}()
		<-q.Wake()
		synctest.Wait()
		changes := q.Drain()
		var got [][]int32
		for _, c := range changes {
			got = append(got, c.Partitions)
		}
		if diff := cmp.Diff([][]int32{{1, 2}, {2}}, got); diff != "" || !changes[1].Revoked || changes[0].Revoked {
			t.Errorf("changes (-want +got):\n%s", diff)
		}
		select {
		case <-revoked:
			t.Fatal("revoked before the loop was done")
		default:
		}
		changes[1].Done()
		<-revoked
		if q.Pending() != 0 {
			t.Errorf("%d changes are left", q.Pending())
		}
	})
}

func TestQueue_RevokeEndsWithTheLoopOrTheContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := NewQueue()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		q.Revoke(ctx, []int32{1}) // returns after a virtual minute
		q.End()
		q.Revoke(t.Context(), []int32{1})
	})
}
