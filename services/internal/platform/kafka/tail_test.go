package kafka_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/mailstream/mailstream/services/internal/platform/fate"
	"github.com/mailstream/mailstream/services/internal/platform/kafka"
	"github.com/mailstream/mailstream/services/internal/platform/kafka/kafkatest"
	"github.com/mailstream/mailstream/services/internal/platform/kafka/produce"
	"github.com/mailstream/mailstream/services/internal/platform/kafka/read"
	"github.com/mailstream/mailstream/services/internal/platform/lifecycle"
)

func tail(t *testing.T, cfg kafka.Config, tc read.TailConfig) *read.Tail {
	t.Helper()
	orDefault(&tc.Topic, suppressed)
	orDefault(&tc.CheckInterval, 20*time.Millisecond)
	orDefault(&tc.Retry.Min, time.Millisecond)
	orDefault(&tc.Retry.Max, 5*time.Millisecond)
	tl, err := read.NewTail(cfg, tc, kafkatest.Logger(t), newRegistry())
	if err != nil {
		t.Fatal(err)
	}
	return tl
}

func caughtUp(t *testing.T, tl *read.Tail) {
	t.Helper()
	select {
	case <-tl.CaughtUp():
	case <-bounded(t).Done():
		t.Fatal("tail did not catch up")
	}
}

func TestTail_IsCaughtUpWhenItAppliedWhatWasThere(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name    string
		records int
	}{
		{"an empty topic at once", 0},
		{"many records", 3000},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			cfg := kafkatest.Start(t)
			kafkatest.Produce(t, cfg, records(suppressed, tc.records)...)
			l := newLedger()
			tl := tail(t, cfg, read.TailConfig{BatchRecordsMax: 100})
			r := start(t, func(ctx context.Context) error {
				return tl.Run(ctx, func(_ context.Context, recs []*kgo.Record) error {
					l.note(recs)
					return nil
				})
			})
			caughtUp(t, tl)
			if l.handled() != tc.records {
				t.Errorf("caught up after %d records, want %d", l.handled(), tc.records)
			}
			if diff := cmp.Diff(kafkatest.Ends(t, cfg, suppressed), tl.Applied()); diff != "" {
				t.Errorf("applied differs from the ends:\n%s", diff)
			}
			until(t, "the lag is that of a quiet moment", func() bool { return tl.Lag() < 500*time.Millisecond })
			if err := r.end(t); err != nil {
				t.Errorf("Run = %v, want nil", err)
			}
		})
	}
}

func TestTail_WaitEndsWhenTheRecordIsApplied(t *testing.T) {
	t.Parallel()
	cfg := kafkatest.Start(t)
	release := make(chan struct{})
	tl := tail(t, cfg, read.TailConfig{})
	start(t, func(ctx context.Context) error {
		return tl.Run(ctx, func(context.Context, []*kgo.Record) error {
			<-release
			return nil
		})
	})
	caughtUp(t, tl)
	p := producer(t, cfg, produce.Config{})
	rec := record(suppressed, 1)
	if err := p.Publish(bounded(t), rec); err != nil {
		t.Fatal(err)
	}
	early, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := tl.Wait(early, rec.Partition, rec.Offset); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Wait before it is applied = %v, want deadline exceeded", err)
	}
	close(release)
	if err := tl.Wait(bounded(t), rec.Partition, rec.Offset); err != nil {
		t.Errorf("Wait = %v, want nil", err)
	}
}

func TestTail_GoesOnWhereItWas(t *testing.T) {
	t.Parallel()
	cfg := kafkatest.Start(t)
	kafkatest.Produce(t, cfg, records(suppressed, 100)...)
	run := func(tl *read.Tail) *ledger {
		l := newLedger()
		r := start(t, func(ctx context.Context) error {
			return tl.Run(ctx, func(_ context.Context, recs []*kgo.Record) error {
				l.note(recs)
				return nil
			})
		})
		caughtUp(t, tl)
		if err := r.end(t); err != nil {
			t.Error(err)
		}
		return l
	}
	first := tail(t, cfg, read.TailConfig{})
	if n := run(first).handled(); n != 100 {
		t.Fatalf("the first applied %d, want 100", n)
	}
	kafkatest.Produce(t, cfg, records(suppressed, 30)...)
	if n := run(tail(t, cfg, read.TailConfig{Start: first.Applied()})).handled(); n != 30 {
		t.Errorf("the second applied %d, want the 30 new ones", n)
	}
}

