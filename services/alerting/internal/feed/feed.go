// Package feed reads chosen partitions from chosen offsets, without a group,
// and lets the choice change while it reads. It keeps no position for anybody:
// callers know where they are. It belongs to one loop; only Poll blocks.
package feed

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"go.uber.org/zap"

	"github.com/mailstream/mailstream/services/internal/platform/config"
	"github.com/mailstream/mailstream/services/internal/platform/fate"
	"github.com/mailstream/mailstream/services/internal/platform/kafka"
	"github.com/mailstream/mailstream/services/internal/platform/lifecycle"
	"github.com/mailstream/mailstream/services/internal/platform/telemetry"
)

const (
	// waitMax is how long a broker holds an empty answer. The poll's own deadline
	// is shorter, this only saves requests.
	waitMax = 500 * time.Millisecond
	// bytesMax and partitionBytesMax bound what is fetched ahead of the loop.
	bytesMax          = 16 * config.MiB
	partitionBytesMax = config.MiB
	// askTimeout bounds one question for offsets.
	askTimeout = 5 * time.Second
	// stumblePause spaces polls that return faults alone.
	stumblePause = 100 * time.Millisecond
)

// Spot is one partition of one topic.
type Spot struct {
	Topic     string
	Partition int32
}

// Feed reads. Make it with New, end it with Close.
type Feed struct {
	cfg  kafka.Config
	log  *zap.Logger
	reg  prometheus.Registerer
	cl   *kgo.Client // nil before the first Add: a client without partitions reads nothing
	adm  *kadm.Client
	asks *kgo.Client
}

// New returns a feed that reads nothing yet and connects at its first use.
func New(cfg kafka.Config, log *zap.Logger, reg prometheus.Registerer) *Feed {
	return &Feed{cfg: cfg, log: telemetry.Throttled(log, telemetry.ByTopic), reg: reg}
}

// Close ends the connections.
func (f *Feed) Close() {
	if f.cl != nil {
		f.cl.Close()
	}
	if f.asks != nil {
		f.asks.Close()
	}
}

// Add begins to read each spot at its offset.
func (f *Feed) Add(from map[Spot]int64) error {
	if len(from) == 0 {
		return nil
	}
	offsets := make(map[string]map[int32]kgo.Offset)
	for at, offset := range from {
		if offsets[at.Topic] == nil {
			offsets[at.Topic] = make(map[int32]kgo.Offset)
		}
		offsets[at.Topic][at.Partition] = kgo.NewOffset().At(offset)
	}
	if f.cl != nil {
		f.cl.AddConsumePartitions(offsets)
		return nil
	}
	cl, err := kafka.NewClient(f.cfg, f.log, f.reg,
		kgo.ConsumePartitions(offsets),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), // a lost position repeats rather than skips
		// Markers of transactions have offsets too; without them a reader would
		// never arrive at the end of a partition that ends in one.
		kgo.KeepControlRecords(),
		kafka.PacedFetches(),
		kgo.FetchMinBytes(1),
		kgo.FetchMaxWait(waitMax),
		kgo.FetchMaxBytes(int32(bytesMax)),
		kgo.FetchMaxPartitionBytes(int32(partitionBytesMax)),
	)
	if err != nil {
		return fmt.Errorf("read partitions: %w", err)
	}
	f.cl = cl
	return nil
}

// Reset reads exactly the given spots from the given offsets on, with a new
// connection: the way out when reading stands still for no reason to be seen.
func (f *Feed) Reset(from map[Spot]int64) error {
	if f.cl != nil {
		f.cl.Close()
		f.cl = nil
	}
	return f.Add(from)
}

// Remove stops reading spots. Records already fetched for them are dropped.
func (f *Feed) Remove(spots []Spot) {
	if f.cl == nil || len(spots) == 0 {
		return
	}
	f.cl.ResumeFetchPartitions(byTopic(spots))
	f.cl.RemoveConsumePartitions(byTopic(spots))
}

// Pause stops fetching spots until Resume.
func (f *Feed) Pause(spots ...Spot) {
	if f.cl != nil && len(spots) > 0 {
		f.cl.PauseFetchPartitions(byTopic(spots))
	}
}

// Resume fetches spots again.
func (f *Feed) Resume(spots ...Spot) {
	if f.cl != nil && len(spots) > 0 {
		f.cl.ResumeFetchPartitions(byTopic(spots))
	}
}

func byTopic(spots []Spot) map[string][]int32 {
	out := make(map[string][]int32)
	for _, s := range spots {
		out[s.Topic] = append(out[s.Topic], s.Partition)
	}
	return out
}

// Poll returns up to most records, those of one spot in order. It waits until
// there are some or until the given time. Faults of brokers that pass are
// logged, since the client keeps trying; others are returned.
func (f *Feed) Poll(ctx context.Context, until time.Time, most int) ([]*kgo.Record, error) {
	if f.cl == nil {
		return nil, nil
	}
	ctx, cancel := context.WithDeadline(ctx, until)
	defer cancel()
	fetches := f.cl.PollRecords(ctx, most)
	var fatal error
	stumbled := false
	fetches.EachError(func(topic string, partition int32, err error) {
		if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
			return
		}
		if err = kafka.Classify(err); fate.Of(err) != fate.Retry {
			fatal = fmt.Errorf("read %q: %w", topic, err)
			return
		}
		stumbled = true
		f.log.Warn("reading stumbled", telemetry.Topic(topic), telemetry.Partition(partition), telemetry.Err(err))
	})
	recs := fetches.Records()
	if fatal == nil && stumbled && len(recs) == 0 { // the library reports some faults as fast as brokers answer
		_ = lifecycle.Sleep(ctx, stumblePause) // callers look at ctx themselves
	}
	return recs, fatal
}

// Ends returns the end of every partition of topics.
func (f *Feed) Ends(ctx context.Context, topics ...string) (map[Spot]int64, error) {
	return f.ask(ctx, func(ctx context.Context) (kadm.ListedOffsets, error) {
		return f.adm.ListEndOffsets(ctx, topics...)
	})
}

// Starts returns the first offset of every partition of topics.
func (f *Feed) Starts(ctx context.Context, topics ...string) (map[Spot]int64, error) {
	return f.ask(ctx, func(ctx context.Context) (kadm.ListedOffsets, error) {
		return f.adm.ListStartOffsets(ctx, topics...)
	})
}

// After returns, for every partition of topics, the first offset whose record
// was written at t or later, the end when there is none. Nothing written at t
// or later lies before it, whatever the order of the times.
func (f *Feed) After(ctx context.Context, t time.Time, topics ...string) (map[Spot]int64, error) {
	return f.ask(ctx, func(ctx context.Context) (kadm.ListedOffsets, error) {
		return f.adm.ListOffsetsAfterMilli(ctx, t.UnixMilli(), topics...)
	})
}

// ask returns what list finds; all partitions answer or it is an error.
func (f *Feed) ask(ctx context.Context, list func(context.Context) (kadm.ListedOffsets, error)) (map[Spot]int64, error) {
	if f.asks == nil {
		cl, err := kafka.NewClient(f.cfg, f.log, f.reg)
		if err != nil {
			return nil, err
		}
		f.asks, f.adm = cl, kadm.NewClient(cl)
	}
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	listed, err := list(ctx)
	if err == nil {
		err = listed.Error()
	}
	if err != nil {
		return nil, fmt.Errorf("list offsets: %w", kafka.Classify(err))
	}
	out := make(map[Spot]int64)
	listed.Each(func(o kadm.ListedOffset) { out[Spot{o.Topic, o.Partition}] = o.Offset })
	return out, nil
}
