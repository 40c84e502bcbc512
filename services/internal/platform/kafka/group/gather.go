package group

import (
	"context"
	"errors"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/mailstream/mailstream/services/internal/platform/fate"
	"github.com/mailstream/mailstream/services/internal/platform/kafka"
	"github.com/mailstream/mailstream/services/internal/platform/lifecycle"
	"github.com/mailstream/mailstream/services/internal/platform/telemetry"
)

// The reading half of a session: from polls to a batch.

func (s *session) full(b *batch) bool {
	return len(b.recs) >= s.cfg.BatchRecordsMax || b.bytes >= s.cfg.BatchBytesMax
}

// room returns how many records the next poll may take: as many as fit if they
// are as large as those before, on average.
func (s *session) room(b *batch) int {
	n := pollRecordsFirst
	if len(b.recs) > 0 {
		n = (s.cfg.BatchBytesMax - b.bytes) / (b.bytes/len(b.recs) + 1)
	}
	return max(1, min(n, pollRecordsMax, s.cfg.BatchRecordsMax-len(b.recs)))
}

// gather waits for records and then, up to BatchWait, for more. It returns
// without any when partitions were assigned or ctx is done.
func (s *session) gather(ctx context.Context) (*batch, error) {
	select {
	case <-s.wanted: // meant for the batch before, which AllowRebalance ended
	default:
	}
	b := &batch{recs: make([]*kgo.Record, 0, pollRecordsFirst)}
	if n, err := s.poll(ctx, b); err != nil || n == 0 {
		return b, errors.Join(err, s.pause(ctx))
	}
	s.empty = 0
	if s.cfg.BatchWait > 0 {
		wait, cancel := context.WithTimeout(ctx, s.cfg.BatchWait)
		defer cancel()
		for !s.full(b) && wait.Err() == nil && len(s.wanted) == 0 {
			if _, err := s.poll(wait, b); err != nil {
				return b, err
			}
		}
	}
	// What the client already holds needs no waiting.
	for !s.full(b) && s.cl.BufferedFetchRecords() > 0 && len(s.wanted) == 0 {
		//nolint:staticcheck // kgo takes a nil context for "only what is there already"
		if n, err := s.poll(nil, b); err != nil || n == 0 {
			return b, err
		}
	}
	return b, nil
}

// pause delays the next poll after one that returned faults alone, so that the
// loop does not spin. A poll that ended because partitions were assigned was no
// fault.
func (s *session) pause(ctx context.Context) error {
	s.mu.Lock()
	announcing := s.announcing()
	s.mu.Unlock()
	if announcing || ctx.Err() != nil {
		return nil
	}
	s.empty++
	return lifecycle.Sleep(ctx, kafka.PollBackoff.Next(s.empty))
}

// poll adds what one poll returns to b. It ends with ctx, and when partitions
// are assigned; a nil ctx does not wait. It returns how many records came.
func (s *session) poll(ctx context.Context, b *batch) (int, error) {
	if ctx != nil {
		var cancel context.CancelFunc
		ctx, cancel = context.WithCancel(ctx)
		defer cancel()
		s.arm(cancel)
		defer s.arm(nil)
	}
	fetches := s.cl.PollRecords(ctx, s.room(b))
	if err := s.fetchFault(ctx, fetches); err != nil {
		return 0, err
	}
	before := len(b.recs)
	b.add(fetches.Records())
	s.countConsumed(b.recs[before:])
	return len(b.recs) - before, nil
}

// arm sets what ends the next poll. That poll ends at once when assigned
// partitions have to be announced first; it still holds back the callbacks.
func (s *session) arm(cancel context.CancelFunc) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.wake = cancel
	if cancel != nil && s.announcing() {
		cancel()
	}
}

// announcing says whether OnAssigned has to be called first. The caller holds mu.
func (s *session) announcing() bool {
	return s.cfg.OnAssigned != nil && countPartitions(s.unannounced) > 0
}

func (s *session) countConsumed(recs []*kgo.Record) {
	for i := 0; i < len(recs); {
		j := i
		for j < len(recs) && recs[j].Topic == recs[i].Topic {
			j++
		}
		s.met.consumed.WithLabelValues(recs[i].Topic).Add(float64(j - i))
		i = j
	}
}

// fetchFault returns what reading cannot go on with. The rest is logged; the
// client retries it.
func (s *session) fetchFault(ctx context.Context, fetches kgo.Fetches) error {
	var final error
	kafka.EachFault(ctx, fetches, func(at kafka.TopicPartition, err error) {
		s.met.fetches.Inc()
		if fate.Final(err) || errors.Is(err, kafka.ErrClosed) {
			final = err
			return
		}
		s.often.Warn("reading failed and will be tried again", telemetry.Group(s.cfg.Group), telemetry.Topic(at.Topic), telemetry.Partition(at.Partition), telemetry.Err(err))
	})
	return final
}
