package counter

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/alerting/internal/window"
	"github.com/mailstream/mailstream/services/internal/platform/fate"
)

// publishRecordsMax and publishBytesMax bound one request to the producer, well
// below its buffer.
const (
	publishRecordsMax = 2_000
	publishBytesMax   = 8 << 20
)

// Publisher writes records durably: when Publish returns nil, all of them are
// acknowledged by all in-sync replicas and know their offsets. Kept by
// produce.Producer.
type Publisher interface {
	Publish(ctx context.Context, recs ...*kgo.Record) error
}

// ratePublisher publishes finished rounds: first the counts, and once these are
// acknowledged a mark that says so, with the offsets a reader must have reached
// to have them all.
type ratePublisher struct {
	topic   string
	pub     Publisher
	offsets []int64 // last written of each partition of topic, -1: none
	unsent  []rate
	sets    []*partitionSet // whose rounds unsent ends
	asOf    time.Time       // the earliest of their beginnings
}

// rate is an encoded record.
type rate struct {
	key   string
	value []byte
}

func newRatePublisher(topic string, partitions int, pub Publisher) ratePublisher {
	return ratePublisher{topic: topic, pub: pub, offsets: slices.Repeat([]int64{-1}, partitions)}
}

// pending says whether a finished round is not yet published.
func (p *ratePublisher) pending() bool { return len(p.sets) > 0 }

// add takes over what the finished round of s changed.
func (p *ratePublisher) add(s *partitionSet) error {
	for _, r := range s.ring.Take() {
		if err := p.put(window.GroupOf(&r), &r); err != nil {
			return err
		}
	}
	if len(p.sets) == 0 || s.opened.Before(p.asOf) {
		p.asOf = s.opened
	}
	p.sets = append(p.sets, s)
	return nil
}

func (p *ratePublisher) put(key string, r *schemas.Rate) error {
	value, err := json.Marshal(r)
	if err != nil {
		return fate.Wrap(fate.Halt, fmt.Errorf("encode rate: %w", err))
	}
	p.unsent = append(p.unsent, rate{key, value})
	return nil
}

// forget leaves the set out of the next mark: another instance counts it now.
func (p *ratePublisher) forget(partition int32) {
	p.sets = slices.DeleteFunc(p.sets, func(s *partitionSet) bool { return s.partition == partition })
}

// publish writes what there is and returns how many records were taken. After an
// error the rest is written by the next call; a record written twice changes
// nothing.
func (p *ratePublisher) publish(ctx context.Context) (n int, err error) {
	for len(p.unsent) > 0 {
		batch := p.batch()
		if err := p.send(ctx, batch); err != nil {
			return n, err
		}
		n += len(batch)
		p.unsent = p.unsent[len(batch):]
	}
	if len(p.sets) == 0 {
		return n, nil
	}
	mark := schemas.RateMark{AsOf: p.asOf, Offsets: p.offsets}
	for _, s := range p.sets {
		mark.Lanes = append(mark.Lanes, s.partition)
	}
	value, err := json.Marshal(schemas.Rate{Series: []schemas.RateSeries{}, Mark: &mark})
	if err != nil {
		return n, fate.Wrap(fate.Halt, fmt.Errorf("encode mark: %w", err))
	}
	if err := p.send(ctx, []rate{{window.MarkKey, value}}); err != nil {
		return n, err
	}
	for _, s := range p.sets {
		s.settled = true
	}
	p.sets = nil
	return n + 1, nil
}

// batch returns the next records to publish, one at least.
func (p *ratePublisher) batch() []rate {
	n, bytes := 0, 0
	for n < min(len(p.unsent), publishRecordsMax) && (n == 0 || bytes+len(p.unsent[n].value) <= publishBytesMax) {
		bytes += len(p.unsent[n].value)
		n++
	}
	return p.unsent[:n]
}

func (p *ratePublisher) send(ctx context.Context, batch []rate) error {
	recs := make([]*kgo.Record, 0, len(batch))
	for _, r := range batch {
		recs = append(recs, &kgo.Record{Topic: p.topic, Key: []byte(r.key), Value: r.value})
	}
	if err := p.pub.Publish(ctx, recs...); err != nil {
		return err
	}
	for _, rec := range recs {
		if n := int(rec.Partition); n < len(p.offsets) {
			p.offsets[n] = max(p.offsets[n], rec.Offset)
		}
	}
	return nil
}
