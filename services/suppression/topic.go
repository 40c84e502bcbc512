package suppression

import (
	"context"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"go.uber.org/zap"

	"github.com/mailstream/mailstream/services/internal/platform/fate"
	"github.com/mailstream/mailstream/services/internal/platform/kafka"
	"github.com/mailstream/mailstream/services/internal/platform/lifecycle"
	"github.com/mailstream/mailstream/services/internal/platform/telemetry"
)

// topicView asks the brokers about the suppressions topic.
type topicView struct {
	adm        *kadm.Client
	close      func()
	name       string
	id         string
	partitions int32
}

// connect waits for brokers and topics and reads what the topic is.
func (s *Service) connect(ctx context.Context) (*topicView, error) {
	client, err := kafka.NewClient(s.shared.Kafka, s.shared.Log, s.shared.Registry)
	if err != nil {
		return nil, err
	}
	if err := kafka.AwaitTopics(ctx, client, s.shared.Kafka, s.shared.Log); err != nil {
		client.Close()
		return nil, err
	}
	t := &topicView{adm: kadm.NewClient(client), close: client.Close, name: s.topic}
	details, err := t.adm.ListTopics(ctx, s.topic)
	if err == nil {
		err = details.Error()
	}
	if err != nil {
		client.Close()
		return nil, fmt.Errorf("describe topic %q: %w", s.topic, err)
	}
	t.id, t.partitions = details[s.topic].ID.String(), int32(len(details[s.topic].Partitions))
	return t, nil
}

// ends returns the end of every partition.
func (t *topicView) ends(ctx context.Context) (map[int32]int64, error) {
	listed, err := t.adm.ListCommittedOffsets(ctx, t.name)
	if err == nil {
		err = listed.Error()
	}
	if err != nil {
		return nil, fmt.Errorf("list ends of %q: %w", t.name, err)
	}
	out := map[int32]int64{}
	for p, o := range listed[t.name] {
		out[p] = o.Offset
	}
	return out, nil
}

// askAgain spaces the attempts to learn where the topic ends.
var askAgain = lifecycle.Backoff{Min: 100 * time.Millisecond, Max: 5 * time.Second}

// awaitEnds is ends for the start, when a broker may still be electing leaders.
func (t *topicView) awaitEnds(ctx context.Context, log *zap.Logger) (map[int32]int64, error) {
	for attempt := 1; ; attempt++ {
		ends, err := t.ends(ctx)
		if err == nil || fate.Of(err) != fate.Retry {
			return ends, err
		}
		delay := askAgain.Next(attempt)
		log.Warn("ends of the list were not told", telemetry.Attempt(attempt), telemetry.Delay(delay), telemetry.Err(err))
		if err := lifecycle.Sleep(ctx, delay); err != nil {
			return nil, err
		}
	}
}
