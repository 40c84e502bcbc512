// Package offsets knows where partitions begin and end, and how far the reading
// of them is: a Lister asks the brokers, a Tracker holds the positions of one
// reader, a Monitor brings the two together. It reads no record and commits
// nothing.
package offsets

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"go.uber.org/zap"

	"github.com/mailstream/mailstream/services/internal/platform/fate"
	"github.com/mailstream/mailstream/services/internal/platform/kafka"
)

// listTimeout bounds one request for offsets.
const listTimeout = 5 * time.Second

// Lister asks for one offset of every partition of the given topics. All of them
// answer or it is an error, which is classified. It is safe for concurrent use.
type Lister struct {
	connect func() (*kgo.Client, error) // nil for a client that is another's

	mu  sync.Mutex
	adm *kadm.Client // nil before the first request; guarded by mu
}

// NewLister returns a lister with a separate connection, made at the first
// request, so that a request does not wait behind a fetch. Close ends it.
func NewLister(cfg kafka.Config, log *zap.Logger, reg prometheus.Registerer) *Lister {
	return &Lister{connect: func() (*kgo.Client, error) { return kafka.NewClient(cfg, log, reg) }}
}

// NewListerOf returns a lister that asks with the caller's client.
func NewListerOf(cl *kgo.Client) *Lister { return &Lister{adm: kadm.NewClient(cl)} }

// Close ends the connection that is the lister's own.
func (l *Lister) Close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.connect != nil && l.adm != nil {
		l.adm.Close()
	}
}

// Starts returns the first offset of every partition.
func (l *Lister) Starts(ctx context.Context, topics ...string) (map[kafka.TopicPartition]int64, error) {
	return l.list(ctx, func(ctx context.Context, adm *kadm.Client) (kadm.ListedOffsets, error) {
		return adm.ListStartOffsets(ctx, topics...)
	})
}

// Ends returns the end of every partition, the high watermark.
func (l *Lister) Ends(ctx context.Context, topics ...string) (map[kafka.TopicPartition]int64, error) {
	return l.list(ctx, func(ctx context.Context, adm *kadm.Client) (kadm.ListedOffsets, error) {
		return adm.ListEndOffsets(ctx, topics...)
	})
}

// CommittedEnds returns the end of every partition as a reader of committed
// records sees it, the last stable offset.
func (l *Lister) CommittedEnds(ctx context.Context, topics ...string) (map[kafka.TopicPartition]int64, error) {
	return l.list(ctx, func(ctx context.Context, adm *kadm.Client) (kadm.ListedOffsets, error) {
		return adm.ListCommittedOffsets(ctx, topics...)
	})
}

// Behind returns how many records of the topics a group has not settled, of all its
// members: those between its commits and the ends.
func (l *Lister) Behind(ctx context.Context, group string, topics ...string) (records int64, err error) {
	adm, err := l.admin()
	if err != nil {
		return 0, err
	}
	asked, cancel := context.WithTimeout(ctx, listTimeout)
	defer cancel()
	settled, err := adm.FetchOffsetsForTopics(asked, group, topics...)
	if err == nil {
		err = settled.Error()
	}
	if err != nil {
		return 0, fmt.Errorf("read commits of %s: %w", group, kafka.Classify(err))
	}
	starts, err := l.Starts(ctx, topics...) // where there is no commit yet
	if err != nil {
		return 0, err
	}
	ends, err := l.CommittedEnds(ctx, topics...) // last: what is settled meanwhile is not behind
	if err != nil {
		return 0, err
	}
	for at, end := range ends {
		next := starts[at]
		if commit, ok := settled.Lookup(at.Topic, at.Partition); ok {
			next = max(next, commit.At)
		}
		records += max(0, end-next)
	}
	return records, nil
}

// After returns, for every partition, the first offset whose record was written
// at t or later, the end when there is none. No record written at t or later is
// before it, whatever the order of the times.
func (l *Lister) After(ctx context.Context, t time.Time, topics ...string) (map[kafka.TopicPartition]int64, error) {
	return l.list(ctx, func(ctx context.Context, adm *kadm.Client) (kadm.ListedOffsets, error) {
		return adm.ListOffsetsAfterMilli(ctx, t.UnixMilli(), topics...)
	})
}

// Committed returns, for every partition of the topics of which the group has committed an
// offset, the next one that it reads.
func (l *Lister) Committed(ctx context.Context, group string, topics ...string) (map[kafka.TopicPartition]int64, error) {
	adm, err := l.admin()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, listTimeout)
	defer cancel()
	committed, err := adm.FetchOffsetsForTopics(ctx, group, topics...)
	if err == nil {
		err = committed.Error()
	}
	if err != nil {
		return nil, fmt.Errorf("list offsets that %s committed: %w", group, kafka.Classify(err))
	}
	out := map[kafka.TopicPartition]int64{}
	committed.Each(func(o kadm.OffsetResponse) {
		if o.At >= 0 { // else it has committed none
			out[kafka.TopicPartition{Topic: o.Topic, Partition: o.Partition}] = o.At
		}
	})
	return out, nil
}

func (l *Lister) list(ctx context.Context, request func(context.Context, *kadm.Client) (kadm.ListedOffsets, error)) (map[kafka.TopicPartition]int64, error) {
	adm, err := l.admin()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, listTimeout)
	defer cancel()
	listed, err := request(ctx, adm)
	if err == nil {
		err = listed.Error()
	}
	if err != nil {
		return nil, fmt.Errorf("list offsets: %w", kafka.Classify(err))
	}
	out := map[kafka.TopicPartition]int64{}
	listed.Each(func(o kadm.ListedOffset) {
		out[kafka.TopicPartition{Topic: o.Topic, Partition: o.Partition}] = o.Offset
	})
	return out, nil
}

func (l *Lister) admin() (*kadm.Client, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.adm == nil {
		cl, err := l.connect()
		if err != nil {
			return nil, err
		}
		l.adm = kadm.NewClient(cl)
	}
	return l.adm, nil
}

// Diverged is the error of a position next after the end of its partition.
func Diverged(at kafka.TopicPartition, next, end int64) error {
	return fate.Wrap(fate.StartAgain, fmt.Errorf("%w: partition %d of %q ends at %d, position is %d", kafka.ErrDiverged, at.Partition, at.Topic, end, next))
}
