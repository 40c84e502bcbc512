package produce_test

import (
	"context"
	"errors"
	"net"
	"strconv"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/mailstream/mailstream/services/internal/platform/kafka"
	"github.com/mailstream/mailstream/services/internal/platform/kafka/kafkatest"
	"github.com/mailstream/mailstream/services/internal/platform/kafka/produce"
	"github.com/mailstream/mailstream/services/servicetest"
)

const brokerPort = 9092

// away returns the configuration of a broker on network that has not been started.
func away(network *kfake.VirtualNetwork) kafka.Config {
	cfg := kafka.Default()
	cfg.Brokers, cfg.Dial = []string{net.JoinHostPort("127.0.0.1", strconv.Itoa(brokerPort))}, network.DialContext
	return cfg
}

func TestOutage_PublishToABrokerThatNeverWasIsRefusedInTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		cfg := away(new(kfake.VirtualNetwork))
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
	})
}

// Records of many callers wait together. One caller that gives up while the
// broker is away must not take the others' records with it.
func TestOutage_ACallerThatGivesUpTakesNobodyAlong(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		network := new(kfake.VirtualNetwork)
		cfg := away(network)
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
			b := kafkatest.StartEmpty(t, kfake.ListenFn(network.Listen), kfake.Ports(brokerPort))
			b.Config.Dial = cfg.Dial
			kafkatest.Make(t, b.Config)
			if err := <-patient; err != nil {
				t.Errorf("Publish of the patient caller = %v, want nil", err)
			}
		}
	})
}
