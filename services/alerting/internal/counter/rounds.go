package counter

import (
	"fmt"
	"maps"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"go.uber.org/zap"

	"github.com/mailstream/mailstream/services/alerting/internal/window"
	"github.com/mailstream/mailstream/services/internal/platform/kafka"
	"github.com/mailstream/mailstream/services/internal/platform/telemetry"
)

// stuckAfter is when a round that reads nothing makes us ask whether what it
// waits for still exists.
const stuckAfter = 5 * time.Second

// rounds is the counting without any I/O: ends of topics and records go in; which
// partitions to read, and the sets whose round is complete, come out.
type rounds struct {
	prefix    string
	window    time.Duration
	seriesMax int
	log       *zap.Logger // throttled
	met       *metrics
	sets      map[int32]*partitionSet
	decoder   decoder
	newest    atomic.Int64 // when the latest event that was read was written, in milliseconds
}

// oldest is the first pane that is still counted.
func (r *rounds) oldest(now time.Time) window.Pane { return window.First(now, r.window) }

// add begins with the given partition numbers at offsets, which it returns for
// their partitions.
func (r *rounds) add(numbers []int32, offsets map[kafka.TopicPartition]int64) (map[kafka.TopicPartition]int64, error) {
	from, made := make(map[kafka.TopicPartition]int64), make(map[int32]*partitionSet, len(numbers))
	for _, n := range numbers {
		s := newPartitionSet(n, r.prefix, r.seriesMax)
		for _, in := range s.inputs {
			offset, ok := offsets[in.at]
			if !ok {
				return nil, fmt.Errorf("list offsets: no partition %d in %q", n, in.at.Topic)
			}
			in.next, from[in.at] = offset, offset
		}
		made[n] = s
	}
	maps.Copy(r.sets, made)
	return from, nil
}

// remove forgets a partition number and returns its partitions, none when it was
// not counted.
func (r *rounds) remove(number int32) []kafka.TopicPartition {
	s := r.sets[number]
	if s == nil {
		return nil
	}
	delete(r.sets, number)
	partitions := make([]kafka.TopicPartition, 0, len(s.inputs))
	for _, in := range s.inputs {
		partitions = append(partitions, in.at)
	}
	return partitions
}

// begin opens a round up to ends in each set that has none, and returns the paused
// partitions that have room for records now.
func (r *rounds) begin(now time.Time, ends map[kafka.TopicPartition]int64) (resume []kafka.TopicPartition) {
	for _, s := range r.sets {
		if s.open {
			continue
		}
		s.ring.Expire(r.oldest(now))
		resume = append(resume, s.begin(now, ends, func(o window.Observation) { r.count(s, o, now) })...)
	}
	return resume
}

// read takes one record, read at the time polled of the machine's clock, and says
// whether its partition is to be paused.
func (r *rounds) read(rec *kgo.Record, now, polled time.Time) (pause bool) {
	s := r.sets[rec.Partition]
	if s == nil {
		return false
	}
	s.moved = polled
	in := s.input(rec.Topic)
	if in == nil {
		return false
	}
	fresh, within := in.take(rec, s.open)
	if !fresh {
		return false
	}
	o, ok := r.observe(rec, in.kind)
	switch {
	case !ok:
		return false
	case within:
		r.count(s, o, now)
		return false
	}
	return in.hold(rec.Offset, o)
}

// observe decodes what is to be counted and finishes what is not.
func (r *rounds) observe(rec *kgo.Record, kind window.Kind) (window.Observation, bool) {
	switch {
	case rec.Attrs.IsControl():
		r.finished(marker)
		return window.Observation{}, false
	case isReplay(rec):
		r.finished(replayed)
		return window.Observation{}, false
	}
	r.newest.Store(max(r.newest.Load(), rec.Timestamp.UnixMilli()))
	o, skewed, err := r.decoder.decode(rec, kind)
	if err != nil {
		// Analytics parks it as a dead letter; here it only cannot be counted.
		r.finished(unreadable)
		r.log.Debug("event record not readable", telemetry.Topic(rec.Topic), telemetry.Partition(rec.Partition), telemetry.Offset(rec.Offset))
		return o, false
	}
	if skewed {
		r.met.skewed.Inc()
	}
	return o, true
}

func (r *rounds) count(s *partitionSet, o window.Observation, now time.Time) {
	switch s.ring.Add(o, r.oldest(now)) {
	case window.Counted:
		r.finished(counted)
	case window.Duplicate:
		r.finished(duplicate)
	case window.Late:
		r.finished(late)
	case window.Keyless:
		r.finished(keyless)
	}
}

func (r *rounds) finished(o outcome) { r.met.finished[o].Inc() }

// finish ends the rounds that are complete and returns their sets.
func (r *rounds) finish(now time.Time) (done []*partitionSet) {
	age := time.Duration(0)
	for _, s := range r.sets {
		if !s.opened.IsZero() {
			age = max(age, now.Sub(s.opened)) // also while no further round can begin
		}
		if s.complete() {
			s.open = false
			r.met.rounds.Observe(now.Sub(s.opened).Seconds())
			done = append(done, s)
		}
	}
	r.met.age.Set(age.Seconds())
	return done
}

// stuck says whether a round waits for records that do not come.
func (r *rounds) stuck() bool {
	for _, s := range r.sets {
		if s.open && !s.complete() && time.Since(s.moved) > stuckAfter {
			return true
		}
	}
	return false
}

// skip goes on from starts where the records before are deleted, and returns from
// where every partition is to be read.
func (r *rounds) skip(starts map[kafka.TopicPartition]int64) map[kafka.TopicPartition]int64 {
	from := make(map[kafka.TopicPartition]int64)
	for _, s := range r.sets {
		s.moved = time.Now()
		for _, in := range s.inputs {
			in.next = max(in.next, starts[in.at])
			in.paused, from[in.at] = false, in.next
		}
	}
	return from
}

// settled says whether every set has published its first round.
func (r *rounds) settled() bool {
	for _, s := range r.sets {
		if !s.settled {
			return false
		}
	}
	return true
}
