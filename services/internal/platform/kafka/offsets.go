package kafka

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"

	"github.com/mailstream/mailstream/services/internal/platform/fate"
	"github.com/mailstream/mailstream/services/internal/platform/lifecycle"
)

// offsetsTimeout bounds one question for offsets.
const offsetsTimeout = 5 * time.Second

type lister func(ctx context.Context, topics ...string) (kadm.ListedOffsets, error)

// askOffsets asks for one offset of every partition of topics. All of them
// answer or it is an error.
func askOffsets(ctx context.Context, list lister, topics []string) (map[spot]int64, error) {
	ctx, cancel := context.WithTimeout(ctx, offsetsTimeout)
	defer cancel()
	listed, err := list(ctx, topics...)
	if err == nil {
		err = listed.Error()
	}
	if err != nil {
		return nil, fmt.Errorf("list offsets: %w", classify(err))
	}
	out := map[spot]int64{}
	listed.Each(func(o kadm.ListedOffset) { out[spot{o.Topic, o.Partition}] = o.Offset })
	return out, nil
}

// askEnds returns the end of every partition: that of committed records, which
// is what a reader sees.
func askEnds(ctx context.Context, adm *kadm.Client, topics []string) (map[spot]int64, error) {
	return askOffsets(ctx, adm.ListCommittedOffsets, topics)
}

// askStarts returns the first offset of every partition.
func askStarts(ctx context.Context, adm *kadm.Client, topics []string) (map[spot]int64, error) {
	return askOffsets(ctx, adm.ListStartOffsets, topics)
}

// askAfter returns the offset of every partition's first record at or after the
// given time, its end when there is none.
func askAfter(ctx context.Context, adm *kadm.Client, at time.Time, topics []string) (map[spot]int64, error) {
	return askOffsets(ctx, func(ctx context.Context, topics ...string) (kadm.ListedOffsets, error) {
		return adm.ListOffsetsAfterMilli(ctx, at.UnixMilli(), topics...)
	}, topics)
}

// lookout tells a frontier the ends of its partitions, now and then.
type lookout struct {
	adm    *kadm.Client
	front  *frontier
	topics []string
	every  time.Duration
	// seen is told what was seen, and how many records were deleted before they
	// were read. Its error ends run.
	seen func(l look, lost int64) error
	// missed is told that nobody answered.
	missed func(error)
}

// run looks until ctx is done or a fault has the fate halt.
func (l lookout) run(ctx context.Context) error {
	for {
		err := l.look(ctx)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case halts(err):
			return err
		case err != nil:
			l.missed(err)
		}
		if err := lifecycle.Sleep(ctx, l.every); err != nil {
			return err
		}
	}
}

func (l lookout) look(ctx context.Context) error {
	now := look{before: l.front.next(), asked: time.Now()}
	var err error
	if now.ends, err = askEnds(ctx, l.adm, l.topics); err != nil {
		return err
	}
	if l.front.doubtful(now.ends) {
		if now.starts, err = askStarts(ctx, l.adm, l.topics); err != nil {
			return err
		}
	}
	return l.seen(now, l.front.observe(now))
}

// beyondLooksMax is how many looks may find a position after the end of its
// partition before reading is begun anew. The library goes back by itself when
// brokers lost records; it stays where it is when there is nothing to read.
const beyondLooksMax = 5

// diverged ends the reading of a topic that is not the one it was.
func diverged(at spot, next, end int64) error {
	return fate.Wrap(fate.StartAgain, fmt.Errorf("%w: partition %d of %q ends at %d, position is %d", ErrDiverged, at.partition, at.topic, end, next))
}

// ErrDiverged says that a position is beyond the end of its partition: the topic
// is not the one it was read from, or brokers lost records. Fate: start again;
// what was built from the topic is compared with it anew.
var ErrDiverged = errors.New("position is beyond the end of the partition")
