package room

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

func TestWork_UnknownPeersOfOneSourceHoldUpNoOther(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.now = time.Now()
		busy, err := w.enter(w.a, 1, kib)
		if err != nil {
			t.Fatal(err)
		}
		desk := w.a.desks[unknown]
		desk <- struct{}{} // somebody at source a works, and does not end
		if err := busy.Work(t.Context()); err == nil {
			t.Error("two unknown peers of one source work at once")
		}
		for _, peer := range []int{0, 2} {
			st, err := w.enter(w.b, peer, kib)
			if err != nil {
				t.Fatal(err)
			}
			if err := st.Work(t.Context()); err != nil {
				t.Errorf("peer %d at source b: %v", peer, err)
			}
			st.EndWork()
			st.EndWork()
		}
		<-desk
		if err := busy.Work(t.Context()); err != nil {
			t.Error(err)
		}
		busy.Leave()
		if len(w.proofs) > 0 || len(desk) > 0 {
			t.Error("a place is not given back")
		}
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		for range cap(w.proofs) {
			w.proofs <- struct{}{}
		}
		late, err := w.enter(w.a, 1, kib)
		if err != nil {
			t.Fatal(err)
		}
		if err := late.Work(gone); err == nil || len(desk) > 0 {
			t.Errorf("error %v for a sender that is gone", err)
		}
	})
}
