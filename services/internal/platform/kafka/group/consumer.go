// Package group reads as a member of a consumer group. A batch of records goes to
// a handler; its offsets are committed after the handler has made its effect
// durable, at the one place in the repository that commits. Records are handed
// over at least once; what is in them is the handler's.
package group

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kgo"
	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"github.com/mailstream/mailstream/services/internal/platform/config"
	"github.com/mailstream/mailstream/services/internal/platform/kafka"
	"github.com/mailstream/mailstream/services/internal/platform/kafka/offsets"
	"github.com/mailstream/mailstream/services/internal/platform/lifecycle"
	"github.com/mailstream/mailstream/services/internal/platform/telemetry"
)

// Config is what a member of a consumer group reads, and how records reach the
// handler. The zero value of a field takes its default.
type Config struct {
	// Group is the consumer group, also the value of the metric label `client`.
	Group string
	// Topics are read by the group, each partition by one member at a time.
	Topics []string
	// Together assigns the same partition numbers of all topics to a member, for a
	// handler that relates the records of one key in several topics. When members
	// join or leave, all partitions then pause for a moment instead of a few.
	Together bool
	// BatchRecordsMax bounds the records of one batch. Default 10_000.
	BatchRecordsMax int
	// BatchBytesMax bounds their keys, values and headers; the few records that
	// cross it still belong to the batch. Default 16MiB.
	BatchBytesMax int
	// BatchWait is how long a batch that is not full waits for more. Default 0: it
	// goes to the handler at once.
	BatchWait time.Duration
	// Retry spaces the attempts of one batch. Default 100ms to 30s.
	Retry lifecycle.Backoff
	// HandOver is how long a handler that is running may go on once the group
	// wants its partitions or Run is to end; then its context is cancelled.
	// Default 10s, below RebalanceTimeout.
	HandOver time.Duration

	// SessionTimeout is after how long without a heartbeat a member is dead.
	// Default 15s: after a crash nothing reads its partitions for that long, and
	// heartbeats, one a second, do not depend on the handler. Brokers allow 6s to 30m.
	SessionTimeout time.Duration
	// RebalanceTimeout is how long members have to give up partitions. Default 60s.
	RebalanceTimeout time.Duration
	// FetchBytesMax and FetchPartitionBytesMax bound what is read ahead, compressed,
	// for one broker and one partition. Default 16MiB and 4MiB.
	FetchBytesMax          int32
	FetchPartitionBytesMax int32
	// FetchWaitMax is how long a broker may hold the answer when it has nothing.
	// It delays no record. Default 500ms.
	FetchWaitMax time.Duration

	// CheckInterval is how often the ends of the partitions are requested: the
	// precision of FreshAt and of the lag metrics. Default 1s.
	CheckInterval time.Duration
	// StartAt, when not nil, replaces committed offsets: each partition is read from
	// its first record at or after the time that StartAt returns when it is assigned,
	// and no offset is ever committed.
	StartAt func() time.Time
	// OnAssigned, when not nil, is called with partitions this member did not have
	// before, from the goroutine that calls the handler and before any of their
	// records is handed over; also when they have none. The fate of its error
	// counts like the handler's; its context ends when the group wants the partitions.
	OnAssigned func(ctx context.Context, partitions map[string][]int32) error
	// OnRevoked, when not nil, is called when partitions are no longer this
	// member's, never while the handler or OnAssigned runs. It must be quick.
	OnRevoked func(partitions map[string][]int32)
}

const (
	defaultBatchRecordsMax        = 10_000
	defaultBatchBytesMax          = 16 << 20
	defaultRetryMin               = 100 * time.Millisecond
	defaultRetryMax               = 30 * time.Second
	defaultHandOver               = 10 * time.Second
	defaultSessionTimeout         = 15 * time.Second
	defaultRebalanceTimeout       = 60 * time.Second
	heartbeatsSession             = 15 // heartbeats in one session timeout: that many may be lost, and a rebalance is seen as soon
	heartbeatMax                  = 3 * time.Second
	defaultFetchBytesMax          = 16 << 20
	defaultFetchPartitionBytesMax = 4 << 20
	defaultFetchWaitMax           = 500 * time.Millisecond
	batchWaitMax                  = time.Minute // a longer BatchWait is a mistake in the unit
	pollRecordsFirst              = 64          // records of a batch's first poll, before their size is known
	pollRecordsMax                = 512         // records of one poll, so that BatchBytesMax is seen in time
	defaultCheckInterval          = time.Second
	commitTimeout                 = 10 * time.Second
	leaveTimeout                  = 3 * time.Second // to leave the group; after that, the session timeout ends the membership
)

