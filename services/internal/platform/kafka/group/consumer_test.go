package group_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/mailstream/mailstream/services/internal/platform/fate"
	"github.com/mailstream/mailstream/services/internal/platform/kafka"
	"github.com/mailstream/mailstream/services/internal/platform/kafka/group"
	"github.com/mailstream/mailstream/services/internal/platform/kafka/kafkatest"
	"github.com/mailstream/mailstream/services/internal/platform/lifecycle"
	"github.com/mailstream/mailstream/services/servicetest"
)

func TestConsumer_CommitsWhatItsHandlerTook(t *testing.T) {
	t.Parallel()
	cfg := kafkatest.Start(t)
	kafkatest.Produce(t, cfg, kafkatest.Records(kafkatest.Bounced, 500)...)
	l := kafkatest.NewLedger()
	c := kafkatest.Consumer(t, cfg, group.Config{})
	r := kafkatest.Go(t, func(ctx context.Context) error {
		return c.Run(ctx, func(_ context.Context, recs []*kgo.Record) error {
			l.Note(recs)
			return nil
		})
	})
	servicetest.Eventually(t, "everything is handled", func() bool { return l.Handled() == 500 })
	if err := r.End(t); err != nil {
		t.Errorf("Run = %v, want nil", err)
	}
	if diff := cmp.Diff(kafkatest.Ends(t, cfg, kafkatest.Bounced), kafkatest.Committed(t, cfg, "readers", kafkatest.Bounced)); diff != "" {
		t.Errorf("committed differs from the ends:\n%s", diff)
	}
	if l.Handled() != 500 || l.Repeated() != 0 {
		t.Errorf("handled %d and %d repeats, want 500 and none", l.Handled(), l.Repeated())
	}
}

func TestConsumer_RepeatsABatchThatCrashedBeforeItsCommit(t *testing.T) {
	t.Parallel()
	cfg := kafkatest.Start(t)
	kafkatest.Produce(t, cfg, kafkatest.Records(kafkatest.Bounced, 100)...)
	l := kafkatest.NewLedger()
	crash := errors.New("power cut")
	first := kafkatest.Consumer(t, cfg, group.Config{})
	r := kafkatest.Go(t, func(ctx context.Context) error {
		return first.Run(ctx, func(_ context.Context, recs []*kgo.Record) error {
			l.Note(recs)
			return fate.Wrap(fate.Halt, crash)
		})
	})
	if err := r.Wait(t); !errors.Is(err, crash) {
		t.Fatalf("Run = %v, want %v", err, crash)
	}
	if got := kafkatest.Committed(t, cfg, "readers", kafkatest.Bounced); len(got) != 0 {
		t.Fatalf("committed %v although the handler did not return nil", got)
	}
	crashed := l.Handled()
	second := kafkatest.Consumer(t, cfg, group.Config{})
	r = kafkatest.Go(t, func(ctx context.Context) error {
		return second.Run(ctx, func(_ context.Context, recs []*kgo.Record) error {
			l.Note(recs)
			return nil
		})
	})
	servicetest.Eventually(t, "all are handled and the first batch again", func() bool { return l.Handled() == 100 && l.Repeated() == crashed })
	if err := r.End(t); err != nil {
		t.Error(err)
	}
}

// TestConsumer_RetriesTheSameBatchInItsOrder is in virtual time, in which all four partitions
// come within BatchWait.
func TestConsumer_RetriesTheSameBatchInItsOrder(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		cfg := kafkatest.StartVirtual(t).Config
		kafkatest.Produce(t, cfg, kafkatest.Records(kafkatest.Bounced, 50)...)
		var attempts [][]string
		done := make(chan struct{})
		c := kafkatest.Consumer(t, cfg, group.Config{BatchWait: 200 * time.Millisecond})
		r := kafkatest.Go(t, func(ctx context.Context) error {
			return c.Run(ctx, func(_ context.Context, recs []*kgo.Record) error {
				var values []string
				for _, r := range recs {
					values = append(values, fmt.Sprintf("%d/%d %s", r.Partition, r.Offset, r.Value))
				}
				attempts = append(attempts, values)
				if len(attempts) < 5 {
					return errors.New("clickhouse is away")
				}
				close(done)
				return nil
			})
		})
		<-done
		if err := r.End(t); err != nil {
			t.Error(err)
		}
		for i := range attempts {
			if diff := cmp.Diff(attempts[0], attempts[i]); diff != "" {
				t.Errorf("attempt %d differs from the first (-first +this):\n%s", i+1, diff)
			}
		}
		if len(attempts[0]) != 50 {
			t.Errorf("the batch has %d records, want 50", len(attempts[0]))
		}
	})
}

