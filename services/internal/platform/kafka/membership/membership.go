// Package membership divides partitions among the running instances by Kafka's
// own group membership and says who has which. It reads no record and commits no
// offset: what an instance works on, it reads with a client of its own, from any
// offset it needs.
//
// A partition is assigned to one instance at a time as far as the group protocol
// can know: an instance that was cut off learns it when its session ends.
package membership

import (
	"context"
	"fmt"
	"maps"
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
	// sessionTimeout is after how long without a heartbeat an instance loses its
	// partitions: the delay of an alert when a machine crashes.
	sessionTimeout = 10 * time.Second
	// heartbeatInterval leaves three tries within a session.
	heartbeatInterval = 3 * time.Second
	// rebalanceTimeout bounds how long Revoke may take: a message that is being posted
	// may finish first.
	rebalanceTimeout = 30 * time.Second
	// leaveTimeout bounds leaving the group; after that, the session timeout ends the
	// membership.
	leaveTimeout = 5 * time.Second
)

// Worker works on the partitions assigned to this instance.
type Worker interface {
	// Assign begins work on partitions. It returns at once.
	Assign(partitions []int32)
	// Revoke ends work on partitions and returns once nothing is done for them
	// any more, or ctx is done.
	Revoke(ctx context.Context, partitions []int32)
}

// Member is one member of a group.
type Member struct {
	cfg     kafka.Config
	group   string
	log     *zap.Logger
	reg     prometheus.Registerer
	workers map[string]Worker // by topic
	once    sync.Once
	joined  chan struct{}
}

// New returns a member of group that hands the partitions of each topic to its
// worker. All topics of one group share the instances.
func New(cfg kafka.Config, group string, log *zap.Logger, reg prometheus.Registerer) *Member {
	return &Member{cfg: cfg, group: group, log: log, reg: reg, workers: make(map[string]Worker), joined: make(chan struct{})}
}

// Handle gives the partitions of topic to w. Call it before Run.
func (m *Member) Handle(topic string, w Worker) { m.workers[topic] = w }

// Joined is closed once the group has assigned the first partitions to this
// instance, which may be none.
func (m *Member) Joined() <-chan struct{} { return m.joined }

// Run is a member of the group until ctx is done or a fault is final, then revokes
// all partitions and leaves.
func (m *Member) Run(ctx context.Context) error {
	topics := slices.Sorted(maps.Keys(m.workers))
	faults := groupFaults{telemetry.Throttled(m.log), make(chan error, 1)}
	cl, err := kafka.NewClient(m.cfg, m.log, m.reg, append(m.cfg.Membership(),
		kgo.ConsumerGroup(m.group),
		kgo.ConsumeTopics(topics...),
		kgo.Balancers(kgo.CooperativeStickyBalancer()),
		kgo.DisableAutoCommit(), // nothing is read here
		kgo.ConsumeResetOffset(kgo.NewOffset().AtEnd()),
		kgo.SessionTimeout(sessionTimeout),
		kgo.HeartbeatInterval(heartbeatInterval),
		kgo.RebalanceTimeout(rebalanceTimeout),
		kgo.WithHooks(faults),
		kgo.OnPartitionsAssigned(m.assigned),
		kgo.OnPartitionsRevoked(m.revoked),
		kgo.OnPartitionsLost(m.revoked),
	)...)
	if err != nil {
		return fmt.Errorf("join group %q: %w", m.group, err)
	}
	cl.PauseFetchTopics(topics...) // this client is for the membership alone
	var fatal error
	select {
	case <-ctx.Done():
	case fatal = <-faults.fatal:
	}
	bye, cancel := context.WithTimeout(context.WithoutCancel(ctx), leaveTimeout)
	defer cancel()
	if err := cl.LeaveGroupContext(bye); err != nil {
		m.log.Warn("the group could not be left: it waits for the session timeout", telemetry.Group(m.group), telemetry.Err(err))
	}
	cl.Close()
	return fatal
}

// groupFaults logs why the group cannot be joined, while the library keeps trying,
// and ends Run when the fault is final.
type groupFaults struct {
	log   *zap.Logger
	fatal chan error // the first
}

// OnGroupManageError implements kgo.HookGroupManageError.
func (f groupFaults) OnGroupManageError(err error) {
	if err = kafka.Classify(err); fate.Final(err) {
		select {
		case f.fatal <- fmt.Errorf("join the consumer group: %w", err):
		default: // Run ends already
		}
	}
	f.log.Warn("the consumer group failed and will be tried again", telemetry.Err(err))
}

func (m *Member) assigned(_ context.Context, _ *kgo.Client, all map[string][]int32) {
	for topic, partitions := range all {
		if w := m.workers[topic]; w != nil && len(partitions) > 0 {
			m.log.Info("partitions acquired", telemetry.Topic(topic), telemetry.Rows(len(partitions)))
			w.Assign(partitions)
		}
	}
	m.once.Do(func() { close(m.joined) })
}

func (m *Member) revoked(ctx context.Context, _ *kgo.Client, all map[string][]int32) {
	ctx, cancel := context.WithTimeout(ctx, rebalanceTimeout)
	defer cancel()
	for topic, partitions := range all {
		if w := m.workers[topic]; w != nil && len(partitions) > 0 {
			w.Revoke(ctx, partitions)
			m.log.Info("partitions released", telemetry.Topic(topic), telemetry.Rows(len(partitions)))
		}
	}
}
