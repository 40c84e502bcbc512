package produce_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/mailstream/mailstream/services/internal/platform/fate"
	"github.com/mailstream/mailstream/services/internal/platform/kafka/kafkatest"
	"github.com/mailstream/mailstream/services/internal/platform/kafka/produce"
	"github.com/mailstream/mailstream/services/servicetest"
)

func TestProducer_TakesUpATopicMadeAnew(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		cfg := kafkatest.StartVirtual(t).Config
		p := kafkatest.Producer(t, cfg, produce.Config{})
		if err := p.Publish(kafkatest.Context(t), kafkatest.Records(kafkatest.Bounced, 20)...); err != nil {
			t.Fatal(err)
		}
		kafkatest.Remake(t, cfg, kafkatest.Bounced)
		servicetest.Eventually(t, "records are taken again", func() bool {
			return p.Publish(kafkatest.Context(t), kafkatest.Records(kafkatest.Bounced, 20)...) == nil
		})
		if err := p.Publish(kafkatest.Context(t), kafkatest.Records(kafkatest.Opened, 20)...); err != nil {
			t.Errorf("Publish to another topic = %v", err)
		}
		if n := len(kafkatest.ReadAll(t, cfg, kafkatest.Bounced)); n < 20 {
			t.Errorf("the new topic has %d records, want the 20 that were acknowledged", n)
		}
	})
}

func TestProducer_TakesUpATopicThatWasGoneForAWhile(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		cfg := kafkatest.StartVirtual(t).Config
		p := kafkatest.Producer(t, cfg, produce.Config{PublishTimeout: 2 * time.Second})
		if err := p.Publish(kafkatest.Context(t), kafkatest.Record(kafkatest.Bounced, 1)); err != nil {
			t.Fatal(err)
		}
		kafkatest.Delete(t, cfg, kafkatest.Bounced)
		if err := p.Publish(kafkatest.Context(t), kafkatest.Record(kafkatest.Bounced, 2)); err == nil || fate.Of(err) != fate.Retry {
			t.Errorf("Publish to a topic that is gone = %v (%s), want an error to retry", err, fate.Of(err))
		}
		kafkatest.Make(t, cfg)
		servicetest.Eventually(t, "records are taken again", func() bool { return p.Publish(kafkatest.Context(t), kafkatest.Record(kafkatest.Bounced, 3)) == nil })
	})
}
