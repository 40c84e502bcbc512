package evaluator

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/alerting/internal/rule"
	"github.com/mailstream/mailstream/services/alerting/internal/slow"
	"github.com/mailstream/mailstream/services/internal/platform/lifecycle"
	"github.com/mailstream/mailstream/services/internal/platform/telemetry"
)

const (
	// holdMax is how long the message about a spike waits for who carries it. People
	// have it within 2 s of the crossing, of which counting takes up to one.
	holdMax = 700 * time.Millisecond
	// againAfter is when ClickHouse is asked once more while messages wait: analytics
	// writes every half a second.
	againAfter = 200 * time.Millisecond
	// explainedMin is the share of the blocks that must be stored for an answer to be final.
	explainedMin = 0.8
	// asksMax bounds the questions about one incident that are answered, askedMax those
	// that wait.
	asksMax, askedMax = 3, 10
	// heldWait is how long the loop reads rates while messages wait.
	heldWait = 20 * time.Millisecond
)

// Explainer says who carries spikes. Kept by slow.Explainer.
type Explainer interface {
	// Explain returns, in their order, what is known of the spikes as of now.
	Explain(ctx context.Context, spikes []slow.Spike, now time.Time) ([]slow.Carried, error)
}

// question is about one incident.
type question struct {
	slow.Spike
	fingerprint, incident string
	blocked               int64     // that the stream has counted
	until                 time.Time // by the machine's clock; messages go out then
}

// answer is what came of a question.
type answer struct {
	question
	slow.Carried
	known bool // ClickHouse answered
	final bool // nothing better comes while messages wait
}

// explaining are questions on their way to the task that asks, and the answers back.
type explaining struct {
	wake chan struct{} // has a value when there are questions

	mu        sync.Mutex
	questions []question // guarded by mu
	answers   []answer   // guarded by mu
	away      bool       // the last question failed: no message waits; guarded by mu
}

// asks is what was asked about the present incident of an alert.
type asks struct {
	incident string
	n        int
	done     bool
}

// explain asks who carries the incidents that were written, the loudest first, and holds
// the messages that they owe. Those beyond askedMax say it without.
func (e *Evaluator) explain(written []*draft) {
	if e.opt.Explainer == nil {
		return
	}
	written = slices.Clone(written)
	slices.SortStableFunc(written, func(a, b *draft) int {
		return cmp.Or(cmp.Compare(owing(&b.alert), owing(&a.alert)), cmp.Compare(b.alert.Counts.Blocked, a.alert.Counts.Blocked))
	})
	x := &e.explaining
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, d := range written {
		a := &d.alert
		i := slices.IndexFunc(e.opt.Rules, func(r rule.Rule) bool { return r.Name == a.Rule })
		asked := e.asked[a.Fingerprint]
		if asked.incident != a.Incident {
			asked = asks{incident: a.Incident}
		}
		if a.Group == slow.Group || i < 0 || !d.over || a.State != schemas.AlertFiring || asked.done || asked.n >= asksMax || len(x.questions) >= askedMax {
			continue
		}
		asked.n++
		e.asked[a.Fingerprint] = asked
		q := question{Spike: slow.Spike{Rule: e.opt.Rules[i], Labels: a.Labels}, fingerprint: a.Fingerprint, incident: a.Incident, blocked: a.Counts.Blocked}
		if q.until = time.Now(); d.event == rule.Fired && !x.away {
			q.until = q.until.Add(holdMax)
			e.held[a.Fingerprint] = q.until
		}
		x.questions = append(x.questions, q)
	}
	select {
	case x.wake <- struct{}{}:
	default:
	}
}

// owing is 1 for an alert that owes somebody a message, else 0.
func owing(a *schemas.Alert) int {
	if slices.ContainsFunc(a.Notify, schemas.Notification.Owed) {
		return 1
	}
	return 0
}

// runExplainer asks until ctx is done.
func (e *Evaluator) runExplainer(ctx context.Context) error {
	x := &e.explaining
	for {
		select {
		case <-x.wake:
		case <-ctx.Done():
			return nil
		}
		for open := x.take(); len(open) > 0 && ctx.Err() == nil; {
			open = e.ask(ctx, open)
			if len(open) > 0 {
				_ = lifecycle.Sleep(ctx, againAfter) // the loop sees that ctx is done
			}
			open = append(open, x.take()...)
		}
	}
}