func TestConsumer_StaysInTheGroupWhileItsBatchIsRetried(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := kafkatest.StartVirtual(t)
		kafkatest.Produce(t, b.Config, kafkatest.Records(kafkatest.Bounced, 50)...)
		back := time.Now().Add(10 * time.Minute) // many sessions later
		revoked := 0
		l := kafkatest.NewLedger()
		done := make(chan struct{})
		c := kafkatest.Consumer(t, b.Config, group.Config{
			Retry:         lifecycle.Backoff{Min: 100 * time.Millisecond, Max: 30 * time.Second},
			FetchWaitMax:  5 * time.Second,
			CheckInterval: 10 * time.Second,
			OnRevoked:     func(map[string][]int32) { revoked++ },
		})
		r := kafkatest.Go(t, func(ctx context.Context) error {
			return c.Run(ctx, func(_ context.Context, recs []*kgo.Record) error {
				if time.Now().Before(back) {
					return errors.New("clickhouse is away")
				}
				if revoked != 0 {
					t.Errorf("partitions were taken %d times while the batch was retried", revoked)
				}
				if l.Note(recs); l.Handled() == 50 {
					close(done)
				}
				return nil
			})
		})
		<-done
		if l.Repeated() != 0 {
			t.Errorf("%d records were handled twice", l.Repeated())
		}
		r.Stop()
		if err := <-r.Done; err != nil {
			t.Error(err)
		}
	})
}

func TestConsumer_GivesBackAHeldBatchWhenAnotherMemberJoins(t *testing.T) {
	t.Parallel()
	cfg := kafkatest.Start(t)
	kafkatest.Produce(t, cfg, kafkatest.Records(kafkatest.Bounced, 200)...)
	var away atomic.Bool
	away.Store(true)
	var held atomic.Bool
	l := kafkatest.NewLedger()
	handle := func(_ context.Context, recs []*kgo.Record) error {
		held.Store(true)
		if away.Load() {
			return errors.New("clickhouse is away")
		}
		l.Note(recs)
		return nil
	}
	patient := lifecycle.Backoff{Min: time.Hour, Max: time.Hour} // only giving back ends the first attempt's wait
	first := kafkatest.Consumer(t, cfg, group.Config{BatchWait: 100 * time.Millisecond, Retry: patient})
	a := kafkatest.Go(t, func(ctx context.Context) error { return first.Run(ctx, handle) })
	servicetest.Eventually(t, "the first member holds a batch", held.Load)
	away.Store(false)
	second := kafkatest.Consumer(t, cfg, group.Config{})
	b := kafkatest.Go(t, func(ctx context.Context) error { return second.Run(ctx, handle) })
	servicetest.Eventually(t, "the two members handled everything", func() bool { return l.Handled() == 200 })
	servicetest.Eventually(t, "each member has partitions", func() bool { return len(first.Positions()) == 2 && len(second.Positions()) == 2 })
	for _, r := range []*kafkatest.Running{a, b} {
		if err := r.End(t); err != nil {
			t.Error(err)
		}
	}
	if diff := cmp.Diff(kafkatest.Ends(t, cfg, kafkatest.Bounced), kafkatest.Committed(t, cfg, "readers", kafkatest.Bounced)); diff != "" {
		t.Errorf("committed differs from the ends:\n%s", diff)
	}
}

// TestConsumer_GivesARunningHandlerTimeToFinishWhenStopped is in virtual time: all four partitions
// come within BatchWait, and none of HandOver passes between the stop and the release.
func TestConsumer_GivesARunningHandlerTimeToFinishWhenStopped(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name      string
		stubborn  bool // works until its context ends
		committed int
	}{
		{"one that finishes is committed", false, 4},
		{"one that does not is cancelled and given back", true, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				cfg := kafkatest.StartVirtual(t).Config
				kafkatest.Produce(t, cfg, kafkatest.Records(kafkatest.Bounced, 100)...)
				entered, release := make(chan struct{}), make(chan struct{})
				c := kafkatest.Consumer(t, cfg, group.Config{HandOver: 100 * time.Millisecond, BatchWait: 300 * time.Millisecond})
				r := kafkatest.Go(t, func(ctx context.Context) error {
					return c.Run(ctx, func(ctx context.Context, _ []*kgo.Record) error {
						close(entered)
						if tc.stubborn {
							<-ctx.Done()
							return context.Cause(ctx)
						}
						<-release
						return ctx.Err()
					})
				})
				<-entered
				r.Stop()
				synctest.Wait() // the stop has reached everybody
				close(release)
				if err := r.Wait(t); err != nil {
					t.Errorf("Run = %v, want nil", err)
				}
				if got := kafkatest.Committed(t, cfg, "readers", kafkatest.Bounced); len(got) != tc.committed {
					t.Errorf("committed %v, want %d partitions", got, tc.committed)
				}
			})
		})
	}
}

