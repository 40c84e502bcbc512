package controls

import (
	"context"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/mailstream/mailstream/schemas"
)

// seenTimeout bounds the wait for our own record to come back. It is written then,
// and shows a moment later.
const seenTimeout = 5 * time.Second

// Publisher writes records durably: when Publish returns nil, all of them are
// acknowledged by all in-sync replicas. Kept by produce.Producer.
type Publisher interface {
	Publish(ctx context.Context, recs ...*kgo.Record) error
}

// Log is the reader of the topic that fills the Set. Kept by read.Tail.
type Log interface {
	// Wait returns nil once the record at offset is in the Set.
	Wait(ctx context.Context, partition int32, offset int64) error
	// CaughtUp is closed once the Set has all that was in the topic at the start.
	CaughtUp() <-chan struct{}
}

// Store is a Set that can be written to.
type Store struct {
	*Set
	Topic     string
	Publisher Publisher
	Log       Log
}

// Put returns nil once c is acknowledged, and as a rule once the Set has it.
func (s *Store) Put(ctx context.Context, c schemas.AlertControl) error {
	rec, err := Record(s.Topic, c)
	if err != nil {
		return err
	}
	if err := s.Publisher.Publish(ctx, rec); err != nil {
		return fmt.Errorf("write control %q: %w", c.Key(), err)
	}
	wait, cancel := context.WithTimeout(ctx, seenTimeout)
	defer cancel()
	_ = s.Log.Wait(wait, rec.Partition, rec.Offset) // it is written, whatever this instance has read
	return nil
}

// Ready says whether the Set has all that was in the topic at the start.
func (s *Store) Ready() bool {
	select {
	case <-s.Log.CaughtUp():
		return true
	default:
		return false
	}
}
