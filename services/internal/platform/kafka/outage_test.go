package kafka_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/mailstream/mailstream/services/internal/platform/kafka"
	"github.com/mailstream/mailstream/services/internal/platform/kafka/group"
	"github.com/mailstream/mailstream/services/internal/platform/kafka/kafkatest"
	"github.com/mailstream/mailstream/services/internal/platform/kafka/produce"
	"github.com/mailstream/mailstream/services/internal/platform/kafka/read"
	"github.com/mailstream/mailstream/services/servicetest"
)

// A broker goes away under load and comes back with its data: what was
// acknowledged before is there, producer, group and tail go on by themselves,
// and nothing is skipped.
func TestOutage_EverythingGoesOnAfterwards(t *testing.T) {
	t.Parallel()
	dir, at := t.TempDir(), servicetest.FreePort(t)
	options := []kfake.Opt{kfake.DataDir(dir), kfake.Ports(at.Number)}
	b := kafkatest.StartBroker(t, options...)
	cfg := b.Config
	p := kafkatest.Producer(t, cfg, produce.Config{PublishTimeout: 300 * time.Millisecond, DeliveryTimeout: time.Second})
	grouped, tailed := kafkatest.NewLedger(), kafkatest.NewLedger()
	group := kafkatest.Consumer(t, cfg, group.Config{})
	g := kafkatest.Go(t, func(ctx context.Context) error {
		return group.Run(ctx, func(_ context.Context, recs []*kgo.Record) error { grouped.Note(recs); return nil })
	})
	tl := kafkatest.Tail(t, cfg, read.TailConfig{Topic: kafkatest.Bounced})
	tr := kafkatest.Go(t, func(ctx context.Context) error {
		return tl.Run(ctx, func(_ context.Context, recs []*kgo.Record) error { tailed.Note(recs); return nil })
	})
	acknowledged, refused := 0, 0
	publish := func() {
		switch err := p.Publish(context.Background(), kafkatest.Record(kafkatest.Bounced, acknowledged)); {
		case err == nil:
			acknowledged++
		case errors.Is(err, kafka.ErrTimeout), errors.Is(err, kafka.ErrBufferFull):
			refused++
		default:
			t.Errorf("Publish = %v, want nil or a passing fault", err)
			refused++
		}
	}
	for acknowledged < 100 {
		publish()
	}
	for range 2 {
		b.Close()
		for before := refused; refused < before+3; {
			publish()
		}
		b = kafkatest.StartEmpty(t, options...)
		for want := acknowledged + 50; acknowledged < want; {
			publish()
		}
	}
	servicetest.Eventually(t, "group and tail have everything", func() bool {
		return grouped.Handled() >= acknowledged && tailed.Handled() >= acknowledged
	})
	written := 0
	for partition, end := range kafkatest.Ends(t, cfg, kafkatest.Bounced) {
		written += int(end)
		servicetest.Eventually(t, "no gap", func() bool {
			return grouped.HandledUpTo(kafkatest.Bounced, partition) == end && tailed.HandledUpTo(kafkatest.Bounced, partition) == end
		})
	}
	if written < acknowledged || written > acknowledged+refused {
		t.Errorf("%d records are there, %d were acknowledged and %d refused", written, acknowledged, refused)
	}
	for _, r := range []*kafkatest.Running{g, tr} {
		if err := r.End(t); err != nil {
			t.Errorf("Run = %v, want nil", err)
		}
	}
	t.Logf("acknowledged %d, refused %d, written %d", acknowledged, refused, written)
}

func TestOutage_RunsEndPromptlyWhileTheBrokerIsAway(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := kafkatest.StartVirtual(t)
		group := kafkatest.Consumer(t, b.Config, group.Config{})
		g := kafkatest.Go(t, func(ctx context.Context) error {
			return group.Run(ctx, func(context.Context, []*kgo.Record) error { return nil })
		})
		tl := kafkatest.Tail(t, b.Config, read.TailConfig{})
		tr := kafkatest.Go(t, func(ctx context.Context) error {
			return tl.Run(ctx, func(context.Context, []*kgo.Record) error { return nil })
		})
		kafkatest.CaughtUp(t, tl)
		servicetest.Eventually(t, "the group has its partitions", func() bool { return len(group.Positions()) == kafkatest.Partitions })
		b.Close()
		began := time.Now()
		for _, r := range []*kafkatest.Running{g, tr} {
			if err := r.End(t); err != nil {
				t.Errorf("Run = %v, want nil", err)
			}
		}
		if took := time.Since(began); took > 6*time.Second {
			t.Errorf("it took %s to end", took)
		}
	})
}