func TestConsumer_HandsOnFewRecordsAfterBatchWait(t *testing.T) {
	t.Parallel()
	for _, wait := range []time.Duration{0, 300 * time.Millisecond, 5 * time.Second} {
		t.Run(wait.String(), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := kafkatest.StartVirtual(t)
				var at time.Time
				handed := make(chan int, 1)
				c := kafkatest.Consumer(t, b.Config, group.Config{BatchWait: wait})
				r := kafkatest.Go(t, func(ctx context.Context) error {
					return c.Run(ctx, func(_ context.Context, recs []*kgo.Record) error {
						if at.IsZero() {
							at = time.Now()
							handed <- len(recs)
						}
						return nil
					})
				})
				servicetest.Eventually(t, "partitions are assigned", func() bool { return len(c.Positions()) == kafkatest.Partitions })
				time.Sleep(time.Minute)
				began := time.Now()
				kafkatest.Produce(t, b.Config, kafkatest.Records(kafkatest.Bounced, 10)...)
				if n := <-handed; wait > 0 && n != 10 {
					t.Errorf("the batch has %d records, want the 10 that came within BatchWait", n)
				}
				const slack = 100 * time.Millisecond // lookups and lingering of the client that produces
				if took := at.Sub(began); took < wait || took > wait+slack {
					t.Errorf("handed on after %s, want about %s", took, wait)
				}
				r.Stop()
				if err := <-r.Done; err != nil {
					t.Error(err)
				}
			})
		})
	}
}

