package group

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/mailstream/mailstream/services/internal/platform/fate"
	"github.com/mailstream/mailstream/services/internal/platform/kafka"
	"github.com/mailstream/mailstream/services/internal/platform/kafka/offsets"
	"github.com/mailstream/mailstream/services/internal/platform/lifecycle"
	"github.com/mailstream/mailstream/services/internal/platform/telemetry"
)

// errAbandoned ends the work on a batch that somebody else may have.
var errAbandoned = errors.New("batch abandoned")

// session is one Run: its client, and what the client's callbacks tell it. A
// poll that returned something holds back every callback until AllowRebalance,
// so what settle does is never concurrent with one of them.
type session struct {
	*Consumer
	cl     *kgo.Client
	lister *offsets.Lister // of cl
	made   chan struct{}   // closed once cl and lister are there
	handle Handler
	wanted chan struct{} // one token: a callback waits for AllowRebalance

	born     time.Time
	stumbles int          // polls without a record in a row; the loop's own
	oldest   atomic.Int64 // time of the oldest record of the last batch, Unix milliseconds

	mu    sync.Mutex
	fresh map[string][]int32 // assigned, OnAssigned not yet called; guarded by mu
	wake  context.CancelFunc // ends the running poll; guarded by mu
}

func newSession(c *Consumer, handle Handler) *session {
	return &session{Consumer: c, handle: handle, made: make(chan struct{}), wanted: make(chan struct{}, 1), born: time.Now(), fresh: map[string][]int32{}}
}

func (s *session) options() []kgo.Opt {
	opts := []kgo.Opt{
		kgo.OnPartitionsAssigned(s.assigned),
		kgo.OnPartitionsRevoked(func(_ context.Context, _ *kgo.Client, m map[string][]int32) { s.gone("revoked", m) }),
		kgo.OnPartitionsLost(func(_ context.Context, _ *kgo.Client, m map[string][]int32) { s.gone("lost", m) }),
		kgo.OnPartitionsCallbackBlocked(func(context.Context, *kgo.Client) { s.want() }),
	}
	return append(opts, kgo.AdjustFetchOffsetsFn(s.begin))
}

// begin notes from where the client reads partitions that were assigned, or,
// with StartAt, tells it. An error makes it join again. The client joins while it
// is being made, so a quick broker may have an answer before we have the client.
func (s *session) begin(ctx context.Context, given map[string]map[int32]kgo.Offset) (map[string]map[int32]kgo.Offset, error) {
	select {
	case <-s.made:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	// A position after the end is of another life of the topic. Who cannot tell the
	// ends now is told by the broker when it reads.
	ends, err := s.lister.CommittedEnds(ctx, slices.Collect(maps.Keys(given))...)
	if err != nil {
		s.often.Warn("ends were not told", telemetry.Group(s.cfg.Group), telemetry.Err(err))
	}
	var chosen map[kafka.TopicPartition]int64
	if s.cfg.StartAt != nil && len(given) > 0 {
		if chosen, err = s.lister.After(ctx, s.cfg.StartAt(), slices.Collect(maps.Keys(given))...); err != nil {
			return nil, err
		}
	}
	for topic, partitions := range given {
		for p, o := range partitions {
			at := kafka.TopicPartition{Topic: topic, Partition: p}
			if end, known := ends[at]; known && o.EpochOffset().Offset > end {
				o = kgo.NewOffset().AtStart()
				partitions[p] = o
			}
			if chosen != nil {
				partitions[p] = kgo.NewOffset().At(chosen[at])
			}
			// Negative is the library's word for the first record: not a position yet.
			s.front.Begin(at, max(offsets.Unknown, o.EpochOffset().Offset))
			if chosen != nil {
				s.front.Begin(at, chosen[at])
			}
		}
	}
	return given, nil
}

func (s *session) want() {
	select {
	case s.wanted <- struct{}{}:
	default: // one token is enough
	}
}

func (s *session) assigned(_ context.Context, _ *kgo.Client, m map[string][]int32) {
	if countPartitions(m) == 0 {
		return
	}
	s.met.rebalances.WithLabelValues("assigned").Inc()
	s.met.assigned.Add(float64(countPartitions(m)))
	s.often.Info("partitions assigned", telemetry.Group(s.cfg.Group), telemetry.Partitions(m))
	s.mu.Lock()
	defer s.mu.Unlock()
	for topic, partitions := range m {
		s.fresh[topic] = append(s.fresh[topic], partitions...)
	}
	if s.wake != nil {
		s.wake()
	}
}

func (s *session) gone(kind string, m map[string][]int32) {
	if countPartitions(m) == 0 {
		return
	}
	s.met.rebalances.WithLabelValues(kind).Inc()
	s.met.assigned.Sub(float64(countPartitions(m)))
	s.often.Info("partitions given up", telemetry.Group(s.cfg.Group), telemetry.Reason(kind), telemetry.Partitions(m))
	s.mu.Lock()
	for topic, partitions := range m {
		s.fresh[topic] = slices.DeleteFunc(s.fresh[topic], func(p int32) bool { return slices.Contains(partitions, p) })
	}
	s.mu.Unlock()
	s.front.Drop(m)
	s.showLag()
	if s.cfg.OnRevoked != nil {
		s.cfg.OnRevoked(m)
	}
}

func countPartitions(m map[string][]int32) int {
	n := 0
	for _, partitions := range m {
		n += len(partitions)
	}
	return n
}

// takeFresh returns the partitions that OnAssigned has not seen.
func (s *session) takeFresh() map[string][]int32 {
	s.mu.Lock()
	defer s.mu.Unlock()
	fresh := s.fresh
	s.fresh = map[string][]int32{}
	maps.DeleteFunc(fresh, func(_ string, p []int32) bool { return len(p) == 0 })
	return fresh
}

// putBack makes them fresh again, because OnAssigned failed.
func (s *session) putBack(fresh map[string][]int32) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for topic, partitions := range fresh {
		s.fresh[topic] = append(s.fresh[topic], partitions...)
	}
}

