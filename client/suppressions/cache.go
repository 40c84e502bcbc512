package suppressions

import (
	"sync"
	"time"
)

// cache keeps verdicts for a while. It has two halves: when the young one is full it
// becomes the old one, and the old one is forgotten.
type cache struct {
	keep time.Duration
	half int

	mu         sync.Mutex
	young, old map[question]kept // guarded by mu
}

// question is what a verdict answers.
type question struct{ stream, list, source, address string }

func questionOf(mail Mail, address string) question {
	return question{mail.Stream, mail.List, mail.Source, address}
}

type kept struct {
	verdict Verdict
	until   time.Time
}

func newCache(keep time.Duration, most int) *cache {
	return &cache{keep: keep, half: most / 2, young: map[question]kept{}}
}

// get returns a verdict that is still to be used.
func (c *cache) get(mail Mail, address string) (Verdict, bool) {
	q, now := questionOf(mail, address), time.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	found, ok := c.young[q]
	if !ok {
		found, ok = c.old[q]
	}
	if !ok || !now.Before(found.until) || ended(found.verdict, now) {
		return Verdict{}, false
	}
	return found.verdict, true
}

// ended says that what suppressed does so no more.
func ended(v Verdict, now time.Time) bool { return !v.Expires.IsZero() && !now.Before(v.Expires) }

func (c *cache) put(mail Mail, v Verdict) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.young) >= c.half {
		c.young, c.old = make(map[question]kept, c.half), c.young
	}
	c.young[questionOf(mail, v.Address)] = kept{v, time.Now().Add(c.keep)}
}
