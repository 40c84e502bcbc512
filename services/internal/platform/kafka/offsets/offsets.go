// Package offsets knows where partitions begin and end, and how far the reading
// of them is: a Lister asks the brokers, a Tracker holds the positions of one
// reader, a Monitor brings the two together. It reads no record and commits
// nothing.
package offsets

import (
	"context"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/mailstream/mailstream/services/internal/platform/fate"
	"github.com/mailstream/mailstream/services/internal/platform/kafka"
)

// listTimeout bounds one request for offsets.
const listTimeout = 5 * time.Second

// Lister asks for one offset of every partition of the given topics. All of them
// answer or it is an error, which is classified.
type Lister struct{ adm *kadm.Client }

// NewLister returns a lister that asks with cl.
func NewLister(cl *kgo.Client) Lister { return Lister{kadm.NewClient(cl)} }

// Starts returns the first offset of every partition.
func (l Lister) Starts(ctx context.Context, topics ...string) (map[kafka.TopicPartition]int64, error) {
	return list(ctx, l.adm.ListStartOffsets, topics)
}

// Ends returns the end of every partition, the high watermark.
func (l Lister) Ends(ctx context.Context, topics ...string) (map[kafka.TopicPartition]int64, error) {
	return list(ctx, l.adm.ListEndOffsets, topics)
}

// CommittedEnds returns the end of every partition as a reader of committed
// records sees it, the last stable offset.
func (l Lister) CommittedEnds(ctx context.Context, topics ...string) (map[kafka.TopicPartition]int64, error) {
	return list(ctx, l.adm.ListCommittedOffsets, topics)
}

// After returns, for every partition, the first offset whose record was written
// at t or later, the end when there is none. Nothing written at t or later lies
// before it, whatever the order of the times.
func (l Lister) After(ctx context.Context, t time.Time, topics ...string) (map[kafka.TopicPartition]int64, error) {
	return list(ctx, func(ctx context.Context, topics ...string) (kadm.ListedOffsets, error) {
		return l.adm.ListOffsetsAfterMilli(ctx, t.UnixMilli(), topics...)
	}, topics)
}

func list(ctx context.Context, request func(context.Context, ...string) (kadm.ListedOffsets, error), topics []string) (map[kafka.TopicPartition]int64, error) {
	ctx, cancel := context.WithTimeout(ctx, listTimeout)
	defer cancel()
	listed, err := request(ctx, topics...)
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

// Diverged is the error of a position next after the end of its partition.
func Diverged(at kafka.TopicPartition, next, end int64) error {
	return fate.Wrap(fate.StartAgain, fmt.Errorf("%w: partition %d of %q ends at %d, position is %d", kafka.ErrDiverged, at.Partition, at.Topic, end, next))
}
