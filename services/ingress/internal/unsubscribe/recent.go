package unsubscribe

import (
	"sync"
	"time"
)

const (
	// recentFor is for how long a choice that was made once more is not a new event: a
	// link's holder could fill the topic otherwise.
	recentFor = time.Minute
	// recentMax bounds the links that are remembered, about 300 bytes each.
	recentMax = 50_000
)

// recent remembers the last choice of each link. It keeps two generations, of which
// the older is let go: nothing is sorted or walked.
type recent struct {
	mu            sync.Mutex
	most          int
	began         time.Time
	young, former map[Mail]made // guarded by mu, as are the others
}

type made struct {
	choice choice
	at     time.Time
}

func newRecent(most int) *recent { return &recent{most: most, young: map[Mail]made{}} }

// has says whether c is the last choice of m and was made within recentFor.
func (r *recent) has(m Mail, c choice, now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	last, ok := r.young[m]
	if !ok {
		last, ok = r.former[m]
	}
	return ok && last.choice == c && now.Sub(last.at) < recentFor
}

// add notes that c was stored.
func (r *recent) add(m Mail, c choice, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if now.Sub(r.began) >= recentFor || len(r.young) >= r.most {
		r.began, r.young, r.former = now, map[Mail]made{}, r.young
	}
	r.young[m] = made{c, now}
}
