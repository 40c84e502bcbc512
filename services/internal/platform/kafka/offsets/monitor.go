package offsets

import (
	"context"
	"time"

	"github.com/mailstream/mailstream/services/internal/platform/fate"
	"github.com/mailstream/mailstream/services/internal/platform/lifecycle"
)

// Monitor asks for the ends of partitions at intervals and hands them to their
// tracker: how far behind the reader is follows from both.
type Monitor struct {
	Lister   *Lister
	Tracker  *Tracker
	Topics   []string
	Interval time.Duration
	// Observed is called with every answer, after the tracker has it, and with the
	// number of records that were deleted before they were read. Its error ends Run.
	Observed func(s Snapshot, lost int64) error
	// Failed is called when no broker answers.
	Failed func(error)
}

// Run asks until ctx is done or a fault is final.
func (m Monitor) Run(ctx context.Context) error {
	for {
		err := m.observe(ctx)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case fate.Final(err):
			return err
		case err != nil:
			m.Failed(err)
		}
		if err := lifecycle.Sleep(ctx, m.Interval); err != nil {
			return err
		}
	}
}

func (m Monitor) observe(ctx context.Context) error {
	s := Snapshot{Before: m.Tracker.Next(), Asked: time.Now()}
	var err error
	if s.Ends, err = m.Lister.CommittedEnds(ctx, m.Topics...); err != nil {
		return err
	}
	if m.Tracker.needsStarts(s.Ends) {
		if s.Starts, err = m.Lister.Starts(ctx, m.Topics...); err != nil {
			return err
		}
	}
	return m.Observed(s, m.Tracker.Observe(s))
}
