package counter

import (
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/alerting/internal/window"
	"github.com/mailstream/mailstream/services/internal/platform/kafka"
)

// heldMax bounds the events of one partition that are read before their round
// begins. Beyond it the partition is not fetched until it does. At 300 bytes
// each and three topics, a set holds 4.5 MB at most.
const heldMax = 5_000

// partitionSet is one partition number in all counted topics. It works in rounds: at
// a round's beginning it learns where each topic ends, it counts everything up to
// there and nothing beyond, and only then are the counts published. So a count never
// mixes the present of one topic with the past of another, however far reading
// one of them lags.
type partitionSet struct {
	partition int32
	ring      *window.Ring
	inputs    []*input
	open      bool      // a round is under way
	opened    time.Time // when it, or the last one, began
	moved     time.Time // when it last read something or began a round, by the machine's clock
	settled   bool      // the first round, from a window ago to now, is published
}

// input is one topic of a set.
type input struct {
	at     kafka.TopicPartition
	kind   window.Kind
	next   int64 // offset to read next
	target int64 // end of the topic when the round began
	held   []heldEvent
	paused bool
}

// heldEvent is an event beyond the target.
type heldEvent struct {
	offset int64
	event  window.Observation
}

func newPartitionSet(partition int32, prefix string, seriesMax int) *partitionSet {
	s := &partitionSet{partition: partition, ring: window.NewRing(partition, seriesMax)}
	for _, t := range countedTypes() {
		kind, _ := window.KindOf(t) // true for every counted type
		s.inputs = append(s.inputs, &input{at: kafka.TopicPartition{Topic: schemas.EventTopic(prefix, t), Partition: partition}, kind: kind})
	}
	return s
}

// Topics returns the topics that are counted.
func Topics(prefix string) []string {
	var topics []string
	for _, t := range countedTypes() {
		topics = append(topics, schemas.EventTopic(prefix, t))
	}
	return topics
}

// countedTypes are the types a block rate is made of.
func countedTypes() []schemas.Type {
	return []schemas.Type{schemas.Delivered, schemas.Bounced, schemas.Blocked}
}

// begin opens a round whose targets are ends. It returns the paused partitions that
// have room for records now.
func (s *partitionSet) begin(now time.Time, ends map[kafka.TopicPartition]int64, count func(window.Observation)) (resume []kafka.TopicPartition) {
	s.open, s.opened, s.moved = true, now, time.Now()
	for _, in := range s.inputs {
		in.target = ends[in.at]
		n := 0
		for n < len(in.held) && in.held[n].offset < in.target {
			count(in.held[n].event)
			n++
		}
		in.held = append(in.held[:0], in.held[n:]...)
		if in.paused && len(in.held) < heldMax {
			in.paused = false
			resume = append(resume, in.at)
		}
	}
	return resume
}

// complete says whether everything up to the targets is counted.
func (s *partitionSet) complete() bool {
	for _, in := range s.inputs {
		if in.next < in.target {
			return false
		}
	}
	return s.open
}

// input returns the input of a topic, nil for one that is not counted.
func (s *partitionSet) input(topic string) *input {
	for _, in := range s.inputs {
		if in.at.Topic == topic {
			return in
		}
	}
	return nil
}

// take notes that rec is read and returns whether it belongs into the round
// under way. A record that was read before is not fresh.
func (in *input) take(rec *kgo.Record, open bool) (fresh, within bool) {
	if rec.Offset < in.next {
		return false, false
	}
	in.next = rec.Offset + 1
	return true, open && rec.Offset < in.target
}

// hold keeps an event for the next round and says whether that is enough.
func (in *input) hold(offset int64, o window.Observation) (pause bool) {
	in.held = append(in.held, heldEvent{offset, o})
	if len(in.held) < heldMax || in.paused {
		return false
	}
	in.paused = true
	return true
}
