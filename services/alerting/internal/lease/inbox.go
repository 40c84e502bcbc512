package lease

import (
	"context"
	"sync"
)

// Order is one change of what an instance works on.
type Order struct {
	Partitions []int32
	Release    bool // false: acquire
	done       chan struct{}
}

// Done says that the order is carried out.
func (o Order) Done() { close(o.done) }

// Inbox is a Holder that passes orders on to one loop, which takes them when it
// is between two steps.
type Inbox struct {
	wake  chan struct{} // has a value when there may be orders
	ended chan struct{} // closed by End

	mu     sync.Mutex
	orders []Order // guarded by mu
}

// NewInbox returns an empty inbox.
func NewInbox() *Inbox {
	return &Inbox{wake: make(chan struct{}, 1), ended: make(chan struct{})}
}

// Acquire queues the order and returns.
func (b *Inbox) Acquire(partitions []int32) {
	b.put(Order{Partitions: partitions, done: make(chan struct{})})
}

// Release queues the order and waits until the loop is done with it or has
// ended, or ctx is done.
func (b *Inbox) Release(ctx context.Context, partitions []int32) {
	o := Order{Partitions: partitions, Release: true, done: make(chan struct{})}
	b.put(o)
	select {
	case <-o.done:
	case <-b.ended:
	case <-ctx.Done():
	}
}

func (b *Inbox) put(o Order) {
	b.mu.Lock()
	b.orders = append(b.orders, o)
	b.mu.Unlock()
	select {
	case b.wake <- struct{}{}:
	default:
	}
}

// Wake has a value when there may be orders to take.
func (b *Inbox) Wake() <-chan struct{} { return b.wake }

// Take returns the orders so far, oldest first, for the loop to carry out and
// call Done on.
func (b *Inbox) Take() []Order {
	b.mu.Lock()
	defer b.mu.Unlock()
	orders := b.orders
	b.orders = nil
	return orders
}

// Pending returns how many orders wait.
func (b *Inbox) Pending() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.orders)
}

// End says that the loop takes no more orders, so nobody waits for it.
func (b *Inbox) End() { close(b.ended) }
