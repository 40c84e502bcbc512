package evaluator

import (
	"time"

	"github.com/mailstream/mailstream/services/alerting/internal/metric"
	"github.com/mailstream/mailstream/services/alerting/internal/rule"
	"github.com/mailstream/mailstream/services/alerting/internal/slow"
)

// blindAfter is how long counts of a set of partitions may be too old before people hear of it: a
// restart of a broker or of the other instances is over by then.
const blindAfter = 5 * time.Minute

// blindFor is how long they must have been too old by the machine's clock, too: when the
// clock on the wall jumps, they are until the next round.
const blindFor = 5 * time.Second

// sayBlind begins and ends the incident not_judged of the stream. It takes the way of a
// reading by SQL, which waits for no counts; of all instances the one that owns those
// rules reports it, and every instance knows how far all sets of partitions are.
func (e *Evaluator) sayBlind(stale int, now time.Time) {
	switch {
	case stale == 0:
		e.blindSince = time.Time{}
	case e.blindSince.IsZero():
		e.blindSince, e.blindSeen = now, time.Now()
	}
	labels, gone, sets := map[string]string{metric.All: metric.OfStream}, int64(0), int64(e.opt.Kafka.Topics.Partitions)
	if stale > 0 && now.Sub(e.blindSince) >= blindAfter && time.Since(e.blindSeen) >= blindFor {
		gone = int64(stale)
	}
	a, _ := e.book.Get(rule.Fingerprint(rule.NotJudged().Name, labels))
	if active := (rule.Status{State: a.State}).Active(); gone == 0 && !active || stale > 0 && gone == 0 {
		return // also after a takeover: what is blind holds until it is known better
	}
	reading := rule.Reading{Now: now, Part: gone, Total: sets, Fresh: sets}
	e.Take(slow.Round{Found: []slow.Found{{Rule: rule.NotJudged(), Labels: labels, Reading: reading}}})
}
