package offsets

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/mailstream/mailstream/services/internal/platform/kafka"
)

// Unknown is the position of a partition that was assigned without one: the group
// has committed no offset and no record was settled.
const Unknown = -1

// First means the offset of the first record that exists.
const First = -2

// Position is how far the reading of one partition is.
type Position struct {
	kafka.TopicPartition
	// Next is the next offset to settle; Unknown before the first.
	Next int64
	// End is the end of the partition at the last snapshot; 0 before the first.
	End int64
	// FreshAt says how stale the result may be: every record acknowledged before it
	// is settled. Zero until the reader has caught up for the first time.
	FreshAt time.Time
}

// progress is how far the reading of one partition is.
type progress struct {
	next    int64     // next offset to settle, Unknown before the first
	end     int64     // end of the partition at the last snapshot, for the lag in records
	goal    int64     // end to reach next, Unknown when there is none
	goalAt  time.Time // when goal was the end
	freshAt time.Time // every record acknowledged before it is settled; zero: unknown
	beyond  int       // snapshots in a row with next after the end
	gap     [2]int64  // offsets that were skipped since the last snapshot: from, to
}

// Tracker knows how far one reader is, and how stale a result built from its
// records may be. It gets positions and snapshots from others and does no I/O.
// Safe for concurrent use.
type Tracker struct {
	mu         sync.Mutex
	partitions map[kafka.TopicPartition]*progress // guarded by mu
	changed    chan struct{}                      // closed and replaced when a position changes; guarded by mu
}

// NewTracker returns a tracker that knows no partition yet.
func NewTracker() *Tracker {
	return &Tracker{partitions: map[kafka.TopicPartition]*progress{}, changed: make(chan struct{})}
}

// Begin adds a partition that is read from next on.
func (t *Tracker) Begin(at kafka.TopicPartition, next int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.partitions[at] = &progress{next: next, goal: Unknown}
	t.wake()
}

// Drop forgets partitions that this reader does not read any more.
func (t *Tracker) Drop(m map[string][]int32) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for topic, partitions := range m {
		for _, p := range partitions {
			delete(t.partitions, kafka.TopicPartition{Topic: topic, Partition: p})
		}
	}
}

// Clear forgets everything.
func (t *Tracker) Clear() {
	t.mu.Lock()
	defer t.mu.Unlock()
	clear(t.partitions)
}

// Advance notes recs as settled and has every Wait check its condition.
func (t *Tracker) Advance(recs []*kgo.Record) {
	t.mu.Lock()
	defer t.mu.Unlock()
	var last *progress
	var at kafka.TopicPartition
	for _, r := range recs {
		if here := (kafka.TopicPartition{Topic: r.Topic, Partition: r.Partition}); last == nil || here != at {
			at, last = here, t.partitions[here]
		}
		if last != nil {
			last.pass(r.Offset)
			last.next = r.Offset + 1
			last.check()
		}
	}
	t.wake()
}

// wake has every Wait check its condition. The caller holds mu.
func (t *Tracker) wake() {
	close(t.changed)
	t.changed = make(chan struct{})
}

// Snapshot says where partitions began and ended at one moment.
type Snapshot struct {
	Asked  time.Time                      // before the request
	Before map[kafka.TopicPartition]int64 // the positions before the request
	Ends   map[kafka.TopicPartition]int64
	Starts map[kafka.TopicPartition]int64 // nil when they were not requested
}

