package slack

import (
	"errors"
	"net/http"
	"strconv"
	"time"
)

// Fault is what happens to posts instead of being taken.
type Fault struct {
	// Times is how many posts it meets; 0 is one, -1 all from now on.
	Times int `json:"times"`
	// Status and Body are answered; 0 is 500.
	Status int    `json:"status"`
	Body   string `json:"body"`
	// RetryAfter is sent as a header when above 0, whole seconds.
	RetryAfter int `json:"retry_after"`
	// DelayMS is how long the answer takes, in milliseconds. With Status 200 the
	// message is taken after it.
	DelayMS int `json:"delay_ms"`
	// Drop ends the connection without an answer.
	Drop bool `json:"drop"`
}

// delayMax bounds DelayMS: longer than any client waits.
const delayMax = 5 * time.Minute

// RateLimited answers 429 and asks to wait for retryAfter seconds.
func RateLimited(times, retryAfter int) Fault {
	return Fault{Times: times, Status: http.StatusTooManyRequests, Body: "rate_limited", RetryAfter: retryAfter}
}

// ServerError answers 500.
func ServerError(times int) Fault {
	return Fault{Times: times, Status: http.StatusInternalServerError, Body: "internal_error"}
}

// Order adds faults behind those ordered before.
func (s *Server) Order(faults ...Fault) error {
	for _, f := range faults {
		if f.Status != 0 && (f.Status < 200 || f.Status > 599) || f.Times < -1 || f.DelayMS < 0 || f.RetryAfter < 0 {
			return errors.New("fault wants status 200 to 599, times -1 or more, and no negative delay")
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range faults {
		f.Times = f.Times + boolInt(f.Times == 0)
		s.faults = append(s.faults, f)
	}
	return nil
}

func boolInt(b bool) int {
	if b {
		return 1
	}
	return 0
}

// Heal forgets the ordered faults.
func (s *Server) Heal() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = nil
}

// next returns the fault a post meets.
func (s *Server) next() (Fault, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.posts++
	if len(s.faults) == 0 {
		return Fault{}, false
	}
	f := s.faults[0]
	if f.Times > 0 {
		if s.faults[0].Times--; s.faults[0].Times == 0 {
			s.faults = s.faults[1:]
		}
	}
	return f, true
}

// strike does what f says and returns whether the post is answered.
func (f Fault) strike(w http.ResponseWriter, r *http.Request) (answered bool) {
	if d := min(time.Duration(f.DelayMS)*time.Millisecond, delayMax); d > 0 {
		timer := time.NewTimer(d)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-r.Context().Done():
		}
	}
	switch {
	case f.Drop:
		panic(http.ErrAbortHandler) // net/http's way to end the connection without an answer
	case f.Status == http.StatusOK:
		return false
	case f.RetryAfter > 0:
		w.Header().Set("Retry-After", strconv.Itoa(f.RetryAfter))
	}
	status := f.Status
	if status == 0 {
		status = http.StatusInternalServerError
	}
	plain(w, status, f.Body)
	return true
}
