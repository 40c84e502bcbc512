package outbox

import (
	"slices"
	"time"

	"github.com/mailstream/mailstream/schemas"
)

// restMax is how long an outbox with nothing to do rests at most.
const restMax = time.Minute

// entry is a queued notice. Guarded by the outbox's mu.
type entry struct {
	Notice
	due      time.Time // not tried before
	busy     bool      // under way
	ended    bool      // delivered or given up
	refused  bool      // the last answer was a refusal
	message  bool      // of this message only
	refusals int
	noted    struct { // what was reported last
		answer string
		at     time.Time
	}
}

// verdict is what the answer to one attempt means.
type verdict struct {
	outcome string // attemptDelivered, attemptFailed or attemptRefused
	answer  string // one word; "" when delivered
	message bool   // only this message was refused
	pause   time.Duration
}

// settle notes an attempt of which v is the outcome. stale says that it was the
// last one.
func (e *entry) settle(v verdict, stale bool, now time.Time) Result {
	e.busy = false
	e.Attempts++
	e.refused, e.message = v.outcome == attemptRefused, v.message
	r := Result{ID: e.ID(), Partition: e.Partition, At: now, Attempts: e.Attempts, Answer: v.answer, Refused: e.refused}
	switch {
	case v.outcome == attemptDelivered:
		e.ended = true
	case stale:
		e.ended, r.Failed = true, v.answer
	case e.refused:
		e.refusals++
		e.due = now.Add(refusedDelay(e.refusals))
		r.NextTry = e.due
	default:
		e.due = now.Add(v.pause)
		r.NextTry = e.due
	}
	return r
}

// parcel is one notice as it is sent, and the queued ones it stands for.
type parcel struct {
	notice  Notice
	entries []*entry
}

// stale says that it is about an incident that ended long ago.
func (p parcel) stale(now time.Time) bool {
	return p.notice.Kind == schemas.NotifyResolved && now.Sub(p.notice.At) > giveUpAfter
}

// next picks what is sent in one message: the notice that is due for longest,
// and with it all others of its kind when there are enough for a digest. Those of
// one alert wait for each other, those of different alerts do not: one message
// that a receiver chokes on holds back no other. Without any it says when to look
// again.
func next(queue []*entry, terms Terms, now time.Time) (batch []parcel, wait time.Duration) {
	chains := make(map[string][]*entry)
	var heads []*entry
	for _, e := range queue {
		fingerprint := e.Alert.Fingerprint
		if chains[fingerprint] == nil {
			heads = append(heads, e)
		}
		chains[fingerprint] = append(chains[fingerprint], e)
	}
	slices.SortStableFunc(heads, func(a, b *entry) int { return a.due.Compare(b.due) })
	wait = restMax
	for _, head := range heads {
		if until := head.due.Sub(now); until > 0 {
			wait = min(wait, until)
			break
		}
		p := join(chains[head.Alert.Fingerprint])
		if len(batch) < max(terms.DigestMax, 1) && (len(batch) == 0 || p.notice.Kind == batch[0].notice.Kind) {
			batch = append(batch, p)
		}
	}
	if len(batch) > 0 && (terms.DigestMin == 0 || len(batch) < terms.DigestMin) {
		batch = batch[:1]
	}
	return batch, wait
}

// join returns the first notice of an alert; or, when the incident it is about
// has ended meanwhile, its end, whose message then reports both.
func join(chain []*entry) parcel {
	var began *schemas.AlertFacts
	for i, e := range chain {
		if e.Facts.Incident != chain[0].Facts.Incident {
			break
		}
		if e.Kind == schemas.NotifyFiring {
			began = &e.Facts
		}
		if e.Kind == schemas.NotifyResolved {
			p := parcel{notice: e.Notice, entries: chain[:i+1]}
			p.notice.Began = began
			return p
		}
	}
	return parcel{notice: chain[0].Notice, entries: chain[:1]}
}