// withDefaults fills the zero fields.
func (c Config) withDefaults() Config {
	c.BatchRecordsMax = cmp.Or(c.BatchRecordsMax, defaultBatchRecordsMax)
	c.BatchBytesMax = cmp.Or(c.BatchBytesMax, defaultBatchBytesMax)
	c.Retry.Min = cmp.Or(c.Retry.Min, defaultRetryMin)
	c.Retry.Max = cmp.Or(c.Retry.Max, max(defaultRetryMax, c.Retry.Min))
	c.SessionTimeout = cmp.Or(c.SessionTimeout, defaultSessionTimeout)
	c.RebalanceTimeout = cmp.Or(c.RebalanceTimeout, defaultRebalanceTimeout)
	c.HandOver = cmp.Or(c.HandOver, min(defaultHandOver, c.RebalanceTimeout/2))
	c.FetchBytesMax = cmp.Or(c.FetchBytesMax, defaultFetchBytesMax)
	c.FetchPartitionBytesMax = cmp.Or(c.FetchPartitionBytesMax, defaultFetchPartitionBytesMax)
	c.FetchWaitMax = cmp.Or(c.FetchWaitMax, defaultFetchWaitMax)
	c.CheckInterval = cmp.Or(c.CheckInterval, defaultCheckInterval)
	return c
}

// Validate reports every fault to p; zero fields but Group and Topics are valid.
func (c Config) Validate(p *config.Problems) {
	d := c.withDefaults()
	p.Check(d.Group != "", "group", "must not be empty")
	p.Check(len(d.Topics) > 0, "topics", "need at least one")
	p.Check(d.BatchRecordsMax > 0, "batch_records_max", "%d is below 1", d.BatchRecordsMax)
	p.Check(d.BatchBytesMax > 0, "batch_bytes_max", "%d is below 1", d.BatchBytesMax)
	p.Check(d.BatchWait >= 0 && d.BatchWait <= batchWaitMax, "batch_wait", "%s is not in [0s, %s]", d.BatchWait, batchWaitMax)
	p.Check(d.Retry.Min > 0 && d.Retry.Min <= d.Retry.Max, "retry", "min %s and max %s: need 0s < min <= max", d.Retry.Min, d.Retry.Max)
	p.Check(d.HandOver > 0 && d.HandOver < d.RebalanceTimeout, "hand_over", "%s is not in (0s, rebalance timeout %s)", d.HandOver, d.RebalanceTimeout)
	p.Check(d.BatchWait < d.RebalanceTimeout, "batch_wait", "%s is not below the rebalance timeout %s", d.BatchWait, d.RebalanceTimeout)
	p.Check(d.FetchBytesMax >= d.FetchPartitionBytesMax && d.FetchPartitionBytesMax > 0, "fetch_bytes_max", "%d is below the bound of a partition, %d", d.FetchBytesMax, d.FetchPartitionBytesMax)
}

// Handler makes the effect of a batch durable: it returns nil only when the effect
// would survive a crash. Records of one partition arrive in order. A record may
// arrive more than once, so the effect must be idempotent. A Handler must not keep
// recs, and must return soon after ctx ends.
type Handler func(ctx context.Context, recs []*kgo.Record) error

// Consumer is one member of a consumer group. Run reads; there is one Run at a
// time.
type Consumer struct {
	cfg Config
	log *zap.Logger
	// often is throttled, for lines that brokers, members and batches can repeat.
	often *zap.Logger
	met   *consumerMetrics
	opts  []kgo.Opt
	// tracker is the state of the present Run, or the last.
	tracker *offsets.Tracker
}