func TestConsumer_BatchesKeepTheirBounds(t *testing.T) {
	t.Parallel()
	const each = 1000 // bytes of a record
	for _, tc := range []struct {
		name                string
		cc                  group.Config
		recordsMax, fullest int
	}{
		{"by records", group.Config{BatchRecordsMax: 64, BatchWait: 50 * time.Millisecond}, 64, 64},
		{"by bytes", group.Config{BatchBytesMax: 100 * each, BatchWait: 50 * time.Millisecond}, 102, 100},
		{"not at all", group.Config{BatchWait: time.Second}, 1000, 1000},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				cfg := kafkatest.StartVirtual(t).Config
				recs := kafkatest.Records(kafkatest.Bounced, 1000)
				for _, r := range recs {
					r.Value = make([]byte, each-len(r.Key))
				}
				kafkatest.Produce(t, cfg, recs...)
				sizes := make(chan int, len(recs))
				c := kafkatest.Consumer(t, cfg, tc.cc)
				r := kafkatest.Go(t, func(ctx context.Context) error {
					return c.Run(ctx, func(_ context.Context, recs []*kgo.Record) error {
						sizes <- len(recs)
						return nil
					})
				})
				fullest := 0
				for total := 0; total < len(recs); {
					n := <-sizes
					total, fullest = total+n, max(fullest, n)
				}
				if fullest > tc.recordsMax || fullest < tc.fullest {
					t.Errorf("the fullest batch has %d records, want between %d and %d", fullest, tc.fullest, tc.recordsMax)
				}
				if err := r.End(t); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

func TestConsumer_StartAtReadsFromATimeAndCommitsNothing(t *testing.T) {
	t.Parallel()
	cfg := kafkatest.Start(t)
	noon := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	old, young := kafkatest.Records(kafkatest.Bounced, 100), kafkatest.Records(kafkatest.Bounced, 40)
	for _, r := range old {
		r.Timestamp = noon.Add(-time.Hour)
	}
	for _, r := range young {
		r.Timestamp = noon.Add(time.Second)
	}
	kafkatest.Produce(t, cfg, old...)
	kafkatest.Produce(t, cfg, young...)
	l := kafkatest.NewLedger()
	c := kafkatest.Consumer(t, cfg, group.Config{StartAt: func() time.Time { return noon }})
	r := kafkatest.Go(t, func(ctx context.Context) error {
		return c.Run(ctx, func(_ context.Context, recs []*kgo.Record) error {
			for _, r := range recs {
				if r.Timestamp.Before(noon) {
					t.Errorf("record of %s was read, want none before %s", r.Timestamp, noon)
				}
			}
			l.Note(recs)
			return nil
		})
	})
	servicetest.Eventually(t, "it is caught up", func() bool { _, ok := c.FreshAt(); return ok })
	if l.Handled() != 40 {
		t.Errorf("handled %d, want the 40 young ones", l.Handled())
	}
	if err := r.End(t); err != nil {
		t.Error(err)
	}
	if got := kafkatest.Committed(t, cfg, "readers", kafkatest.Bounced); len(got) != 0 {
		t.Errorf("committed %v, want nothing", got)
	}
}

func TestConsumer_AnnouncesPartitionsBeforeTheirRecords(t *testing.T) {
	t.Parallel()
	cfg := kafkatest.Start(t)
	kafkatest.Produce(t, cfg, kafkatest.Records(kafkatest.Bounced, 100)...)
	announced := map[int32]bool{} // owned by Run's goroutine
	refusals := 3
	l := kafkatest.NewLedger()
	c := kafkatest.Consumer(t, cfg, group.Config{
		Topics: []string{kafkatest.Bounced, kafkatest.Opened},
		OnAssigned: func(_ context.Context, m map[string][]int32) error {
			if refusals--; refusals >= 0 {
				return errors.New("tail is not there yet")
			}
			for _, p := range m[kafkatest.Bounced] {
				announced[p] = true
			}
			return nil
		},
	})
	r := kafkatest.Go(t, func(ctx context.Context) error {
		return c.Run(ctx, func(_ context.Context, recs []*kgo.Record) error {
			for _, r := range recs {
				if !announced[r.Partition] {
					t.Errorf("a record of partition %d came before the partition was announced", r.Partition)
				}
			}
			l.Note(recs)
			return nil
		})
	})
	servicetest.Eventually(t, "all are handled", func() bool { return l.Handled() == 100 })
	if err := r.End(t); err != nil {
		t.Error(err)
	}
}

func TestConsumer_AnnouncesPartitionsWithoutRecords(t *testing.T) {
	t.Parallel()
	cfg := kafkatest.Start(t)
	got := make(chan map[string][]int32, 1)
	revoked := make(chan map[string][]int32, 1)
	c := kafkatest.Consumer(t, cfg, group.Config{
		OnAssigned: func(_ context.Context, m map[string][]int32) error { got <- m; return nil },
		OnRevoked:  func(m map[string][]int32) { revoked <- m },
	})
	r := kafkatest.Go(t, func(ctx context.Context) error {
		return c.Run(ctx, func(context.Context, []*kgo.Record) error { return nil })
	})
	m := <-got
	if len(m[kafkatest.Bounced]) != kafkatest.Partitions {
		t.Errorf("announced %v, want %d partitions", m, kafkatest.Partitions)
	}
	if err := r.End(t); err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff(m, <-revoked); diff != "" {
		t.Errorf("revoked differs from assigned:\n%s", diff)
	}
}

func TestConsumer_KnowsHowFreshItIs(t *testing.T) {
	t.Parallel()
	cfg := kafkatest.Start(t)
	kafkatest.Produce(t, cfg, kafkatest.Records(kafkatest.Bounced, 20)...)
	release := make(chan struct{})
	c := kafkatest.Consumer(t, cfg, group.Config{Topics: []string{kafkatest.Bounced, kafkatest.Opened}})
	r := kafkatest.Go(t, func(ctx context.Context) error {
		return c.Run(ctx, func(context.Context, []*kgo.Record) error {
			<-release
			return nil
		})
	})
	lagging := func() (behind, fresh int) {
		for _, p := range c.Positions() {
			if p.FreshAt.IsZero() {
				behind++
			} else if p.Topic == kafkatest.Opened {
				fresh++
			}
		}
		return behind, fresh
	}
	servicetest.Eventually(t, "the empty topic is fresh and the other is not", func() bool {
		behind, fresh := lagging()
		return behind > 0 && fresh == kafkatest.Partitions
	})
	if at, ok := c.FreshAt(); ok {
		t.Errorf("fresh at %s while a partition was never caught up with", at)
	}
	close(release)
	before := time.Now()
	servicetest.Eventually(t, "all is fresh", func() bool {
		at, ok := c.FreshAt()
		return ok && at.After(before)
	})
	if err := r.End(t); err != nil {
		t.Error(err)
	}
}

func TestConsumer_RefusesBadSettings(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name string
		cc   group.Config
	}{
		{"no group", group.Config{Topics: []string{kafkatest.Bounced}}},
		{"no topics", group.Config{Group: "g"}},
		{"hand-over as long as the rebalance", group.Config{Group: "g", Topics: []string{kafkatest.Bounced}, HandOver: time.Minute, RebalanceTimeout: time.Minute}},
		{"negative batch", group.Config{Group: "g", Topics: []string{kafkatest.Bounced}, BatchRecordsMax: -1}},
		{"session shorter than a heartbeat", group.Config{Group: "g", Topics: []string{kafkatest.Bounced}, SessionTimeout: time.Millisecond, RebalanceTimeout: time.Second}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			if _, err := group.New(kafka.Default(), tc.cc, kafkatest.Logger(t), prometheus.NewRegistry()); err == nil {
				t.Error("NewConsumer = nil, want an error")
			}
		})
	}
}