// Observe takes a snapshot. An end becomes the next goal, unless the present goal
// is not reached yet: under steady writes a goal that moves would never be. It
// returns how many records were deleted before they were read.
func (t *Tracker) Observe(s Snapshot) (lost int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for at, end := range s.Ends {
		r := t.partitions[at]
		if r == nil {
			continue
		}
		r.end = end
		if s.Before[at] > end { // the topic was deleted and created, or brokers lost records
			r.beyond++
			r.goal = Unknown
			continue
		}
		r.beyond = 0
		start := min(s.Starts[at], end)
		if s.Starts != nil {
			lost += max(0, min(r.gap[1], start)-r.gap[0])
			r.gap = [2]int64{}
		}
		if r.next == Unknown && s.Starts != nil && start == end {
			r.next = start
			t.wake()
		}
		if r.next != Unknown && r.next < start {
			r.gap = [2]int64{r.next, start} // the handler may still have some of it
			r.next = start                  // records before start are deleted: none to settle
			t.wake()
		}
		if r.goal == Unknown {
			r.goal, r.goalAt = end, s.Asked
		}
		r.check()
	}
	return lost
}

// needsStarts says whether the next snapshot needs the starts: a position is
// unknown or before its end, or offsets were skipped, perhaps because their records
// are deleted.
func (t *Tracker) needsStarts(ends map[kafka.TopicPartition]int64) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	for at, r := range t.partitions {
		if r.next < ends[at] || r.next == Unknown || r.gap[1] > 0 {
			return true
		}
	}
	return false
}

// Beyond returns a partition whose position was after its end in so many snapshots
// in a row.
func (t *Tracker) Beyond(snapshots int) (at kafka.TopicPartition, next, end int64, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for at, r := range t.partitions {
		if r.beyond >= snapshots {
			return at, r.next, r.end, true
		}
	}
	return kafka.TopicPartition{}, 0, 0, false
}

// pass notes that the record at offset is settled. Transaction markers, compaction
// and deletion leave gaps before it; of several gaps between two snapshots the
// first counts.
func (p *progress) pass(offset int64) {
	switch {
	case p.gap[0] <= offset && offset < p.gap[1]:
		p.gap[0] = offset + 1
	case p.next != Unknown && offset > p.next && p.gap[1] == 0:
		p.gap = [2]int64{p.next, offset}
	}
}

// check notes when the goal is reached. The caller holds mu.
func (p *progress) check() {
	if p.goal != Unknown && p.next >= p.goal {
		p.freshAt, p.goal = p.goalAt, Unknown
	}
}

// Next returns the next offset of every partition.
func (t *Tracker) Next() map[kafka.TopicPartition]int64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	out := make(map[kafka.TopicPartition]int64, len(t.partitions))
	for at, r := range t.partitions {
		out[at] = r.next
	}
	return out
}

// Fresh returns the oldest FreshAt, and false while one is unknown or there is no
// partition.
func (t *Tracker) Fresh() (time.Time, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	var oldest time.Time
	for _, r := range t.partitions {
		if r.freshAt.IsZero() {
			return time.Time{}, false
		}
		if oldest.IsZero() || r.freshAt.Before(oldest) {
			oldest = r.freshAt
		}
	}
	return oldest, !oldest.IsZero()
}

// Behind returns the lag in records, over all partitions.
func (t *Tracker) Behind() int64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	var n int64
	for _, r := range t.partitions {
		switch {
		case r.beyond > 0:
			n += r.end // perhaps none of these records was read
		case r.next != Unknown:
			n += max(0, r.end-r.next)
		}
	}
	return n
}

// Positions returns how far every partition is, in order.
func (t *Tracker) Positions() []Position {
	t.mu.Lock()
	out := make([]Position, 0, len(t.partitions))
	for at, r := range t.partitions {
		out = append(out, Position{TopicPartition: at, Next: r.next, End: r.end, FreshAt: r.freshAt})
	}
	t.mu.Unlock()
	slices.SortFunc(out, func(a, b Position) int {
		return cmp.Or(strings.Compare(a.Topic, b.Topic), cmp.Compare(a.Partition, b.Partition))
	})
	return out
}

// Wait returns nil once the record at offset is settled, the cause of ctx when
// that ends first.
func (t *Tracker) Wait(ctx context.Context, at kafka.TopicPartition, offset int64) error {
	for {
		t.mu.Lock()
		r, changed := t.partitions[at], t.changed
		done := r != nil && r.next > offset
		t.mu.Unlock()
		if done {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}
