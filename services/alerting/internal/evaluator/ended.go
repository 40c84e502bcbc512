package evaluator

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/alerting/internal/book"
	"github.com/mailstream/mailstream/services/alerting/internal/controls"
	"github.com/mailstream/mailstream/services/alerting/internal/rule"
	"github.com/mailstream/mailstream/services/internal/platform/fate"
)

// sweepInterval is how often controls that are no longer kept are looked for.
const sweepInterval = 10 * time.Minute

// replaced returns the records of incidents that are over and whose place the
// alerts, about to be written, take.
func (e *Evaluator) replaced(alerts []schemas.Alert) (ended []schemas.Alert) {
	for _, a := range alerts {
		if prev, known := e.book.Get(a.Fingerprint); known && prev.Incident != a.Incident {
			ended = append(ended, prev)
		}
	}
	return ended
}

// keepEnded keeps the last records of incidents that people heard of in the topic
// of controls, so that their timelines outlive them. It returns false when that
// has to be tried another time.
func (e *Evaluator) keepEnded(ctx context.Context, ended []schemas.Alert) bool {
	recs := make([]*kgo.Record, 0, len(ended))
	for _, a := range ended {
		if _, kept := e.opt.Controls.Ended(a.Incident); kept || (rule.Status{State: a.State}).Active() || a.Ended == schemas.EndLapsed {
			continue
		}
		a.Notify = slices.Clone(a.Notify)
		for i := range a.Notify {
			a.Notify[i].Facts = nil
		}
		rec, err := controls.Record(e.topics.controls, schemas.AlertControl{Ended: &a})
		if err != nil {
			e.stumbled(err)
			continue
		}
		recs = append(recs, rec)
	}
	return e.publish(ctx, "keep ended incidents", recs)
}

// publish writes recs. It returns false when that has to be tried another time. What
// will never be taken is passed over: it is history, and must not stop alerts.
func (e *Evaluator) publish(ctx context.Context, what string, recs []*kgo.Record) bool {
	for batch := range slices.Chunk(recs, writeMax) {
		err := e.pub.Publish(ctx, batch...)
		if err != nil && ctx.Err() == nil {
			e.stumbled(fmt.Errorf("%s: %w", what, err))
		}
		if err != nil && !fate.Final(err) {
			return false
		}
	}
	return true
}

// forget takes alerts that are over out of the book, and keeps their incidents.
func (e *Evaluator) forget(ctx context.Context, ended []schemas.Alert) {
	if !e.keepEnded(ctx, ended) {
		return
	}
	tombstones := make([]*kgo.Record, 0, len(ended))
	for _, a := range ended {
		tombstones = append(tombstones, book.Tombstone(e.topics.alerts, a.Fingerprint))
	}
	e.publish(ctx, "forget ended alerts", tombstones)
}

// sweep deletes controls that are no longer kept. Of all instances the one does it
// that has the partition of this name assigned.
func (e *Evaluator) sweep(ctx context.Context, now time.Time) {
	if now.Before(e.sweepAt) || e.parts[e.place(e.topics.controls)] == nil {
		return
	}
	e.sweepAt = now.Add(sweepInterval)
	known := make(map[string]bool)
	e.book.All(func(a *schemas.Alert) bool { known[a.Incident] = true; return false })
	keys := e.opt.Controls.Outdated(now, func(incident string) bool { return known[incident] })
	recs := make([]*kgo.Record, 0, len(keys))
	for _, key := range keys {
		recs = append(recs, controls.Tombstone(e.topics.controls, key))
	}
	e.publish(ctx, "delete old controls", recs)
}
