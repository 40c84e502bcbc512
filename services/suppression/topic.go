package suppression

import (
	"context"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"

	"github.com/mailstream/mailstream/services/internal/platform/kafka"
	"github.com/mailstream/mailstream/services/internal/platform/lifecycle"
	"github.com/mailstream/mailstream/services/internal/platform/telemetry"
)

// ends returns the end of every partition of the list.
func (s *Service) ends(ctx context.Context) (map[int32]int64, error) {
	listed, err := kadm.NewClient(s.asks).ListCommittedOffsets(ctx, s.topic)
	if err == nil {
		err = listed.Error()
	}
	if err != nil {
		return nil, fmt.Errorf("list ends of %q: %w", s.topic, kafka.Classify(err))
	}
	out := map[int32]int64{}
	for p, o := range listed[s.topic] {
		out[p] = o.Offset
	}
	return out, nil
}

// askAgain spaces the attempts to learn where the topic ends.
var askAgain = lifecycle.Backoff{Min: 100 * time.Millisecond, Max: 5 * time.Second}

// awaitEnds is ends for the start, when a broker may still be electing leaders.
func (s *Service) awaitEnds(ctx context.Context) (ends map[int32]int64, err error) {
	err = askAgain.Retry(ctx, func(ctx context.Context) (err error) {
		ends, err = s.ends(ctx)
		return err
	}, func(attempt int, delay time.Duration, err error) {
		s.often.Warn("ends of the list were not told", telemetry.Attempt(attempt), telemetry.Delay(delay), telemetry.Err(err))
	})
	return ends, err
}
