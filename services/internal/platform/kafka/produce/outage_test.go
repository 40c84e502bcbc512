package produce_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/mailstream/mailstream/services/internal/platform/kafka"
	"github.com/mailstream/mailstream/services/internal/platform/kafka/kafkatest"
	"github.com/mailstream/mailstream/services/internal/platform/kafka/produce"
	"github.com/mailstream/mailstream/services/servicetest"
)

func TestOutage_PublishToABrokerThatNeverWasIsRefusedInTime(t *testing.T) {
	t.Parallel()
	cfg := kafka.Default()
	cfg.Brokers = []string{kafkatest.FreePort(t).Addr}
	p := kafkatest.Producer(t, cfg, produce.Config{PublishTimeout: 200 * time.Millisecond, DeliveryTimeout: time.Second, BufferRecordsMax: 3})
	var full atomic.Bool
	for range 10 {
		err := p.Publish(kafkatest.Context(t), kafkatest.Record(kafkatest.Bounced, 1))
		if !errors.Is(err, kafka.ErrTimeout) && !errors.Is(err, kafka.ErrBufferFull) {
			t.Errorf("Publish = %v, want a passing fault", err)
		}
		full.Store(full.Load() || errors.Is(err, kafka.ErrBufferFull))
	}
	if !full.Load() {
		t.Error("the buffer never was full")
	}
}

// Records of many callers wait together. One caller that gives up while the
// broker is away must not take the others' records with it.
func TestOutage_ACallerThatGivesUpTakesNobodyAlong(t *testing.T) {
	t.Parallel()
	at := kafkatest.FreePort(t)
	cfg := kafka.Default()
	cfg.Brokers = []string{at.Addr}
	p := kafkatest.Producer(t, cfg, produce.Config{PublishTimeout: kafkatest.Timeout, DeliveryTimeout: kafkatest.Timeout})
	hasty, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	gaveUp, patient := make(chan error, 1), make(chan error, 1)
	go func() { gaveUp <- p.Publish(hasty, kafkatest.Record(kafkatest.Bounced, 1)) }()
	servicetest.Eventually(t, "the hasty one is first", func() bool { return p.Buffered() == 1 })
	go func() { patient <- p.Publish(kafkatest.Context(t), kafkatest.Record(kafkatest.Bounced, 2)) }()
	if err := <-gaveUp; !errors.Is(err, kafka.ErrTimeout) {
		t.Errorf("Publish of the hasty caller = %v, want ErrTimeout", err)
	}
	select {
	case err := <-patient:
		t.Errorf("Publish of the patient caller = %v while the broker is away, want it to wait", err)
	case <-time.After(300 * time.Millisecond):
		kafkatest.StartBroker(t, kfake.Ports(at.Number))
		if err := <-patient; err != nil {
			t.Errorf("Publish of the patient caller = %v, want nil", err)
		}
	}
}
