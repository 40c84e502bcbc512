package room

import (
	"context"
	"runtime"
	"time"
)

// proofWaitMax bounds the wait for a place to work; a sender waits for 5 s and
// more.
const proofWaitMax = 3 * time.Second

// proofPlaces is how many processors work on large unproven bodies at once: half
// of them, so that the other half always serves the rest.
func proofPlaces() int { return max(1, runtime.GOMAXPROCS(0)/2) }

// Work waits for a place to unpack or to check a large body that is not proven: a
// few KiB of gzip unpack to thousands of times as much, and each check reads all
// of it. Every source has one place for unknown peers and one for peers it knows, so
// that the queue of all has at most two of a source, and unknown peers at one source
// hold up no other. A proven request needs no place. While it waits st may be
// evicted, which ends ctx. The error is a *FullError.
func (st *Stay) Work(ctx context.Context) error {
	if st.proven || st.work != nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, proofWaitMax)
	defer cancel()
	desk := st.source.desks[st.class()]
	st.Wait()
	err := take(ctx, desk, st.room.proofs)
	if ended := st.Received(); ended != nil {
		if err == nil {
			<-st.room.proofs
			<-desk
		}
		return ended
	}
	if err == nil {
		st.work = desk
	}
	return err
}

// take takes both places, or none.
func take(ctx context.Context, desk, proofs chan struct{}) error {
	select {
	case desk <- struct{}{}:
	case <-ctx.Done():
		return &FullError{Share: Proofs}
	}
	select {
	case proofs <- struct{}{}:
		return nil
	case <-ctx.Done():
		<-desk
		return &FullError{Share: Proofs}
	}
}

// EndWork gives the place back: before a wait for something else, and at last.
func (st *Stay) EndWork() {
	if st.work == nil {
		return
	}
	<-st.room.proofs
	<-st.work
	st.work = nil
}
