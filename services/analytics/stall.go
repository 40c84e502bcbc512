package analytics

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

const (
	// stallMin is how long batches fail before the service says so: a server that
	// restarts takes some seconds.
	stallMin = 10 * time.Second
	// stallForget is after how long without a try a stall is forgotten, above the
	// longest pause between two: the partitions may be another replica's by now.
	stallForget = 2 * time.Minute
)

// errUnanswered is the cause of a try that has neither failed nor succeeded:
// the server is frozen, or the network drops what is sent.
var errUnanswered = errors.New("the batch that is being stored has no answer yet")

// stall knows whether batches fail or hang, since when and why: ClickHouse is
// away, its disk is full, or dead letters are refused.
type stall struct {
	mu          sync.Mutex
	since, last time.Time
	trying      time.Time // start of the try that is under way; zero when none is
	cause       error
}

// try notes that a try begins. The returned function notes its end.
func (s *stall) try() func() {
	set := func(at time.Time) {
		s.mu.Lock()
		s.trying = at
		s.mu.Unlock()
	}
	set(time.Now())
	return func() { set(time.Time{}) }
}

// note takes the outcome of a try. A stall that the stop interrupted is not
// reported.
func (s *stall) note(err error) {
	if errors.Is(err, context.Canceled) {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	switch {
	case err == nil:
		s.since = time.Time{}
	case s.since.IsZero() || now.Sub(s.last) > stallForget:
		s.since = now
	}
	s.last, s.cause = now, err
}

// length is for how long nothing has been stored, 0 when all is well.
func (s *stall) length() time.Duration {
	length, _ := s.state()
	return length
}

// fault is why nothing has been stored for stallMin.
func (s *stall) fault() error {
	length, cause := s.state()
	if length < stallMin {
		return nil
	}
	return fmt.Errorf("nothing has been stored for %s: %w", length.Round(time.Second), cause)
}

func (s *stall) state() (time.Duration, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	hangs := !s.trying.IsZero() && time.Since(s.trying) >= stallMin
	switch {
	case !s.since.IsZero() && (hangs || time.Since(s.last) <= stallForget):
		return time.Since(s.since), s.cause
	case hangs:
		return time.Since(s.trying), errUnanswered
	}
	return 0, nil
}