// settle makes the batch durable, then commits its offsets. A crash between the
// two repeats the batch: the handler's effect is idempotent. There is no other
// place in the repository that commits. While it runs, no partition can be
// taken from this member, and a member that the group has given up is refused
// by the broker, so it never commits for a partition that is another's.
func (s *session) settle(ctx context.Context, b *batch) error {
	if len(b.recs) == 0 && ctx.Err() != nil {
		return nil
	}
	began := time.Now()
	s.oldest.Store(b.oldest())
	if err := s.insist(ctx, b); err != nil {
		return err
	}
	if len(b.recs) == 0 {
		return nil
	}
	s.front.Advance(b.recs)
	s.met.batch.Observe(time.Since(began).Seconds())
	s.met.finished.WithLabelValues(outcomeSettled).Add(float64(len(b.recs)))
	if s.cfg.StartAt != nil {
		return nil // positions are the reader's own
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), commitTimeout)
	defer cancel()
	var fault error
	s.cl.CommitOffsetsSync(ctx, b.next(), func(_ *kgo.Client, _ *kmsg.OffsetCommitRequest, resp *kmsg.OffsetCommitResponse, err error) {
		fault = commitFault(resp, err)
	})
	if fault == nil {
		return nil
	}
	// The effect is durable; whoever reads the partitions next repeats it. A later
	// commit of ours makes good for this one if they are still ours.
	s.met.commits.Inc()
	s.often.Warn("commit was refused", telemetry.Group(s.cfg.Group), telemetry.Rows(len(b.recs)), telemetry.Err(fault))
	if fault = kafka.Classify(fault); fate.Final(fault) {
		return fault
	}
	return nil
}

func commitFault(resp *kmsg.OffsetCommitResponse, err error) error {
	if err != nil || resp == nil {
		return err
	}
	for _, t := range resp.Topics {
		for _, p := range t.Partitions {
			if err := kerr.ErrorForCode(p.ErrorCode); err != nil {
				return err
			}
		}
	}
	return nil
}

// insist hands the batch over until the handler takes it, somebody wants the
// partitions, or the fault has no retry.
func (s *session) insist(ctx context.Context, b *batch) error {
	work, yield, stop := s.tenure(ctx)
	defer stop()
	for attempt := 1; ; attempt++ {
		err := s.attempt(work, b)
		switch {
		case err == nil:
			return nil
		case fate.Final(err):
			return err
		case yield.Err() != nil:
			s.often.Info("batch given back", telemetry.Group(s.cfg.Group), telemetry.Rows(len(b.recs)), telemetry.Attempt(attempt), telemetry.Err(err))
			return errAbandoned
		}
		delay := s.cfg.Retry.Next(attempt)
		s.met.retries.Inc()
		s.often.Warn("batch was not taken", telemetry.Group(s.cfg.Group), telemetry.Rows(len(b.recs)), telemetry.Attempt(attempt), telemetry.Delay(delay), telemetry.Err(err))
		if lifecycle.Sleep(yield, delay) != nil {
			return errAbandoned
		}
	}
}

