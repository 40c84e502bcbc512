package rule

import (
	"time"

	"github.com/mailstream/mailstream/schemas"
)

// Status is where the alert of one key is. The zero value is not an alert.
type Status struct {
	State      schemas.AlertState // "" is none
	StateSince time.Time
	Since      time.Time // start of the incident
	JudgedAt   time.Time // when there was last enough mail to judge by
	Peak       float64   // the largest rate of the incident
	Ended      schemas.AlertEnd
}

// Active says whether there is an incident under way or about to be.
func (s Status) Active() bool { return s.State != "" && s.State != schemas.AlertResolved }

// Open says whether the incident is one that people are notified of: firing or
// recovering.
func (s Status) Open() bool {
	return s.State == schemas.AlertFiring || s.State == schemas.AlertRecovering
}

// Reading is what the window holds at one moment.
type Reading struct {
	Now   time.Time
	Part  int64 // the numerator of the metric
	Total int64 // the denominator: messages in the window
	Fresh int64 // those of Total since Status.Since
	// Usual is the rate of the same hours of the weeks before; meaningful only when
	// HasUsual, for a new key has no weeks before.
	Usual    float64
	HasUsual bool
}

// Rate returns the part of the total, 0 when there is nothing.
func (r Reading) Rate() float64 {
	if r.Total == 0 {
		return 0
	}
	return float64(r.Part) / float64(r.Total)
}

// Event is what a step did.
type Event uint8

// The events.
const (
	Nothing  Event = iota
	Moved          // another state, no one needs to be notified
	Fired          // an incident began
	Resolved       // an incident ended
)

// Over says whether the reading is beyond the threshold, and beyond doubt where
// the rule wants that.
func (r Rule) Over(in Reading) bool {
	if in.Total < r.MinVolume || r.count(in) < r.MinCount {
		return false
	}
	if r.LowIsBad() {
		if !below(in.Part, in.Total, r.Threshold) {
			return false
		}
	} else if !exceeds(in.Part, in.Total, r.Threshold) {
		return false
	}
	return r.unusual(in) && r.certain(in)
}

// NoTraffic says since when an incident has had too little mail to judge by, and
// when it ends for that; ok is false while there is enough.
func (r Rule) NoTraffic(s Status, in Reading) (since, ends time.Time, ok bool) {
	if !s.Open() || in.Total >= r.ResolveVolume {
		return since, ends, false
	}
	return s.JudgedAt, s.JudgedAt.Add(r.StaleAfter), true
}

// Step returns the state after the reading and what changed. Steps may come at
// any pace: the same reading again changes nothing.
func (r Rule) Step(s Status, in Reading) (Status, Event) {
	switch s.State {
	case schemas.AlertPending:
		return r.stepPending(s, in)
	case schemas.AlertFiring, schemas.AlertRecovering:
		return r.stepTold(s, in)
	default:
		return r.stepQuiet(s, in)
	}
}

func (r Rule) stepQuiet(s Status, in Reading) (Status, Event) {
	if !r.Over(in) {
		return s, Nothing
	}
	next := Status{State: schemas.AlertPending, StateSince: in.Now, Since: in.Now, JudgedAt: in.Now, Peak: in.Rate()}
	if r.For > 0 {
		return next, Moved
	}
	next.State = schemas.AlertFiring
	return next, Fired
}

func (r Rule) stepPending(s Status, in Reading) (Status, Event) {
	if !r.Over(in) {
		return r.end(s, in, schemas.EndLapsed), Moved
	}
	s.JudgedAt, s.Peak = in.Now, r.worse(s.Peak, in.Rate())
	if in.Now.Sub(s.StateSince) < r.For {
		return s, Nothing
	}
	s.State, s.StateSince, s.Since = schemas.AlertFiring, in.Now, in.Now
	return s, Fired
}

// stepTold moves between firing, recovering and the end. Without enough mail it
// holds whatever state it has: silence is not recovery.
func (r Rule) stepTold(s Status, in Reading) (Status, Event) {
	if in.Total < r.ResolveVolume {
		if in.Now.Sub(s.JudgedAt) >= r.StaleAfter {
			return r.end(s, in, schemas.EndNoTraffic), Resolved
		}
		return s, Nothing
	}
	s.JudgedAt = in.Now
	if in.Total >= r.MinVolume {
		s.Peak = r.worse(s.Peak, in.Rate())
	}
	low := r.recovered(in)
	switch {
	case s.State == schemas.AlertFiring && low && in.Fresh >= r.ResolveVolume:
		s.State, s.StateSince = schemas.AlertRecovering, in.Now
		if r.ResolveFor > 0 {
			return s, Moved
		}
		return r.end(s, in, schemas.EndRecovered), Resolved
	case s.State == schemas.AlertRecovering && !low:
		s.State, s.StateSince = schemas.AlertFiring, in.Now
		return s, Moved
	case s.State == schemas.AlertRecovering && in.Now.Sub(s.StateSince) >= r.ResolveFor:
		return r.end(s, in, schemas.EndRecovered), Resolved
	}
	return s, Nothing
}

func (r Rule) end(s Status, in Reading, why schemas.AlertEnd) Status {
	s.State, s.StateSince, s.Ended = schemas.AlertResolved, in.Now, why
	return s
}
