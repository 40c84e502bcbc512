package group

import (
	"context"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/mailstream/mailstream/services/internal/platform/fate"
	"github.com/mailstream/mailstream/services/internal/platform/kafka"
	"github.com/mailstream/mailstream/services/internal/platform/telemetry"
)

// settle has the handler make the batch durable, then commits its offsets. A crash
// between the two repeats the batch, which is safe because the handler's effect is
// idempotent. No other place in the repository commits. While settle runs, no
// partition can be taken from this member; and once the group has excluded it, the
// broker rejects its commit. So it never commits for a partition of another member.
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
	s.tracker.Advance(b.recs)
	s.met.batch.Observe(time.Since(began).Seconds())
	s.met.finished.WithLabelValues(outcomeSettled).Add(float64(len(b.recs)))
	if s.cfg.StartAt != nil {
		return nil // the caller keeps the positions
	}
	return s.commit(ctx, b)
}

// commit commits the offsets after the batch. An error is final.
func (s *session) commit(ctx context.Context, b *batch) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), commitTimeout)
	defer cancel()
	var fault error
	s.cl.CommitOffsetsSync(ctx, b.next(), func(_ *kgo.Client, _ *kmsg.OffsetCommitRequest, resp *kmsg.OffsetCommitResponse, err error) {
		fault = commitFault(resp, err)
	})
	if fault == nil {
		return nil
	}
	// The effect is durable; the next reader of the partitions repeats it. If they
	// are still ours, our next commit covers this one.
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
