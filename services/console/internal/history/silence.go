package history

import (
	"errors"
	"sync"
	"time"
)

// errSilent says that the server did not answer others a moment ago.
var errSilent = errors.New("the server has just not answered another query")

// silence is the time after a query without a word of the server.
type silence struct {
	mu    sync.Mutex
	until time.Time     // guarded by mu
	fell  chan struct{} // is closed once it is silent; guarded by mu
}

func newSilence() *silence {
	return &silence{fell: make(chan struct{})}
}

// begin says that the server is silent.
func (s *silence) begin() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !time.Now().Before(s.until) {
		close(s.fell)
		s.fell = make(chan struct{})
	}
	s.until = time.Now().Add(silenceSpan)
}

// now returns a channel that is closed where the server is silent, or as soon as it is.
func (s *silence) now() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if time.Now().Before(s.until) {
		closed := make(chan struct{})
		close(closed)
		return closed
	}
	return s.fell
}
