package servicetest

import (
	"sync"
	"time"
)

// Clock is a wall clock that a test sets forward. A fixed one otherwise stays where it
// is; the zero value runs with the real one.
type Clock struct {
	mu    sync.Mutex
	fixed time.Time // zero: it runs
	ahead time.Duration
}

// Fixed returns a clock that shows at until it is set forward.
func Fixed(at time.Time) *Clock { return &Clock{fixed: at} }

// Now returns what it shows.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	at := c.fixed
	if at.IsZero() {
		at = time.Now()
	}
	return at.Add(c.ahead)
}

// Advance sets it forward by d.
func (c *Clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ahead += d
}
