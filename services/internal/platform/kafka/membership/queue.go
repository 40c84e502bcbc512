package membership

import (
	"context"
	"sync"
)

// Assignment is one change of the partitions that a member has.
type Assignment struct {
	Partitions []int32
	Revoked    bool // false: assigned
	done       chan struct{}
}

// Done says that the change is carried out.
func (a Assignment) Done() { close(a.done) }

// Queue is a Worker that passes assignments on to one loop, which takes them when
// it is between two steps.
type Queue struct {
	wake  chan struct{} // has a value when there may be assignments
	ended chan struct{} // closed by End

	mu      sync.Mutex
	waiting []Assignment // guarded by mu
}

// NewQueue returns an empty queue.
func NewQueue() *Queue {
	return &Queue{wake: make(chan struct{}, 1), ended: make(chan struct{})}
}

// Assign queues the assignment and returns.
func (q *Queue) Assign(partitions []int32) {
	q.put(Assignment{Partitions: partitions, done: make(chan struct{})})
}

// Revoke queues the revocation and waits until the loop has carried it out or has
// ended, or ctx is done.
func (q *Queue) Revoke(ctx context.Context, partitions []int32) {
	a := Assignment{Partitions: partitions, Revoked: true, done: make(chan struct{})}
	q.put(a)
	select {
	case <-a.done:
	case <-q.ended:
	case <-ctx.Done():
	}
}

func (q *Queue) put(a Assignment) {
	q.mu.Lock()
	q.waiting = append(q.waiting, a)
	q.mu.Unlock()
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// Wake has a value when there may be assignments to drain.
func (q *Queue) Wake() <-chan struct{} { return q.wake }

// Drain returns the assignments so far, oldest first, for the loop to carry out
// and call Done on.
func (q *Queue) Drain() []Assignment {
	q.mu.Lock()
	defer q.mu.Unlock()
	all := q.waiting
	q.waiting = nil
	return all
}

// Pending returns how many assignments wait.
func (q *Queue) Pending() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.waiting)
}

// End says that the loop takes no more assignments, so that no caller waits for
// it.
func (q *Queue) End() { close(q.ended) }
