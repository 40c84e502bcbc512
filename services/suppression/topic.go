package suppression

import (
	"context"
	"fmt"
	"time"

	"github.com/mailstream/mailstream/services/internal/platform/lifecycle"
	"github.com/mailstream/mailstream/services/internal/platform/telemetry"
)

// ends returns the end of every partition of the list.
func (s *Service) ends(ctx context.Context) (map[int32]int64, error) {
	listed, err := s.offsets.CommittedEnds(ctx, s.topic)
	if err != nil {
		return nil, fmt.Errorf("read ends of %q: %w", s.topic, err)
	}
	out := make(map[int32]int64, len(listed))
	for at, end := range listed {
		out[at.Partition] = end
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
		s.often.Warn("end offsets of the list could not be read", telemetry.Attempt(attempt), telemetry.Delay(delay), telemetry.Err(err))
	})
	return ends, err
}
