package mailgun

import (
	"crypto/sha256"
	"sync"
	"time"
)

// tokensMax bounds the used tokens that are remembered, about 12 MB a source. At
// more than 3 events a second over nine hours the oldest is forgotten early; its
// request could then be replayed with other events by whoever captured it.
const tokensMax = 100_000

// sumBytes of a hash distinguish tokens and contents.
const sumBytes = 16

type sum [sumBytes]byte

func sumOf(b []byte) (s sum) {
	full := sha256.Sum256(b)
	copy(s[:], full[:])
	return s
}

// tokens remembers which content a token came with, for as long as the token is
// valid. It is safe for concurrent use.
type tokens struct {
	mu    sync.Mutex
	max   int
	used  map[sum]sum // guarded by mu
	queue []usedToken // guarded by mu: a ring once it has max elements
	first int         // the oldest of queue
	count int
}

type usedToken struct {
	token sum
	until time.Time
}

func newTokens(most int) *tokens { return &tokens{max: most, used: map[sum]sum{}} }

// claim says whether token is valid for content: it was never used, or with the
// same content. It is valid until the given time.
func (t *tokens) claim(token string, content []byte, now, until time.Time) bool {
	key, value := sumOf([]byte(token)), sumOf(content)
	t.mu.Lock()
	defer t.mu.Unlock()
	for t.count > 0 && t.queue[t.first].until.Before(now) {
		t.forget()
	}
	if before, ok := t.used[key]; ok {
		return before == value
	}
	if t.count == t.max {
		t.forget()
	}
	t.used[key] = value
	t.push(usedToken{token: key, until: until})
	return true
}

// forget drops the oldest; t.mu is held.
func (t *tokens) forget() {
	delete(t.used, t.queue[t.first].token)
	t.first = (t.first + 1) % len(t.queue)
	t.count--
}

// push adds the newest; t.mu is held and there is room below max.
func (t *tokens) push(u usedToken) {
	if t.count == len(t.queue) && len(t.queue) < t.max {
		grown := make([]usedToken, min(max(2*len(t.queue), 64), t.max))
		for i := range t.count {
			grown[i] = t.queue[(t.first+i)%len(t.queue)]
		}
		t.queue, t.first = grown, 0
	}
	t.queue[(t.first+t.count)%len(t.queue)] = u
	t.count++
}
