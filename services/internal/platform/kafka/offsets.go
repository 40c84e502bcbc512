package kafka

import (
	"context"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"

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
	// seen is told the positions from before the ends were asked for, and the
	// ends. Its error ends run.
	seen func(before, ends map[spot]int64) error
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
	before, asked := l.front.next(), time.Now()
	ends, err := askEnds(ctx, l.adm, l.topics)
	if err != nil {
		return err
	}
	var starts map[spot]int64
	if l.front.behindOf(ends) { // perhaps because what is missing was deleted
		if starts, err = askStarts(ctx, l.adm, l.topics); err != nil {
			return err
		}
	}
	l.front.observe(asked, ends, starts)
	return l.seen(before, ends)
}
