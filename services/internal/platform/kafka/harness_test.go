package kafka_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/mailstream/mailstream/services/internal/platform/kafka"
	"github.com/mailstream/mailstream/services/internal/platform/kafka/group"
	"github.com/mailstream/mailstream/services/internal/platform/kafka/kafkatest"
	"github.com/mailstream/mailstream/services/internal/platform/kafka/produce"
)

const (
	testTimeout = time.Minute
	bounced     = "email.bounced"
	opened      = "email.opened"
	suppressed  = "email.suppressions"
)

// until polls ok until it holds or the test has taken too long.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	deadline := time.NewTimer(testTimeout)
	defer deadline.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-deadline.C:
			t.Fatalf("did not happen: %s", what)
		}
	}
}

func bounded(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), testTimeout)
	t.Cleanup(cancel)
	return ctx
}

// running is a Run in its own goroutine.
type running struct {
	stop context.CancelFunc
	done chan error
}

func start(t *testing.T, run func(ctx context.Context) error) *running {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	r := &running{stop: cancel, done: make(chan error, 1)}
	go func() { r.done <- run(ctx) }()
	t.Cleanup(cancel)
	return r
}

// end stops it and returns its error.
func (r *running) end(t *testing.T) error {
	t.Helper()
	r.stop()
	return r.wait(t)
}

func (r *running) wait(t *testing.T) error {
	t.Helper()
	select {
	case err := <-r.done:
		return err
	case <-time.After(testTimeout):
		t.Fatal("Run did not end")
		return nil
	}
}

func consumer(t *testing.T, cfg kafka.Config, cc group.Config) *group.Consumer {
	t.Helper()
	orDefault(&cc.Group, "readers")
	if cc.Topics == nil {
		cc.Topics = []string{bounced}
	}
	orDefault(&cc.FetchWaitMax, 20*time.Millisecond)
	orDefault(&cc.Retry.Min, time.Millisecond)
	orDefault(&cc.Retry.Max, 5*time.Millisecond)
	orDefault(&cc.CheckInterval, 20*time.Millisecond)
	c, err := group.New(cfg, cc, kafkatest.Logger(t), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func producer(t *testing.T, cfg kafka.Config, pc produce.Config) *produce.Producer {
	t.Helper()
	p, err := produce.New(cfg, pc, kafkatest.Logger(t), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		p.Close(ctx) // some tests leave records behind on purpose
	})
	return p
}

func orDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// record returns the n-th record for topic; its key decides the partition.
func record(topic string, n int) *kgo.Record {
	return &kgo.Record{Topic: topic, Key: fmt.Appendf(nil, "key-%d", n%37), Value: fmt.Appendf(nil, "value-%d", n)}
}

func records(topic string, n int) []*kgo.Record {
	recs := make([]*kgo.Record, n)
	for i := range recs {
		recs[i] = record(topic, i)
	}
	return recs
}

// ledger notes which records were handled, and how often.
type ledger struct {
	mu     sync.Mutex
	seen   map[place]int
	prefix map[place]int64 // offset 0: next offset not handled, by topic and partition
}

type place struct {
	topic     string
	partition int32
	offset    int64
}

func newLedger() *ledger { return &ledger{seen: map[place]int{}, prefix: map[place]int64{}} }

func (l *ledger) note(recs []*kgo.Record) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, r := range recs {
		l.seen[place{r.Topic, r.Partition, r.Offset}]++
		part := place{r.Topic, r.Partition, 0}
		for l.seen[place{r.Topic, r.Partition, l.prefix[part]}] > 0 {
			l.prefix[part]++
		}
	}
}

// handled returns the number of different records.
func (l *ledger) handled() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.seen)
}

func (l *ledger) repeated() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := 0
	for _, times := range l.seen {
		n += times - 1
	}
	return n
}

// handledUpTo returns the first offset of the partition that was not handled.
func (l *ledger) handledUpTo(topic string, partition int32) int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.prefix[place{topic, partition, 0}]
}

func newRegistry() *prometheus.Registry { return prometheus.NewRegistry() }
