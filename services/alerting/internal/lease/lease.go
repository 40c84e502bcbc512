// Package lease divides partitions among the running instances by Kafka's own
// group membership and tells who has which. It reads no record and commits no
// offset: what an instance leases, it reads from wherever it has to, with a
// client of its own.
//
// A partition is leased to one instance at a time as far as the group protocol
// can know: an instance that was cut off learns it when its session ends.
package lease

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kgo"
	"go.uber.org/zap"

	"github.com/mailstream/mailstream/services/internal/platform/fate"
	"github.com/mailstream/mailstream/services/internal/platform/kafka"
	"github.com/mailstream/mailstream/services/internal/platform/telemetry"
)

const (
	// sessionTimeout is after how long a silent instance loses its partitions: what
	// an alert may be late by when a machine dies.
	sessionTimeout = 10 * time.Second
	// heartbeatInterval leaves three tries within a session.
	heartbeatInterval = 3 * time.Second
	// rebalanceTimeout bounds giving partitions up: a message being posted may
	// finish first.
	rebalanceTimeout = 30 * time.Second
	// leaveTimeout bounds saying goodbye; without it the session just ends.
	leaveTimeout = 5 * time.Second
)

// Holder works on leased partitions.
type Holder interface {
	// Acquire begins work on partitions. It returns at once.
	Acquire(partitions []int32)
	// Release ends work on partitions and returns once nothing is done for them
	// any more, or ctx is done.
	Release(ctx context.Context, partitions []int32)
}

// Lease is one member of a group.
type Lease struct {
	cfg     kafka.Config
	group   string
	log     *zap.Logger
	reg     prometheus.Registerer
	holders map[string]Holder // by topic
	once    sync.Once
	joined  chan struct{}
}

// New returns a member of group that hands the partitions of each topic to its
// holder. All topics of one group share the instances.
func New(cfg kafka.Config, group string, log *zap.Logger, reg prometheus.Registerer) *Lease {
	return &Lease{cfg: cfg, group: group, log: log, reg: reg, holders: make(map[string]Holder), joined: make(chan struct{})}
}

// Handle gives the partitions of topic to h. Call it before Run.
func (l *Lease) Handle(topic string, h Holder) { l.holders[topic] = h }

// Joined is closed once the group has told this instance its first partitions,
// be it none.
func (l *Lease) Joined() <-chan struct{} { return l.joined }

// Run is a member of the group until ctx is done, then gives everything up and
// leaves.
func (l *Lease) Run(ctx context.Context) error {
	topics := make([]string, 0, len(l.holders))
	for topic := range l.holders {
		topics = append(topics, topic)
	}
	slices.Sort(topics)
	faults := groupFaults{telemetry.Throttled(l.log), make(chan error, 1)}
	cl, err := kafka.NewClient(l.cfg, l.log, l.reg, append(l.cfg.Membership(),
		kgo.ConsumerGroup(l.group),
		kgo.ConsumeTopics(topics...),
		kgo.Balancers(kgo.CooperativeStickyBalancer()),
		kgo.DisableAutoCommit(), // there is nothing to commit: positions follow from the clock
		kgo.ConsumeResetOffset(kgo.NewOffset().AtEnd()),
		kgo.SessionTimeout(sessionTimeout),
		kgo.HeartbeatInterval(heartbeatInterval),
		kgo.RebalanceTimeout(rebalanceTimeout),
		kgo.WithHooks(faults),
		kgo.OnPartitionsAssigned(l.assigned),
		kgo.OnPartitionsRevoked(l.gone),
		kgo.OnPartitionsLost(l.gone),
	)...)
	if err != nil {
		return fmt.Errorf("join group %q: %w", l.group, err)
	}
	cl.PauseFetchTopics(topics...) // membership is all we want of this client
	var fatal error
	select {
	case <-ctx.Done():
	case fatal = <-faults.fatal:
	}
	bye, cancel := context.WithTimeout(context.WithoutCancel(ctx), leaveTimeout)
	defer cancel()
	if err := cl.LeaveGroupContext(bye); err != nil {
		l.log.Warn("left the group without a goodbye", telemetry.Group(l.group), telemetry.Err(err))
	}
	cl.Close()
	return fatal
}

// groupFaults logs why the group cannot be joined; the library keeps trying. It
// ends the lease when trying is no use.
type groupFaults struct {
	log   *zap.Logger
	fatal chan error // the first
}

// OnGroupManageError implements kgo.HookGroupManageError.
func (f groupFaults) OnGroupManageError(err error) {
	if err = kafka.Classify(err); fate.Of(err) != fate.Retry {
		select {
		case f.fatal <- fmt.Errorf("join the consumer group: %w", err):
		default: // it ends already
		}
	}
	f.log.Warn("the consumer group stumbled", telemetry.Err(err))
}

func (l *Lease) assigned(_ context.Context, _ *kgo.Client, m map[string][]int32) {
	for topic, partitions := range m {
		if h := l.holders[topic]; h != nil && len(partitions) > 0 {
			l.log.Info("partitions acquired", telemetry.Topic(topic), telemetry.Rows(len(partitions)))
			h.Acquire(partitions)
		}
	}
	l.once.Do(func() { close(l.joined) })
}

func (l *Lease) gone(ctx context.Context, _ *kgo.Client, m map[string][]int32) {
	ctx, cancel := context.WithTimeout(ctx, rebalanceTimeout)
	defer cancel()
	for topic, partitions := range m {
		if h := l.holders[topic]; h != nil && len(partitions) > 0 {
			h.Release(ctx, partitions)
			l.log.Info("partitions released", telemetry.Topic(topic), telemetry.Rows(len(partitions)))
		}
	}
}