func (s *session) attempt(ctx context.Context, b *batch) error {
	if s.cfg.OnAssigned != nil {
		if fresh := s.takeFresh(); len(fresh) > 0 {
			if err := s.cfg.OnAssigned(ctx, fresh); err != nil {
				s.putBack(fresh)
				return err
			}
		}
	}
	if len(b.recs) == 0 {
		return nil
	}
	return s.handle(ctx, b.recs)
}

// tenure returns two contexts: yield ends when no further attempt shall begin,
// because the group wants the partitions or ctx is done; work ends HandOver
// after that. stop ends both and waits.
func (s *session) tenure(ctx context.Context) (work, yield context.Context, stop func()) {
	work, endWork := context.WithCancelCause(context.WithoutCancel(ctx))
	yield, endYield := context.WithCancelCause(context.WithoutCancel(ctx))
	stopped, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		select {
		case <-ctx.Done():
		case <-s.wanted:
		case <-stopped:
			return
		}
		endYield(errAbandoned)
		timer := time.NewTimer(s.cfg.HandOver)
		defer timer.Stop()
		select {
		case <-timer.C:
			endWork(errAbandoned)
		case <-stopped:
		}
	}()
	return work, yield, func() {
		close(stopped)
		<-done
		endWork(context.Canceled)
		endYield(context.Canceled)
	}
}

// rewind sets the partitions of an abandoned batch back to its first records.
// The callbacks are still held back, so all of them are still ours; what the
// group takes next is dropped with its position, the rest is read again.
func (s *session) rewind(b *batch) {
	s.met.finished.WithLabelValues(outcomeAbandoned).Add(float64(len(b.recs)))
	s.cl.SetOffsets(b.first())
}

// leave says goodbye to the group, so that others take over at once, and ends
// the client. kill ends what the client still waits for.
func (s *session) leave(kill context.CancelFunc) {
	ctx, cancel := context.WithTimeout(context.Background(), leaveTimeout)
	defer cancel()
	s.cl.AllowRebalance()
	if err := s.cl.LeaveGroupContext(ctx); err != nil {
		s.log.Warn("group was not told of the end", telemetry.Group(s.cfg.Group), telemetry.Err(err))
		kill() // a request to join may wait for minutes, and Close for it
	}
	s.cl.CloseAllowingRebalance()
	s.front.Clear()
	s.met.assigned.Set(0)
	s.showLag()
}

// beyondMax is how many answers in a row may find a position after the end of its
// partition before reading is begun anew. The library goes back by itself when
// brokers lost records; it stays where it is when there is nothing to read.
const beyondMax = 5

// monitor keeps the lag of the group's partitions.
func (s *session) monitor() offsets.Monitor {
	return offsets.Monitor{
		Lister: s.lister, Tracker: s.front, Topics: s.cfg.Topics, Interval: s.cfg.CheckInterval,
		Observed: func(_ offsets.Snapshot, lost int64) error {
			s.showLag()
			if lost > 0 {
				s.met.lost.Add(float64(lost))
				s.often.Error("records were deleted before they were read", telemetry.Group(s.cfg.Group), telemetry.Rows(int(lost)))
			}
			if at, next, end, ok := s.front.Beyond(beyondMax); ok {
				return offsets.Diverged(at, next, end)
			}
			return nil
		},
		Failed: func(err error) {
			s.showLag()
			s.met.fetches.Inc()
			s.often.Warn("ends were not told", telemetry.Group(s.cfg.Group), telemetry.Err(err))
		},
	}
}

// showLag sets the lag. While it is behind, that is the age of the oldest record
// it had in hand, or of what it was last up to date with.
func (s *session) showLag() {
	now, behind := time.Now(), s.front.Behind()
	s.met.lagRecords.Set(float64(behind))
	at, ok := s.front.Fresh()
	if !ok {
		at = s.born
	}
	if oldest := time.UnixMilli(s.oldest.Load()); (!ok || behind > 0) && s.oldest.Load() > 0 && oldest.Before(at) {
		at = oldest
	}
	if len(s.front.Next()) == 0 {
		at = now // somebody else's lag
	}
	s.met.lagSeconds.Set(now.Sub(at).Seconds())
}
