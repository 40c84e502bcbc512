package kafka

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// offsetUnknown is the position of a partition that was assigned without one:
// the group has no offset yet and no record was settled.
const offsetUnknown = -1

// Position is how far the reading of one partition is.
type Position struct {
	Topic     string
	Partition int32
	// Next is the next offset to settle; -1 while no record was and the group has
	// no offset.
	Next int64
	// End is the end of the partition when last asked for; 0 before the first answer.
	End int64
	// FreshAt says how old what was read may be: everything acknowledged before it
	// is settled. Zero until the partition was caught up with for the first time.
	FreshAt time.Time
}

// spot is one partition of one topic.
type spot struct {
	topic     string
	partition int32
}

// reach is how far one partition is.
type reach struct {
	next    int64     // next offset to settle, offsetUnknown before the first
	end     int64     // end of the partition when last asked, for the lag in records
	goal    int64     // end to reach next, offsetUnknown when there is none
	goalAt  time.Time // when goal was asked for
	freshAt time.Time // everything acknowledged before it is settled; zero: unknown
	beyond  int       // looks in a row that found next after the end
	gap     [2]int64  // offsets passed over since the last look: from, to
}

// frontier knows how far reading is and how stale what was built from it may
// be. It is told positions and ends; it asks nobody. Safe for concurrent use.
type frontier struct {
	mu      sync.Mutex
	spots   map[spot]*reach // guarded by mu
	changed chan struct{}   // closed and replaced when a position changes; guarded by mu
}

func newFrontier() *frontier {
	return &frontier{spots: map[spot]*reach{}, changed: make(chan struct{})}
}

// begin adds a partition that is read from next on.
func (f *frontier) begin(at spot, next int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.spots[at] = &reach{next: next, goal: offsetUnknown}
	f.wake()
}

// drop forgets partitions that somebody else reads now.
func (f *frontier) drop(m map[string][]int32) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for topic, partitions := range m {
		for _, p := range partitions {
			delete(f.spots, spot{topic, p})
		}
	}
}

// clear forgets everything.
func (f *frontier) clear() {
	f.mu.Lock()
	defer f.mu.Unlock()
	clear(f.spots)
}

// advance notes recs as settled and wakes who waits for them.
func (f *frontier) advance(recs []*kgo.Record) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var last *reach
	var at spot
	for _, r := range recs {
		if here := (spot{r.Topic, r.Partition}); last == nil || here != at {
			at, last = here, f.spots[here]
		}
		if last != nil {
			last.pass(r.Offset)
			last.next = r.Offset + 1
			last.check()
		}
	}
	f.wake()
}

// wake has everybody who waits look again. The caller holds mu.
func (f *frontier) wake() {
	close(f.changed)
	f.changed = make(chan struct{})
}

// look is an answer to where partitions begin and end.
type look struct {
	asked  time.Time
	before map[spot]int64 // the positions when it was asked
	ends   map[spot]int64
	starts map[spot]int64 // nil when they were not asked for
}

// observe takes a look. An end becomes the next goal; a goal not yet reached
// stays, because under steady writes a newer one would never be. It returns how
// many records were deleted before they were read.
func (f *frontier) observe(l look) (lost int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for at, end := range l.ends {
		r := f.spots[at]
		if r == nil {
			continue
		}
		r.end = end
		if l.before[at] > end { // of another life of the topic, or of records that brokers lost
			r.beyond++
			r.goal = offsetUnknown
			continue
		}
		r.beyond = 0
		start := min(l.starts[at], end)
		if l.starts != nil {
			lost += max(0, min(r.gap[1], start)-r.gap[0])
			r.gap = [2]int64{}
		}
		if r.next == offsetUnknown && l.starts != nil && start == end {
			r.next = start
			f.wake()
		}
		if r.next != offsetUnknown && r.next < start {
			r.gap = [2]int64{r.next, start} // what is in hand may still be settled
			r.next = start                  // what was before is deleted: there is nothing to settle
			f.wake()
		}
		if r.goal == offsetUnknown {
			r.goal, r.goalAt = end, l.asked
		}
		r.check()
	}
	return lost
}

// doubtful says whether the starts matter: a position is unknown or before its
// end, or something was passed over; perhaps because it was deleted.
func (f *frontier) doubtful(ends map[spot]int64) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	for at, r := range f.spots {
		if r.next < ends[at] || r.next == offsetUnknown || r.gap[1] > 0 {
			return true
		}
	}
	return false
}

// beyond returns a partition whose position was after its end in so many looks
// in a row.
func (f *frontier) beyond(looks int) (at spot, next, end int64, ok bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for at, r := range f.spots {
		if r.beyond >= looks {
			return at, r.next, r.end, true
		}
	}
	return spot{}, 0, 0, false
}

// pass notes that the record at offset is settled: markers and compaction leave
// gaps before it, deletion does too. Of several between two looks the first
// counts.
func (r *reach) pass(offset int64) {
	switch {
	case r.gap[0] <= offset && offset < r.gap[1]:
		r.gap[0] = offset + 1
	case r.next != offsetUnknown && offset > r.next && r.gap[1] == 0:
		r.gap = [2]int64{r.next, offset}
	}
}

// check notes a reached goal. The caller holds mu.
func (r *reach) check() {
	if r.goal != offsetUnknown && r.next >= r.goal {
		r.freshAt, r.goal = r.goalAt, offsetUnknown
	}
}

// next returns the next offset of every partition.
func (f *frontier) next() map[spot]int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := make(map[spot]int64, len(f.spots))
	for at, r := range f.spots {
		out[at] = r.next
	}
	return out
}

// fresh returns the oldest freshAt, and false while one is unknown or there is
// no partition.
func (f *frontier) fresh() (time.Time, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var oldest time.Time
	for _, r := range f.spots {
		if r.freshAt.IsZero() {
			return time.Time{}, false
		}
		if oldest.IsZero() || r.freshAt.Before(oldest) {
			oldest = r.freshAt
		}
	}
	return oldest, !oldest.IsZero()
}

// behind returns how many records are known and not settled.
func (f *frontier) behind() int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	var n int64
	for _, r := range f.spots {
		switch {
		case r.beyond > 0:
			n += r.end // none of them was read, as far as we know
		case r.next != offsetUnknown:
			n += max(0, r.end-r.next)
		}
	}
	return n
}

// positions returns how far every partition is, in order.
func (f *frontier) positions() []Position {
	f.mu.Lock()
	out := make([]Position, 0, len(f.spots))
	for at, r := range f.spots {
		out = append(out, Position{Topic: at.topic, Partition: at.partition, Next: r.next, End: r.end, FreshAt: r.freshAt})
	}
	f.mu.Unlock()
	slices.SortFunc(out, func(a, b Position) int {
		return cmp.Or(strings.Compare(a.Topic, b.Topic), cmp.Compare(a.Partition, b.Partition))
	})
	return out
}

// wait returns nil once the record at offset is settled, the cause of ctx when
// that ends first.
func (f *frontier) wait(ctx context.Context, at spot, offset int64) error {
	for {
		f.mu.Lock()
		r, changed := f.spots[at], f.changed
		done := r != nil && r.next > offset
		f.mu.Unlock()
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