// take returns the questions that came.
func (x *explaining) take() []question {
	x.mu.Lock()
	defer x.mu.Unlock()
	questions := x.questions
	x.questions = nil
	return questions
}

// ask asks once and returns what is worth asking again at once.
func (e *Evaluator) ask(ctx context.Context, open []question) (again []question) {
	spikes := make([]slow.Spike, 0, len(open))
	for _, q := range open {
		spikes = append(spikes, q.Spike)
	}
	carried, err := e.opt.Explainer.Explain(ctx, spikes, e.now())
	if err != nil && ctx.Err() == nil {
		e.often.Warn("who carries a spike could not be read: messages go out without it", telemetry.Rows(len(open)), telemetry.Err(err))
	}
	now, x := time.Now(), &e.explaining
	x.mu.Lock()
	defer x.mu.Unlock()
	x.away = err != nil
	for i, q := range open {
		a := answer{question: q, known: err == nil, final: true}
		if a.known {
			a.Carried = carried[i]
			if a.final = enough(&a) || !now.Add(againAfter).Before(q.until); !a.final {
				again = append(again, q)
				continue
			}
		}
		x.answers = append(x.answers, a)
	}
	return again
}

// enough says whether ClickHouse had most of what the stream has counted.
func enough(a *answer) bool { return float64(a.Stored) >= explainedMin*float64(a.blocked) }

// takeAnswers puts what was found out into the records and lets the messages go that
// waited for it, or waited long enough.
func (e *Evaluator) takeAnswers(ctx context.Context) error {
	x := &e.explaining
	x.mu.Lock()
	answers := x.answers
	x.answers = nil
	x.mu.Unlock()
	var changed []schemas.Alert
	for _, got := range answers {
		e.countAnswer(&got)
		if asked := e.asked[got.fingerprint]; asked.incident == got.incident {
			if asked.done = got.known && enough(&got); !got.known {
				asked.n-- // it was not an answer
			}
			e.asked[got.fingerprint] = asked
		}
		a, known := e.book.Get(got.fingerprint)
		if p := e.parts[e.place(a.Group)]; !known || p == nil || !p.settled || !e.carriedBy(&a, &got) {
			e.release(got.fingerprint)
			continue
		}
		changed = append(changed, a)
	}
	for batch := range slices.Chunk(changed, writeMax) {
		won, err := e.write(ctx, batch)
		if err != nil {
			return err
		}
		for i := range batch {
			a := &batch[i]
			if l, ok := e.live[a.Fingerprint]; ok && won[i] && l.version == a.Version-1 {
				e.live[a.Fingerprint] = live{version: a.Version, status: l.status}
			}
			e.release(a.Fingerprint)
		}
	}
	for fingerprint, until := range e.held {
		if !time.Now().Before(until) {
			e.release(fingerprint)
		}
	}
	return nil
}

func (e *Evaluator) countAnswer(got *answer) {
	result := "named"
	switch {
	case !got.known:
		result = "failed"
	case len(got.Carriers) == 0:
		result = "nobody"
	}
	e.met.explained.WithLabelValues(result).Inc()
}

// carriedBy notes in a copy of an alert, and in what it still owes, who carries it. It
// returns false when there is nothing to note.
func (e *Evaluator) carriedBy(a *schemas.Alert, got *answer) bool {
	if a.Incident != got.incident || !(rule.Status{State: a.State}).Open() || len(got.Carriers) == 0 {
		return false
	}
	a.Carriers, a.Writer = got.Carriers, e.opt.Instance
	a.Version++
	a.Notify = slices.Clone(a.Notify)
	for i := range a.Notify {
		if n := &a.Notify[i]; n.Owed() && n.Facts != nil && n.Facts.Incident == a.Incident {
			facts := *n.Facts
			facts.Carriers = got.Carriers
			n.Facts = &facts
		}
	}
	return true
}

// release hands out what an alert owes, if it was held.
func (e *Evaluator) release(fingerprint string) {
	if _, held := e.held[fingerprint]; !held {
		return
	}
	delete(e.held, fingerprint)
	if a, known := e.book.Get(fingerprint); known && e.parts[e.place(a.Group)] != nil {
		e.offer(&a)
	}
}

// forgetAsked drops what was asked about incidents that are over.
func (e *Evaluator) forgetAsked() {
	maps.DeleteFunc(e.asked, func(fingerprint string, was asks) bool {
		a, known := e.book.Get(fingerprint)
		return !known || a.Incident != was.incident || !(rule.Status{State: a.State}).Active()
	})
}
