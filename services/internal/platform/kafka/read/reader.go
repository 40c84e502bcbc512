// Package read reads partitions without a group, and commits nothing. A Reader
// reads chosen partitions from chosen offsets, and the choice may change while it
// reads; a Tail is a Reader of all partitions of one topic, for ever. Neither
// stores a position: the caller does, when it needs one after a restart.
package read

import (
	"context"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kgo"
	"go.uber.org/zap"

	"github.com/mailstream/mailstream/services/internal/platform/config"
	"github.com/mailstream/mailstream/services/internal/platform/fate"
	"github.com/mailstream/mailstream/services/internal/platform/kafka"
	"github.com/mailstream/mailstream/services/internal/platform/kafka/offsets"
	"github.com/mailstream/mailstream/services/internal/platform/lifecycle"
	"github.com/mailstream/mailstream/services/internal/platform/telemetry"
)

const (
	// fetchWaitMax is how long a broker holds an empty answer. It delays no record.
	fetchWaitMax = 500 * time.Millisecond
	// fetchBytesMax and the two below bound what is fetched ahead, compressed: of one
	// broker, of one partition of a topic, of one partition of many.
	fetchBytesMax          = 16 * config.MiB
	fetchPartitionBytesMax = 4 * config.MiB
	fetchShareBytesMax     = config.MiB
)

// Reader reads. Make it with NewReader, end it with Close. It belongs to one
// loop, where only Poll and the requests for offsets block. Once it reads
// something, Add may be called from elsewhere.
type Reader struct {
	cfg  kafka.Config
	log  *zap.Logger // throttled
	reg  prometheus.Registerer
	opts []kgo.Opt
	*offsets.Lister
	cl    *kgo.Client // nil before the first Add: a client without partitions reads nothing
	empty int         // polls in a row that ended without a record
	// fault, when not nil, gives each fault of a poll its fate and counts it.
	fault func(error) error
}

// NewReader returns a reader of many partitions that reads nothing yet and
// connects at its first use. It reads every record, whatever becomes of its
// transaction, and the markers that end one: these have offsets, too, and without
// them a reader would never arrive at the end of a partition that ends in one.
func NewReader(cfg kafka.Config, log *zap.Logger, reg prometheus.Registerer) *Reader {
	return newReader(cfg, telemetry.Throttled(log, telemetry.ByTopic), reg,
		kgo.KeepControlRecords(), kgo.FetchMaxPartitionBytes(int32(fetchShareBytesMax)))
}

// NewCommitted is NewReader without the records of transactions that were given up.
func NewCommitted(cfg kafka.Config, log *zap.Logger, reg prometheus.Registerer) *Reader {
	return newReader(cfg, telemetry.Throttled(log, telemetry.ByTopic), reg, kgo.KeepControlRecords(),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.FetchMaxPartitionBytes(int32(fetchPartitionBytesMax)))
}

func newReader(cfg kafka.Config, log *zap.Logger, reg prometheus.Registerer, opts ...kgo.Opt) *Reader {
	return &Reader{cfg: cfg, log: log, reg: reg, Lister: offsets.NewLister(cfg, log, reg), opts: append(opts,
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), // a lost position repeats rather than skips
		kafka.PacedFetches(),
		kgo.FetchMinBytes(1),
		kgo.FetchMaxWait(fetchWaitMax),
		kgo.FetchMaxBytes(int32(fetchBytesMax)),
	)}
}

// Close ends the connections.
func (r *Reader) Close() {
	if r.cl != nil {
		r.cl.Close()
	}
	r.Lister.Close()
}

// Add begins to read each partition at its offset, which may be offsets.First.
func (r *Reader) Add(from map[kafka.TopicPartition]int64) error {
	if len(from) == 0 {
		return nil
	}
	at := make(map[string]map[int32]kgo.Offset)
	for p, offset := range from {
		if at[p.Topic] == nil {
			at[p.Topic] = make(map[int32]kgo.Offset)
		}
		at[p.Topic][p.Partition] = kgo.NewOffset().At(offset)
	}
	if r.cl != nil {
		r.cl.AddConsumePartitions(at)
		return nil
	}
	cl, err := kafka.NewClient(r.cfg, r.log, r.reg, append([]kgo.Opt{kgo.ConsumePartitions(at)}, r.opts...)...)
	if err != nil {
		return fmt.Errorf("read partitions: %w", err)
	}
	r.cl = cl
	return nil
}

// Reset reads exactly the given partitions from the given offsets on, with a new
// connection: the way out when reading has stopped for no reason to be seen.
func (r *Reader) Reset(from map[kafka.TopicPartition]int64) error {
	if r.cl != nil {
		r.cl.Close()
		r.cl = nil
	}
	return r.Add(from)
}

// Remove stops reading partitions. Records already fetched for them are dropped.
func (r *Reader) Remove(partitions ...kafka.TopicPartition) {
	r.Resume(partitions...) // a paused partition that is added later would stay paused
	if r.cl != nil && len(partitions) > 0 {
		r.cl.RemoveConsumePartitions(byTopic(partitions))
	}
}

// Pause stops fetching partitions until Resume.
func (r *Reader) Pause(partitions ...kafka.TopicPartition) {
	if r.cl != nil && len(partitions) > 0 {
		r.cl.PauseFetchPartitions(byTopic(partitions))
	}
}

// Resume fetches partitions that were paused.
func (r *Reader) Resume(partitions ...kafka.TopicPartition) {
	if r.cl != nil && len(partitions) > 0 {
		r.cl.ResumeFetchPartitions(byTopic(partitions))
	}
}

func byTopic(partitions []kafka.TopicPartition) map[string][]int32 {
	out := make(map[string][]int32)
	for _, p := range partitions {
		out[p.Topic] = append(out[p.Topic], p.Partition)
	}
	return out
}

// PollUntil is Poll that returns nothing when there is nothing at the given time.
func (r *Reader) PollUntil(ctx context.Context, until time.Time, most int) ([]*kgo.Record, error) {
	ctx, cancel := context.WithDeadline(ctx, until)
	defer cancel()
	return r.Poll(ctx, most)
}

// Poll returns up to most records, those of one partition in order. It waits for
// them until ctx is done, which is not an error. Faults that pass are logged, since
// the client keeps trying; a final one is returned. Without a record, faults
// delay the return: the library reports some as fast as brokers answer.
func (r *Reader) Poll(ctx context.Context, most int) ([]*kgo.Record, error) {
	if r.cl == nil {
		return nil, nil
	}
	fetches := r.cl.PollRecords(ctx, most)
	var final error
	kafka.EachFault(ctx, fetches, func(at kafka.TopicPartition, err error) {
		if r.fault != nil {
			err = r.fault(err)
		}
		if fate.Final(err) {
			final = fmt.Errorf("read %q: %w", at.Topic, err)
			return
		}
		r.log.Warn("reading failed and will be tried again", telemetry.Topic(at.Topic), telemetry.Partition(at.Partition), telemetry.Err(err))
	})
	recs := fetches.Records()
	switch {
	case len(recs) > 0:
		r.empty = 0
	case final == nil && ctx.Err() == nil:
		r.empty++
		_ = lifecycle.Sleep(ctx, kafka.PollBackoff.Next(r.empty)) // callers look at ctx themselves
	}
	return recs, final
}