// New checks the settings. It connects nowhere.
func New(cfg kafka.Config, cc Config, log *zap.Logger, reg prometheus.Registerer) (*Consumer, error) {
	var faults config.Problems
	cc.Validate(faults.At("consumer"))
	if err := faults.Err(); err != nil {
		return nil, err
	}
	cc = cc.withDefaults()
	c := &Consumer{cfg: cc, log: log, often: telemetry.Throttled(log, telemetry.ByTopic), met: newConsumerMetrics(reg, cc.Group, cc.Topics), tracker: offsets.NewTracker()}
	var err error
	if c.opts, err = kafka.ClientOptions(cfg, log, reg, append(c.options(), cfg.Membership()...)...); err != nil {
		return nil, err
	}
	if err := kgo.ValidateOpts(slices.Concat(c.opts, (&session{Consumer: c}).options())...); err != nil {
		return nil, fmt.Errorf("configure kafka consumer: %w", err)
	}
	return c, nil
}

func (c *Consumer) options() []kgo.Opt {
	balancer := kgo.CooperativeStickyBalancer()
	if c.cfg.Together {
		balancer = kgo.RangeBalancer() // the sticky one spreads partitions one by one
	}
	return []kgo.Opt{
		kgo.ConsumerGroup(c.cfg.Group),
		kgo.ConsumeTopics(c.cfg.Topics...),
		kgo.DisableAutoCommit(), // see commit.go
		kgo.BlockRebalanceOnPoll(),
		kgo.Balancers(balancer),
		kgo.ConsumeStartOffset(kgo.NewOffset().AtStart()), // a new group reads all there is
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), // a lost position repeats rather than skips
		kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.SessionTimeout(c.cfg.SessionTimeout),
		kgo.RebalanceTimeout(c.cfg.RebalanceTimeout),
		kgo.HeartbeatInterval(min(heartbeatMax, c.cfg.SessionTimeout/heartbeatsSession)),
		kafka.PacedFetches(),
		kgo.FetchMinBytes(1),
		kgo.FetchMaxWait(c.cfg.FetchWaitMax),
		kgo.FetchMaxBytes(c.cfg.FetchBytesMax),
		kgo.FetchMaxPartitionBytes(c.cfg.FetchPartitionBytesMax),
	}
}

// Run joins the group and hands batches to handle until ctx is done, which is
// no error, or a fault is final. Dead letter is final here, too: the consumer
// does not know which record of a batch is bad, so a handler publishes the dead
// letter itself and returns nil.
//
// After any other fault the handler gets the same batch once more, with growing
// delays and for as long as it takes; meanwhile the member stays in the group
// and reads nothing more. When the group wants partitions or ctx is done, a
// running handler has HandOver to finish; a batch it did not finish is given back
// uncommitted, and this member or another reads it later. Nothing is skipped.
func (c *Consumer) Run(ctx context.Context, handle func(ctx context.Context, recs []*kgo.Record) error) error {
	s := newSession(c, handle)
	life, kill := context.WithCancel(context.WithoutCancel(ctx))
	defer kill()
	c.tracker.Clear() // before the client can note where it begins
	cl, err := kgo.NewClient(slices.Concat(c.opts, s.options(), []kgo.Opt{kgo.WithContext(life)})...)
	if err != nil {
		return fmt.Errorf("configure kafka consumer: %w", err)
	}
	s.cl, s.lister = cl, offsets.NewListerOf(cl)
	close(s.made)
	g, both := errgroup.WithContext(ctx)
	g.Go(func() error {
		defer s.leave(kill)
		return s.loop(both)
	})
	g.Go(func() error { return s.monitor().Run(both) })
	return lifecycle.UnlessDone(ctx, g.Wait())
}

// loop shows what becomes of a batch, from top to bottom.
func (s *session) loop(ctx context.Context) error {
	for ctx.Err() == nil {
		b, err := s.gather(ctx)
		if err != nil {
			return fmt.Errorf("read as group %q: %w", s.cfg.Group, err)
		}
		if err = s.settle(ctx, b); errors.Is(err, errAbandoned) {
			s.rewind(b)
		} else if err != nil {
			return fmt.Errorf("handle batch of group %q: %w", s.cfg.Group, err)
		}
		s.cl.AllowRebalance()
	}
	return ctx.Err()
}

// Positions returns how far the assigned partitions are, in order of topic and
// partition.
func (c *Consumer) Positions() []offsets.Position { return c.tracker.Positions() }

// FreshAt returns how old what was read may be: everything acknowledged before
// that time is settled. It is false while a partition was never caught up with
// since it was assigned, and when none is assigned.
func (c *Consumer) FreshAt() (time.Time, bool) { return c.tracker.Fresh() }
