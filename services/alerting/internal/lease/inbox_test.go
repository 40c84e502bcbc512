package lease

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestInbox_ReleaseWaitsUntilTheLoopIsDone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := NewInbox()
		b.Acquire([]int32{1, 2})
		released := make(chan struct{})
		go func() {
			b.Release(t.Context(), []int32{2})
			close(released)
		}()
		<-b.Wake()
		synctest.Wait()
		orders := b.Take()
		var got [][]int32
		for _, o := range orders {
			got = append(got, o.Partitions)
		}
		if diff := cmp.Diff([][]int32{{1, 2}, {2}}, got); diff != "" || !orders[1].Release || orders[0].Release {
			t.Errorf("orders (-want +got):\n%s", diff)
		}
		select {
		case <-released:
			t.Fatal("released before the loop was done")
		default:
		}
		orders[1].Done()
		<-released
		if b.Pending() != 0 {
			t.Errorf("%d orders are left", b.Pending())
		}
	})
}

func TestInbox_ReleaseEndsWithTheLoopOrTheContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := NewInbox()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		b.Release(ctx, []int32{1}) // returns after a virtual minute
		b.End()
		b.Release(t.Context(), []int32{1})
	})
}
