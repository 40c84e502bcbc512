package group

import (
	"slices"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/mailstream/mailstream/services/internal/platform/kafka"
)

// batch is what was polled and not yet settled.
type batch struct {
	recs  []*kgo.Record
	bytes int
}

func (b *batch) add(recs []*kgo.Record) {
	b.recs = append(b.recs, recs...)
	for _, r := range recs {
		b.bytes += kafka.RecordSize(r)
	}
}

// oldest returns the time of the oldest record, Unix milliseconds; 0 without any.
func (b *batch) oldest() int64 {
	var oldest int64
	for _, r := range b.recs {
		if at := r.Timestamp.UnixMilli(); oldest == 0 || at < oldest {
			oldest = at
		}
	}
	return oldest
}

// first returns the offset of each partition's first record.
func (b *batch) first() map[string]map[int32]kgo.EpochOffset {
	out := map[string]map[int32]kgo.EpochOffset{}
	for _, r := range slices.Backward(b.recs) {
		put(out, r, kgo.EpochOffset{Epoch: r.LeaderEpoch, Offset: r.Offset})
	}
	return out
}

// next returns the offset after each partition's last record.
func (b *batch) next() map[string]map[int32]kgo.EpochOffset {
	out := map[string]map[int32]kgo.EpochOffset{}
	for _, r := range b.recs {
		put(out, r, kgo.EpochOffset{Epoch: r.LeaderEpoch, Offset: r.Offset + 1})
	}
	return out
}

func put(m map[string]map[int32]kgo.EpochOffset, r *kgo.Record, o kgo.EpochOffset) {
	if m[r.Topic] == nil {
		m[r.Topic] = map[int32]kgo.EpochOffset{}
	}
	m[r.Topic][r.Partition] = o
}
