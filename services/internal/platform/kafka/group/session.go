package group

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/mailstream/mailstream/services/internal/platform/kafka"
	"github.com/mailstream/mailstream/services/internal/platform/kafka/offsets"
	"github.com/mailstream/mailstream/services/internal/platform/telemetry"
)

// errAbandoned ends the work on a batch whose partitions may go to another member.
var errAbandoned = errors.New("batch abandoned")

// session is one Run: its client, and what the callbacks of the client report. A
// poll that returned something holds back every callback until AllowRebalance, so
// settle never runs at the same time as one of them.
type session struct {
	*Consumer
	cl     *kgo.Client
	lister *offsets.Lister // of cl
	made   chan struct{}   // closed once cl and lister are there
	handle Handler
	wanted chan struct{} // one token: a callback waits for AllowRebalance

	started time.Time
	empty   int          // polls without a record in a row; only the loop uses it
	oldest  atomic.Int64 // time of the oldest record of the last batch, Unix milliseconds

	mu          sync.Mutex
	unannounced map[string][]int32 // assigned, OnAssigned not yet called; guarded by mu
	wake        context.CancelFunc // ends the running poll; guarded by mu
}

func newSession(c *Consumer, handle Handler) *session {
	return &session{Consumer: c, handle: handle, made: make(chan struct{}), wanted: make(chan struct{}, 1), started: time.Now(), unannounced: map[string][]int32{}}
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

// begin notes from where the client reads partitions that were assigned; with
// StartAt it decides that. An error makes the client join the group once more. The
// client joins while it is being made, so a quick broker may answer before we have
// the client.
func (s *session) begin(ctx context.Context, given map[string]map[int32]kgo.Offset) (map[string]map[int32]kgo.Offset, error) {
	select {
	case <-s.made:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	// A position after the end belongs to an earlier topic of that name. If the ends
	// are not known now, the broker says so when the partition is read.
	ends, err := s.lister.CommittedEnds(ctx, slices.Collect(maps.Keys(given))...)
	if err != nil {
		s.often.Warn("end offsets could not be listed", telemetry.Group(s.cfg.Group), telemetry.Err(err))
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
			// The library writes "first record" as a negative offset: not a position yet.
			s.tracker.Begin(at, max(offsets.Unknown, o.EpochOffset().Offset))
			if chosen != nil {
				s.tracker.Begin(at, chosen[at])
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
		s.unannounced[topic] = append(s.unannounced[topic], partitions...)
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
		s.unannounced[topic] = slices.DeleteFunc(s.unannounced[topic], func(p int32) bool { return slices.Contains(partitions, p) })
	}
	s.mu.Unlock()
	s.tracker.Drop(m)
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

// takeUnannounced returns the partitions that OnAssigned was not called with.
func (s *session) takeUnannounced() map[string][]int32 {
	s.mu.Lock()
	defer s.mu.Unlock()
	fresh := s.unannounced
	s.unannounced = map[string][]int32{}
	maps.DeleteFunc(fresh, func(_ string, p []int32) bool { return len(p) == 0 })
	return fresh
}

// putBack undoes takeUnannounced, because OnAssigned failed.
func (s *session) putBack(fresh map[string][]int32) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for topic, partitions := range fresh {
		s.unannounced[topic] = append(s.unannounced[topic], partitions...)
	}
}

// insist hands the batch over until the handler takes it, the group or the end of
// Run wants the partitions, or the fault is final.
func (s *session) insist(ctx context.Context, b *batch) error {
	work, yield, stop := s.handlerDeadline(ctx)
	defer stop()
	attempts := 0
	err := s.cfg.Retry.Retry(yield, func(context.Context) error {
		attempts++
		return s.attempt(work, b)
	}, func(attempt int, delay time.Duration, err error) {
		s.met.retries.Inc()
		s.often.Warn("batch was not handled and will be tried again", telemetry.Group(s.cfg.Group), telemetry.Rows(len(b.recs)), telemetry.Attempt(attempt), telemetry.Delay(delay), telemetry.Err(err))
	})
	if errors.Is(err, errAbandoned) {
		s.often.Info("batch was given back unhandled", telemetry.Group(s.cfg.Group), telemetry.Rows(len(b.recs)), telemetry.Attempt(attempts), telemetry.Err(err))
	}
	return err
}

func (s *session) attempt(ctx context.Context, b *batch) error {
	if s.cfg.OnAssigned != nil {
		if fresh := s.takeUnannounced(); len(fresh) > 0 {
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

// handlerDeadline returns two contexts. yield ends when the group wants the
// partitions or ctx is done: no further attempt begins. work ends HandOver later:
// an attempt that is running has that long to finish. stop ends both and waits
// for the goroutine behind them.
func (s *session) handlerDeadline(ctx context.Context) (work, yield context.Context, stop func()) {
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

// rewind sets the partitions of an abandoned batch back to its first records. The
// callbacks are still held back, so all these partitions are still ours: those
// that the group takes next are dropped with their position, the others are read
// a second time.
func (s *session) rewind(b *batch) {
	s.met.finished.WithLabelValues(outcomeAbandoned).Add(float64(len(b.recs)))
	s.cl.SetOffsets(b.first())
}

// leave leaves the group, so that other members take over at once, and closes the
// client. kill ends what the client still waits for.
func (s *session) leave(kill context.CancelFunc) {
	ctx, cancel := context.WithTimeout(context.Background(), leaveTimeout)
	defer cancel()
	s.cl.AllowRebalance()
	if err := s.cl.LeaveGroupContext(ctx); err != nil {
		s.log.Warn("leaving the group failed", telemetry.Group(s.cfg.Group), telemetry.Err(err))
		kill() // a request to join may wait for minutes, and Close for it
	}
	s.cl.CloseAllowingRebalance()
	s.tracker.Clear()
	s.met.assigned.Set(0)
	s.showLag()
}

// beyondMax is how many snapshots in a row may have a position after the end of its
// partition before Run ends with ErrDiverged. The library seeks back when brokers lost
// records; it keeps its position when there is nothing to read.
const beyondMax = 5

// monitor measures the lag of the group's partitions.
func (s *session) monitor() offsets.Monitor {
	return offsets.Monitor{
		Lister: s.lister, Tracker: s.tracker, Topics: s.cfg.Topics, Interval: s.cfg.CheckInterval,
		Observed: func(_ offsets.Snapshot, lost int64) error {
			s.showLag()
			if lost > 0 {
				s.met.lost.Add(float64(lost))
				s.often.Error("records were deleted before they were read", telemetry.Group(s.cfg.Group), telemetry.Rows(int(lost)))
			}
			if at, next, end, ok := s.tracker.Beyond(beyondMax); ok {
				return offsets.Diverged(at, next, end)
			}
			return nil
		},
		Failed: func(err error) {
			s.showLag()
			s.met.fetches.Inc()
			s.often.Warn("end offsets could not be listed", telemetry.Group(s.cfg.Group), telemetry.Err(err))
		},
	}
}

// showLag sets the metrics of the lag. While the member is behind, the lag is the
// age of the oldest record of its last batch, or the time since it was last caught
// up, whichever is longer.
func (s *session) showLag() {
	now, behind := time.Now(), s.tracker.Behind()
	s.met.lagRecords.Set(float64(behind))
	at, ok := s.tracker.Fresh()
	if !ok {
		at = s.started
	}
	if oldest := time.UnixMilli(s.oldest.Load()); (!ok || behind > 0) && s.oldest.Load() > 0 && oldest.Before(at) {
		at = oldest
	}
	if len(s.tracker.Next()) == 0 {
		at = now // no partition: the lag is another member's
	}
	s.met.lagSeconds.Set(now.Sub(at).Seconds())
}
