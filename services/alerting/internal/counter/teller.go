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
// kafka.Producer.
type Publisher interface {
	Publish(ctx context.Context, recs ...*kgo.Record) error
}

// teller publishes finished rounds: first the counts, and once these are
// acknowledged a mark that says so, with the offsets a reader must have reached
// to have them all.
type teller struct {
	topic   string
	pub     Publisher
	offsets []int64 // last written of each partition of topic, -1: none
	unsent  []rate
	lanes   []*lane   // whose rounds unsent ends
	asOf    time.Time // the earliest of their beginnings
}

// rate is an encoded record.
type rate struct {
	key   string
	value []byte
}

func newTeller(topic string, partitions int, pub Publisher) teller {
	return teller{topic: topic, pub: pub, offsets: slices.Repeat([]int64{-1}, partitions)}
}

// pending says whether a finished round is not yet told.
func (t *teller) pending() bool { return len(t.lanes) > 0 }

// add takes over what the finished round of l changed.
func (t *teller) add(l *lane) error {
	for _, r := range l.ring.Take() {
		if err := t.put(window.GroupOf(&r), &r); err != nil {
			return err
		}
	}
	if len(t.lanes) == 0 || l.opened.Before(t.asOf) {
		t.asOf = l.opened
	}
	t.lanes = append(t.lanes, l)
	return nil
}

func (t *teller) put(key string, r *schemas.Rate) error {
	value, err := json.Marshal(r)
	if err != nil {
		return fate.Wrap(fate.Halt, fmt.Errorf("encode rate: %w", err))
	}
	t.unsent = append(t.unsent, rate{key, value})
	return nil
}

// forget leaves the given lane out of the next mark: it is somebody else's.
func (t *teller) forget(partition int32) {
	t.lanes = slices.DeleteFunc(t.lanes, func(l *lane) bool { return l.partition == partition })
}

// publish writes what there is and returns how many records were taken. After an
// error the rest is written by the next call; a record written twice changes
// nothing.
func (t *teller) publish(ctx context.Context) (n int, err error) {
	for len(t.unsent) > 0 {
		batch := t.batch()
		if err := t.send(ctx, batch); err != nil {
			return n, err
		}
		n += len(batch)
		t.unsent = t.unsent[len(batch):]
	}
	if len(t.lanes) == 0 {
		return n, nil
	}
	mark := schemas.RateMark{AsOf: t.asOf, Offsets: t.offsets}
	for _, l := range t.lanes {
		mark.Lanes = append(mark.Lanes, l.partition)
	}
	value, err := json.Marshal(schemas.Rate{Series: []schemas.RateSeries{}, Mark: &mark})
	if err != nil {
		return n, fate.Wrap(fate.Halt, fmt.Errorf("encode mark: %w", err))
	}
	if err := t.send(ctx, []rate{{window.MarkKey, value}}); err != nil {
		return n, err
	}
	for _, l := range t.lanes {
		l.settled = true
	}
	t.lanes = nil
	return n + 1, nil
}

// batch returns the next records to publish, one at least.
func (t *teller) batch() []rate {
	n, bytes := 0, 0
	for n < min(len(t.unsent), publishRecordsMax) && (n == 0 || bytes+len(t.unsent[n].value) <= publishBytesMax) {
		bytes += len(t.unsent[n].value)
		n++
	}
	return t.unsent[:n]
}

func (t *teller) send(ctx context.Context, batch []rate) error {
	recs := make([]*kgo.Record, 0, len(batch))
	for _, r := range batch {
		recs = append(recs, &kgo.Record{Topic: t.topic, Key: []byte(r.key), Value: r.value})
	}
	if err := t.pub.Publish(ctx, recs...); err != nil {
		return err
	}
	for _, rec := range recs {
		if p := int(rec.Partition); p < len(t.offsets) {
			t.offsets[p] = max(t.offsets[p], rec.Offset)
		}
	}
	return nil
}
