package kafka_test

import (
	"context"
	"errors"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/mailstream/mailstream/services/internal/platform/kafka"
	"github.com/mailstream/mailstream/services/internal/platform/kafka/group"
	"github.com/mailstream/mailstream/services/internal/platform/kafka/kafkatest"
	"github.com/mailstream/mailstream/services/internal/platform/kafka/produce"
	"github.com/mailstream/mailstream/services/internal/platform/kafka/read"
)

type port struct {
	addr   string
	number int
}

// freePort returns a port that was free a moment ago.
func freePort(t *testing.T) port {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return port{l.Addr().String(), l.Addr().(*net.TCPAddr).Port}
}

// A broker goes away under load and comes back with its data: what was
// acknowledged before is there, producer, group and tail go on by themselves,
// and nothing is skipped.
func TestOutage_EverythingGoesOnAfterwards(t *testing.T) {
	t.Parallel()
	dir, at := t.TempDir(), freePort(t)
	options := []kfake.Opt{kfake.DataDir(dir), kfake.Ports(at.number)}
	b := kafkatest.StartBroker(t, options...)
	cfg := b.Config
	p := producer(t, cfg, produce.Config{PublishTimeout: 300 * time.Millisecond, DeliveryTimeout: time.Second})
	grouped, tailed := newLedger(), newLedger()
	group := consumer(t, cfg, group.Config{})
	g := start(t, func(ctx context.Context) error {
		return group.Run(ctx, func(_ context.Context, recs []*kgo.Record) error { grouped.note(recs); return nil })
	})
	tl := tail(t, cfg, read.TailConfig{Topic: bounced})
	tr := start(t, func(ctx context.Context) error {
		return tl.Run(ctx, func(_ context.Context, recs []*kgo.Record) error { tailed.note(recs); return nil })
	})
	acknowledged, refused := 0, 0
	publish := func() {
		switch err := p.Publish(context.Background(), record(bounced, acknowledged)); {
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
	until(t, "group and tail have everything", func() bool {
		return grouped.handled() >= acknowledged && tailed.handled() >= acknowledged
	})
	written := 0
	for partition, end := range kafkatest.Ends(t, cfg, bounced) {
		written += int(end)
		until(t, "no gap", func() bool {
			return grouped.handledUpTo(bounced, partition) == end && tailed.handledUpTo(bounced, partition) == end
		})
	}
	if written < acknowledged || written > acknowledged+refused {
		t.Errorf("%d records are there, %d were acknowledged and %d refused", written, acknowledged, refused)
	}
	for _, r := range []*running{g, tr} {
		if err := r.end(t); err != nil {
			t.Errorf("Run = %v, want nil", err)
		}
	}
	t.Logf("acknowledged %d, refused %d, written %d", acknowledged, refused, written)
}

func TestOutage_RunsEndPromptlyWhileTheBrokerIsAway(t *testing.T) {
	t.Parallel()
	b := kafkatest.StartBroker(t)
	group := consumer(t, b.Config, group.Config{})
	g := start(t, func(ctx context.Context) error {
		return group.Run(ctx, func(context.Context, []*kgo.Record) error { return nil })
	})
	tl := tail(t, b.Config, read.TailConfig{})
	tr := start(t, func(ctx context.Context) error {
		return tl.Run(ctx, func(context.Context, []*kgo.Record) error { return nil })
	})
	caughtUp(t, tl)
	until(t, "the group has its partitions", func() bool { return len(group.Positions()) == kafkatest.Partitions })
	b.Close()
	began := time.Now()
	for _, r := range []*running{g, tr} {
		if err := r.end(t); err != nil {
			t.Errorf("Run = %v, want nil", err)
		}
	}
	if took := time.Since(began); took > 6*time.Second {
		t.Errorf("it took %s to end", took)
	}
}

func TestOutage_PublishToABrokerThatNeverWasIsRefusedInTime(t *testing.T) {
	t.Parallel()
	cfg := kafka.Default()
	cfg.Brokers = []string{freePort(t).addr}
	p := producer(t, cfg, produce.Config{PublishTimeout: 200 * time.Millisecond, DeliveryTimeout: time.Second, BufferRecordsMax: 3})
	var full atomic.Bool
	for range 10 {
		err := p.Publish(bounded(t), record(bounced, 1))
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
	at := freePort(t)
	cfg := kafka.Default()
	cfg.Brokers = []string{at.addr}
	p := producer(t, cfg, produce.Config{PublishTimeout: testTimeout, DeliveryTimeout: testTimeout})
	hasty, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	gaveUp, patient := make(chan error, 1), make(chan error, 1)
	go func() { gaveUp <- p.Publish(hasty, record(bounced, 1)) }()
	until(t, "the hasty one is first", func() bool { return p.Buffered() == 1 })
	go func() { patient <- p.Publish(bounded(t), record(bounced, 2)) }()
	if err := <-gaveUp; !errors.Is(err, kafka.ErrTimeout) {
		t.Errorf("Publish of the hasty caller = %v, want ErrTimeout", err)
	}
	select {
	case err := <-patient:
		t.Errorf("Publish of the patient caller = %v while the broker is away, want it to wait", err)
	case <-time.After(300 * time.Millisecond):
		kafkatest.StartBroker(t, kfake.Ports(at.number))
		if err := <-patient; err != nil {
			t.Errorf("Publish of the patient caller = %v, want nil", err)
		}
	}
}
