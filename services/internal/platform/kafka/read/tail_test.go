package read_test

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
	"github.com/mailstream/mailstream/services/servicetest"
)

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
			kafkatest.Produce(t, cfg, kafkatest.Records(kafkatest.Suppressed, tc.records)...)
			l := kafkatest.NewLedger()
			tl := kafkatest.Tail(t, cfg, read.TailConfig{BatchRecordsMax: 100})
			r := kafkatest.Go(t, func(ctx context.Context) error {
				return tl.Run(ctx, func(_ context.Context, recs []*kgo.Record) error {
					l.Note(recs)
					return nil
				})
			})
			kafkatest.CaughtUp(t, tl)
			if l.Handled() != tc.records {
				t.Errorf("caught up after %d records, want %d", l.Handled(), tc.records)
			}
			if diff := cmp.Diff(kafkatest.Ends(t, cfg, kafkatest.Suppressed), tl.Applied()); diff != "" {
				t.Errorf("applied differs from the ends:\n%s", diff)
			}
			servicetest.Eventually(t, "the lag is that of a quiet moment", func() bool { return tl.Lag() < 500*time.Millisecond })
			if err := r.End(t); err != nil {
				t.Errorf("Run = %v, want nil", err)
			}
		})
	}
}

func TestTail_WaitEndsWhenTheRecordIsApplied(t *testing.T) {
	t.Parallel()
	cfg := kafkatest.Start(t)
	release := make(chan struct{})
	tl := kafkatest.Tail(t, cfg, read.TailConfig{})
	kafkatest.Go(t, func(ctx context.Context) error {
		return tl.Run(ctx, func(context.Context, []*kgo.Record) error {
			<-release
			return nil
		})
	})
	kafkatest.CaughtUp(t, tl)
	p := kafkatest.Producer(t, cfg, produce.Config{})
	rec := kafkatest.Record(kafkatest.Suppressed, 1)
	if err := p.Publish(kafkatest.Context(t), rec); err != nil {
		t.Fatal(err)
	}
	early, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := tl.Wait(early, rec.Partition, rec.Offset); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Wait before it is applied = %v, want deadline exceeded", err)
	}
	close(release)
	if err := tl.Wait(kafkatest.Context(t), rec.Partition, rec.Offset); err != nil {
		t.Errorf("Wait = %v, want nil", err)
	}
}

func TestTail_GoesOnWhereItWas(t *testing.T) {
	t.Parallel()
	cfg := kafkatest.Start(t)
	kafkatest.Produce(t, cfg, kafkatest.Records(kafkatest.Suppressed, 100)...)
	run := func(tl *read.Tail) *kafkatest.Ledger {
		l := kafkatest.NewLedger()
		r := kafkatest.Go(t, func(ctx context.Context) error {
			return tl.Run(ctx, func(_ context.Context, recs []*kgo.Record) error {
				l.Note(recs)
				return nil
			})
		})
		kafkatest.CaughtUp(t, tl)
		if err := r.End(t); err != nil {
			t.Error(err)
		}
		return l
	}
	first := kafkatest.Tail(t, cfg, read.TailConfig{})
	if n := run(first).Handled(); n != 100 {
		t.Fatalf("the first applied %d, want 100", n)
	}
	kafkatest.Produce(t, cfg, kafkatest.Records(kafkatest.Suppressed, 30)...)
	if n := run(kafkatest.Tail(t, cfg, read.TailConfig{Start: first.Applied()})).Handled(); n != 30 {
		t.Errorf("the second applied %d, want the 30 new ones", n)
	}
}

func TestTail_RefusesAPositionBeyondTheEnd(t *testing.T) {
	t.Parallel()
	cfg := kafkatest.Start(t)
	kafkatest.Produce(t, cfg, kafkatest.Records(kafkatest.Suppressed, 10)...)
	tl := kafkatest.Tail(t, cfg, read.TailConfig{Start: map[int32]int64{0: 1000}})
	r := kafkatest.Go(t, func(ctx context.Context) error {
		return tl.Run(ctx, func(context.Context, []*kgo.Record) error { return nil })
	})
	if err := r.Wait(t); !errors.Is(err, kafka.ErrDiverged) || fate.Of(err) != fate.StartAgain {
		t.Errorf("Run = %v (%s), want ErrDiverged with the fate start again", err, fate.Of(err))
	}
}