func TestTail_RefusesAPositionBeyondTheEnd(t *testing.T) {
	t.Parallel()
	cfg := kafkatest.Start(t)
	kafkatest.Produce(t, cfg, records(suppressed, 10)...)
	tl := tail(t, cfg, read.TailConfig{Start: map[int32]int64{0: 1000}})
	r := start(t, func(ctx context.Context) error {
		return tl.Run(ctx, func(context.Context, []*kgo.Record) error { return nil })
	})
	if err := r.wait(t); !errors.Is(err, kafka.ErrDiverged) || fate.Of(err) != fate.StartAgain {
		t.Errorf("Run = %v (%s), want ErrDiverged with the fate start again", err, fate.Of(err))
	}
}

func TestTail_NoticesThatTheTopicWasMadeAnew(t *testing.T) {
	t.Parallel()
	cfg := kafkatest.Start(t)
	kafkatest.Produce(t, cfg, records(suppressed, 100)...)
	tl := tail(t, cfg, read.TailConfig{})
	r := start(t, func(ctx context.Context) error {
		return tl.Run(ctx, func(context.Context, []*kgo.Record) error { return nil })
	})
	caughtUp(t, tl)
	adm := kadm.NewClient(kafkatest.Client(t, cfg))
	if _, err := adm.DeleteTopic(bounded(t), suppressed); err != nil {
		t.Fatal(err)
	}
	if _, err := adm.CreateTopic(bounded(t), kafkatest.Partitions, -1, nil, suppressed); err != nil {
		t.Fatal(err)
	}
	if err := r.wait(t); !errors.Is(err, kafka.ErrDiverged) {
		t.Errorf("Run = %v, want ErrDiverged", err)
	}
}

func TestTail_AppliesARefusedBatchAgain(t *testing.T) {
	t.Parallel()
	cfg := kafkatest.Start(t)
	kafkatest.Produce(t, cfg, records(suppressed, 20)...)
	refusals := 3
	l := newLedger()
	tl := tail(t, cfg, read.TailConfig{})
	r := start(t, func(ctx context.Context) error {
		return tl.Run(ctx, func(_ context.Context, recs []*kgo.Record) error {
			if refusals--; refusals >= 0 {
				return errors.New("disk is busy")
			}
			l.note(recs)
			return nil
		})
	})
	caughtUp(t, tl)
	if l.handled() != 20 || l.repeated() != 0 {
		t.Errorf("applied %d with %d repeats, want 20 and none", l.handled(), l.repeated())
	}
	if err := r.end(t); err != nil {
		t.Error(err)
	}
	halting := tail(t, cfg, read.TailConfig{})
	broken := errors.New("disk is gone")
	r = start(t, func(ctx context.Context) error {
		return halting.Run(ctx, func(context.Context, []*kgo.Record) error { return fate.Wrap(fate.Halt, broken) })
	})
	if err := r.wait(t); !errors.Is(err, broken) {
		t.Errorf("Run = %v, want %v", err, broken)
	}
}

func TestTail_ReadsPartitionsThatAreAdded(t *testing.T) {
	t.Parallel()
	cfg := kafkatest.Start(t)
	var mu sync.Mutex
	got := map[int32]int{}
	tl := tail(t, cfg, read.TailConfig{})
	r := start(t, func(ctx context.Context) error {
		return tl.Run(ctx, func(_ context.Context, recs []*kgo.Record) error {
			mu.Lock()
			defer mu.Unlock()
			for _, r := range recs {
				got[r.Partition]++
			}
			return nil
		})
	})
	caughtUp(t, tl)
	adm := kadm.NewClient(kafkatest.Client(t, cfg))
	if _, err := adm.UpdatePartitions(bounded(t), kafkatest.Partitions+1, suppressed); err != nil {
		t.Fatal(err)
	}
	until(t, "the new partition is known", func() bool { return len(tl.Applied()) == kafkatest.Partitions+1 })
	rec := &kgo.Record{Topic: suppressed, Partition: kafkatest.Partitions, Value: []byte("v")}
	cl := kafkatest.Client(t, cfg, kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err := cl.ProduceSync(bounded(t), rec).FirstErr(); err != nil {
		t.Fatal(err)
	}
	if err := tl.Wait(bounded(t), kafkatest.Partitions, 0); err != nil {
		t.Error(err)
	}
	if err := r.end(t); err != nil {
		t.Error(err)
	}
}

func TestTail_WaitsForABrokerThatIsNotThereYet(t *testing.T) {
	t.Parallel()
	cfg := kafka.Default()
	cfg.Brokers = []string{"127.0.0.1:1"}
	tl := tail(t, cfg, read.TailConfig{Retry: lifecycle.Backoff{}})
	r := start(t, func(ctx context.Context) error {
		return tl.Run(ctx, func(context.Context, []*kgo.Record) error { return nil })
	})
	until(t, "it grows stale", func() bool { return tl.Lag() > 300*time.Millisecond })
	if err := r.end(t); err != nil {
		t.Errorf("Run = %v, want nil", err)
	}
}
