package produce

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/mailstream/mailstream/services/internal/platform/fate"
	"github.com/mailstream/mailstream/services/internal/platform/kafka"
)

// waiter waits for the answers to all records of one request. Later requests reuse
// it, unless its request timed out: answers may still come to it then.
type waiter struct {
	producer *Producer
	pending  atomic.Int32             // records without an answer
	failed   atomic.Pointer[failure]  // the first fault
	done     chan struct{}            // one token when pending reaches 0
	timer    *time.Timer              // stopped between requests
	promise  func(*kgo.Record, error) // w.answer, bound once
}

type failure struct{ err error }

func newWaiter(p *Producer) *waiter {
	w := &waiter{producer: p, done: make(chan struct{}, 1), timer: time.NewTimer(time.Hour)}
	w.timer.Stop()
	w.promise = w.answer
	return w
}

func (w *waiter) begin(records int) {
	w.failed.Store(nil)
	w.pending.Store(int32(records))
}

// answer is called by the client once a record, one call at a time; it must not
// block.
func (w *waiter) answer(r *kgo.Record, err error) {
	if err == nil {
		w.producer.met.acknowledged(r.Topic)
	} else {
		named := kafka.Classify(err)
		w.failed.CompareAndSwap(nil, &failure{fate.Wrap(fate.Of(named), &RecordError{Record: r, Err: named})})
	}
	w.producer.release(r)
	if w.pending.Add(-1) == 0 {
		w.producer.showBuffer()
		w.done <- struct{}{}
	}
}

// wait returns the first fault once all records are answered for, or a timeout.
func (w *waiter) wait(ctx context.Context, limit time.Duration) error {
	w.timer.Reset(limit)
	select {
	case <-w.done:
		w.timer.Stop()
		return w.result()
	case <-w.timer.C:
		return fate.Wrap(fate.Retry, fmt.Errorf("%w: after %s", kafka.ErrTimeout, limit))
	case <-ctx.Done():
		w.timer.Stop()
		return fate.Wrap(fate.Retry, fmt.Errorf("%w: %w", kafka.ErrTimeout, context.Cause(ctx)))
	}
}

func (w *waiter) result() error {
	f := w.failed.Load()
	w.producer.waiters.Put(w)
	if f == nil {
		return nil
	}
	return f.err
}
