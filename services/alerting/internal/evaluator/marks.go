package evaluator

import (
	"context"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/alerting/internal/rule"
	"github.com/mailstream/mailstream/services/alerting/internal/window"
	"github.com/mailstream/mailstream/services/internal/platform/kafka"
	"github.com/mailstream/mailstream/services/internal/platform/kafka/read"
	"github.com/mailstream/mailstream/services/internal/platform/lifecycle"
	"github.com/mailstream/mailstream/services/internal/platform/telemetry"
)

const (
	// staleAfter is how old the report of a counter may be. Judging older counts would
	// find the blocks of a minute whose deliveries are not counted yet.
	staleAfter = 30 * time.Second
	// confirmRounds is how many further rounds of every set of partitions must find a threshold
	// exceeded before it is believed. The counts of different sets, and the events
	// of one webhook, arrive one after the other: half of a burst proves nothing.
	confirmRounds = 2
)

// marks reads how far the counters are. All marks have one key, so they lie in
// one partition, which every instance reads, whichever has it assigned.
type marks struct {
	at     kafka.TopicPartition // where all marks lie
	now    func() time.Time
	reader *read.Reader
	log    *zap.Logger

	mu    sync.Mutex
	list  []schemas.RateMark // the latest, oldest first; guarded by mu
	first int                // number of list[0]; guarded by mu
}

// marksMax bounds the marks kept for partitions that are behind: minutes of them.
const marksMax = 4_096

// run reads until ctx is done, which is not an error. Counters write marks all the
// time: when none comes, reading has stopped and is begun anew.
func (m *marks) run(ctx context.Context) error {
	defer m.reader.Close()
	for ctx.Err() == nil {
		err := retryDelay.Retry(ctx, m.begin, func(attempt int, _ time.Duration, err error) {
			m.log.Warn("marks cannot be read yet", telemetry.Attempt(attempt), telemetry.Err(err))
		})
		if err == nil {
			err = m.follow(ctx)
		}
		if err != nil {
			return lifecycle.UnlessDone(ctx, err)
		}
	}
	return nil
}

// begin reads from the oldest marks that are not stale.
func (m *marks) begin(ctx context.Context) error {
	offsets, err := m.reader.After(ctx, m.now().Add(-staleAfter), m.at.Topic)
	if err != nil {
		return err
	}
	return m.reader.Reset(map[kafka.TopicPartition]int64{m.at: offsets[m.at]})
}

// follow takes marks until none comes any more.
func (m *marks) follow(ctx context.Context) error {
	for last := time.Now(); ctx.Err() == nil && time.Since(last) < stuckAfter; {
		recs, err := m.reader.PollUntil(ctx, time.Now().Add(time.Second), pollRecordsMax)
		if err != nil {
			return err
		}
		for _, rec := range recs {
			if string(rec.Key) != window.MarkKey {
				continue
			}
			if r, err := decode(rec.Value); err == nil && r.Mark != nil {
				m.take(*r.Mark)
				last = time.Now()
			}
		}
	}
	return nil
}

func (m *marks) take(mark schemas.RateMark) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.list) >= marksMax {
		m.list, m.first = append(m.list[:0], m.list[1:]...), m.first+1
	}
	m.list = append(m.list, mark)
}

// next returns the mark numbered n, or the first one after it that is kept, and
// its number.
func (m *marks) next(n int) (mark schemas.RateMark, number int, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	number = max(n, m.first)
	if number-m.first >= len(m.list) {
		return mark, n, false
	}
	return m.list[number-m.first], number, true
}

// setState is how far one set of partitions is in one partition of rates: the counts of its
// latest round that were merged here.
type setState struct {
	asOf  time.Time
	round uint64 // marks followed so far
}

// doubt is a threshold exceeded that is not yet believed.
type doubt struct {
	rule *rule.Rule
	key  window.Key
}

// follow notes the marks whose counts are merged, and returns in how many sets
// of partitions they are too old. While one is, nothing is judged: states hold, and no message is
// sent.
func (e *Evaluator) follow(p *part, now time.Time) (stale int) {
	for {
		mark, number, ok := e.marks.next(p.marked)
		if !ok || !p.reached(mark) {
			break
		}
		p.marked = number + 1
		for _, i := range mark.Lanes {
			if i >= 0 && int(i) < len(p.sets) && mark.AsOf.After(p.sets[i].asOf) {
				p.sets[i].asOf = mark.AsOf
				p.sets[i].round++
			}
		}
	}
	for _, set := range p.sets {
		if now.Sub(set.asOf) > staleAfter {
			stale++
		}
	}
	return stale
}

// behind says whether there are counts to read before p can follow the next mark.
func (e *Evaluator) behind(p *part) bool {
	if p.next < p.goal {
		return true
	}
	mark, _, ok := e.marks.next(p.marked)
	return ok && !p.reached(mark)
}

// reached says whether p has merged all counts of the mark.
func (p *part) reached(mark schemas.RateMark) bool {
	return int(p.number) >= len(mark.Offsets) || mark.Offsets[p.number] < p.next
}

// confirmed says whether a threshold that is exceeded has been so for
// confirmRounds of every set of partitions.
func (p *part) confirmed(d doubt) bool {
	since, ok := p.doubts[d]
	if !ok {
		since = make([]uint64, 0, len(p.sets))
		for _, set := range p.sets {
			since = append(since, set.round)
		}
		p.doubts[d] = since
		return false
	}
	for i, set := range p.sets {
		if set.round < since[i]+confirmRounds {
			return false
		}
	}
	return true
}