func TestTail_NoticesThatTheTopicWasMadeAnew(t *testing.T) {
	t.Parallel()
	cfg := kafkatest.Start(t)
	kafkatest.Produce(t, cfg, kafkatest.Records(kafkatest.Suppressed, 100)...)
	tl := kafkatest.Tail(t, cfg, read.TailConfig{})
	r := kafkatest.Go(t, func(ctx context.Context) error {
		return tl.Run(ctx, func(context.Context, []*kgo.Record) error { return nil })
	})
	kafkatest.CaughtUp(t, tl)
	adm := kadm.NewClient(kafkatest.Client(t, cfg))
	if _, err := adm.DeleteTopic(kafkatest.Context(t), kafkatest.Suppressed); err != nil {
		t.Fatal(err)
	}
	if _, err := adm.CreateTopic(kafkatest.Context(t), kafkatest.Partitions, -1, nil, kafkatest.Suppressed); err != nil {
		t.Fatal(err)
	}
	if err := r.Wait(t); !errors.Is(err, kafka.ErrDiverged) {
		t.Errorf("Run = %v, want ErrDiverged", err)
	}
}

func TestTail_AppliesARefusedBatchAgain(t *testing.T) {
	t.Parallel()
	cfg := kafkatest.Start(t)
	kafkatest.Produce(t, cfg, kafkatest.Records(kafkatest.Suppressed, 20)...)
	refusals := 3
	l := kafkatest.NewLedger()
	tl := kafkatest.Tail(t, cfg, read.TailConfig{})
	r := kafkatest.Go(t, func(ctx context.Context) error {
		return tl.Run(ctx, func(_ context.Context, recs []*kgo.Record) error {
			if refusals--; refusals >= 0 {
				return errors.New("disk is busy")
			}
			l.Note(recs)
			return nil
		})
	})
	kafkatest.CaughtUp(t, tl)
	if l.Handled() != 20 || l.Repeated() != 0 {
		t.Errorf("applied %d with %d repeats, want 20 and none", l.Handled(), l.Repeated())
	}
	if err := r.End(t); err != nil {
		t.Error(err)
	}
	halting := kafkatest.Tail(t, cfg, read.TailConfig{})
	broken := errors.New("disk is gone")
	r = kafkatest.Go(t, func(ctx context.Context) error {
		return halting.Run(ctx, func(context.Context, []*kgo.Record) error { return fate.Wrap(fate.Halt, broken) })
	})
	if err := r.Wait(t); !errors.Is(err, broken) {
		t.Errorf("Run = %v, want %v", err, broken)
	}
}

func TestTail_ReadsPartitionsThatAreAdded(t *testing.T) {
	t.Parallel()
	cfg := kafkatest.Start(t)
	var mu sync.Mutex
	got := map[int32]int{}
	tl := kafkatest.Tail(t, cfg, read.TailConfig{})
	r := kafkatest.Go(t, func(ctx context.Context) error {
		return tl.Run(ctx, func(_ context.Context, recs []*kgo.Record) error {
			mu.Lock()
			defer mu.Unlock()
			for _, r := range recs {
				got[r.Partition]++
			}
			return nil
		})
	})
	kafkatest.CaughtUp(t, tl)
	adm := kadm.NewClient(kafkatest.Client(t, cfg))
	if _, err := adm.UpdatePartitions(kafkatest.Context(t), kafkatest.Partitions+1, kafkatest.Suppressed); err != nil {
		t.Fatal(err)
	}
	servicetest.Eventually(t, "the new partition is known", func() bool { return len(tl.Applied()) == kafkatest.Partitions+1 })
	rec := &kgo.Record{Topic: kafkatest.Suppressed, Partition: kafkatest.Partitions, Value: []byte("v")}
	cl := kafkatest.Client(t, cfg, kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err := cl.ProduceSync(kafkatest.Context(t), rec).FirstErr(); err != nil {
		t.Fatal(err)
	}
	if err := tl.Wait(kafkatest.Context(t), kafkatest.Partitions, 0); err != nil {
		t.Error(err)
	}
	if err := r.End(t); err != nil {
		t.Error(err)
	}
}

func TestTail_WaitsForABrokerThatIsNotThereYet(t *testing.T) {
	t.Parallel()
	cfg := kafka.Default()
	cfg.Brokers = []string{"127.0.0.1:1"}
	tl := kafkatest.Tail(t, cfg, read.TailConfig{Retry: lifecycle.Backoff{}})
	r := kafkatest.Go(t, func(ctx context.Context) error {
		return tl.Run(ctx, func(context.Context, []*kgo.Record) error { return nil })
	})
	servicetest.Eventually(t, "it grows stale", func() bool { return tl.Lag() > 300*time.Millisecond })
	if err := r.End(t); err != nil {
		t.Errorf("Run = %v, want nil", err)
	}
}
