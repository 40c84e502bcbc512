// Package fate lets an error carry what to do about it. The fate is decided
// where the cause is known and read where the loop is; nothing is decided from
// an error's text. It does not retry anything itself.
package fate

import "errors"

// Fate is what becomes of the work that an error stopped.
type Fate int

// The fates. Retry is the zero value: an unclassified error is treated as
// transient, because lag is better than loss.
const (
	Retry      Fate = iota // transient: keep the work and retry
	DeadLetter             // poison: park this item and go on
	Halt                   // our bug or configuration: end the process
	StartAgain             // what the service was built on is not there any more: build it anew
)

// String returns the fate as a metric label and log word.
func (f Fate) String() string {
	switch f {
	case DeadLetter:
		return "dead_letter"
	case Halt:
		return "halt"
	case StartAgain:
		return "start_again"
	default:
		return "retry"
	}
}

// Error is an error with a fate. Unwrap gives the cause.
type Error struct {
	Fate Fate
	Err  error
}

// Error returns the cause's text.
func (e *Error) Error() string { return e.Err.Error() }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Wrap gives err the fate f. A nil err stays nil.
func Wrap(f Fate, err error) error {
	if err == nil {
		return nil
	}
	return &Error{Fate: f, Err: err}
}

// Of returns the fate of err: that of the outermost Error in its chain, Retry
// when there is none.
func Of(err error) Fate {
	if fe, ok := errors.AsType[*Error](err); ok {
		return fe.Fate
	}
	return Retry
}

// Final says that another attempt is of no use: err has a fate other than Retry.
func Final(err error) bool { return Of(err) != Retry }
