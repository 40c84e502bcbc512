package kafkatest

import (
	"fmt"
	"sync"

	"github.com/twmb/franz-go/pkg/kgo"
)

// Topics of Start that tests use: two of events and a compacted one.
const (
	Bounced    = "email.bounced"
	Opened     = "email.opened"
	Suppressed = "email.suppressions"
)

// Record returns the n-th record for topic; its key decides the partition.
func Record(topic string, n int) *kgo.Record {
	return &kgo.Record{Topic: topic, Key: fmt.Appendf(nil, "key-%d", n%37), Value: fmt.Appendf(nil, "value-%d", n)}
}

// Records returns the first n records for topic.
func Records(topic string, n int) []*kgo.Record {
	recs := make([]*kgo.Record, n)
	for i := range recs {
		recs[i] = Record(topic, i)
	}
	return recs
}

// Ledger notes which records were handled, and how often.
type Ledger struct {
	mu     sync.Mutex
	seen   map[place]int
	prefix map[place]int64 // offset 0: next offset not handled, by topic and partition
}

type place struct {
	topic     string
	partition int32
	offset    int64
}

// NewLedger returns an empty ledger.
func NewLedger() *Ledger { return &Ledger{seen: map[place]int{}, prefix: map[place]int64{}} }

// Note notes that recs were handled once more.
func (l *Ledger) Note(recs []*kgo.Record) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, r := range recs {
		l.seen[place{r.Topic, r.Partition, r.Offset}]++
		part := place{r.Topic, r.Partition, 0}
		for l.seen[place{r.Topic, r.Partition, l.prefix[part]}] > 0 {
			l.prefix[part]++
		}
	}
}

// Handled returns the number of different records.
func (l *Ledger) Handled() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.seen)
}

// Repeated returns how many times a record was handled after its first time.
func (l *Ledger) Repeated() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := 0
	for _, times := range l.seen {
		n += times - 1
	}
	return n
}

// HandledUpTo returns the first offset of the partition that was not handled.
func (l *Ledger) HandledUpTo(topic string, partition int32) int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.prefix[place{topic, partition, 0}]
}
