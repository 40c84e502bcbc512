package evaluator

import (
	"cmp"
	"slices"
	"time"

	"github.com/mailstream/mailstream/schemas"
)

const (
	// stepsMax bounds the steps of one record, about 100 bytes each. Of more, the
	// first ones stay, which say how it began, and the latest.
	stepsMax      = 60
	stepsFirstMax = 10
	// readingsMax bounds the readings of one record, about 100 bytes each. Of more,
	// every second one goes, so that those left cover all of the incident.
	readingsMax = 40
)

// answerDelivered is what a step says of a message that was taken.
const answerDelivered = "delivered"

// extend adds to next, which is about to be written over prev, what changed between
// them. A new incident begins with a timeline of its own.
func extend(prev, next *schemas.Alert) {
	if prev.Incident != next.Incident {
		prev = &schemas.Alert{Notify: prev.Notify}
		next.Steps, next.Readings = nil, nil
	}
	steps := stepsBetween(prev, next)
	if over := len(next.Steps) + len(steps) - stepsMax; over > 0 && len(next.Steps) >= stepsFirstMax+over {
		next.Steps = slices.Delete(slices.Clone(next.Steps), stepsFirstMax, stepsFirstMax+over)
	}
	next.Steps = slices.Concat(next.Steps, steps)
	if next.State != prev.State || next.UpdatedAt.Sub(lastReading(next)) >= refreshInterval {
		reading := schemas.AlertReading{At: next.UpdatedAt, Value: next.Value, Counts: next.Counts}
		next.Readings = slices.Concat(next.Readings, []schemas.AlertReading{reading})
	}
	if len(next.Readings) > readingsMax {
		next.Readings = everySecond(next.Readings)
	}
}

func lastReading(a *schemas.Alert) time.Time {
	if n := len(a.Readings); n > 0 {
		return a.Readings[n-1].At
	}
	return time.Time{}
}

// everySecond leaves out every second reading but the last.
func everySecond(list []schemas.AlertReading) []schemas.AlertReading {
	var out []schemas.AlertReading
	for i, r := range list {
		if i%2 == 0 || i == len(list)-1 {
			out = append(out, r)
		}
	}
	return out
}

// stepsBetween returns what happened between two records of one incident.
func stepsBetween(prev, next *schemas.Alert) []schemas.AlertStep {
	var steps []schemas.AlertStep
	add := func(s schemas.AlertStep) {
		if s.At.IsZero() {
			s.At = next.UpdatedAt
		}
		steps = append(steps, s)
	}
	if next.State != prev.State {
		add(schemas.AlertStep{At: next.StateSince, Kind: schemas.StepState, State: next.State, Detail: string(next.Ended)})
	}
	if next.Flapping && !prev.Flapping {
		add(schemas.AlertStep{Kind: schemas.StepFlapping})
	}
	for _, id := range next.SilencedBy {
		if !slices.Contains(prev.SilencedBy, id) {
			add(schemas.AlertStep{Kind: schemas.StepSilenced, Detail: id})
		}
	}
	for _, id := range prev.SilencedBy {
		if !slices.Contains(next.SilencedBy, id) {
			add(schemas.AlertStep{Kind: schemas.StepUnsilenced, Detail: id})
		}
	}
	if next.InhibitedBy != prev.InhibitedBy {
		if prev.InhibitedBy != "" {
			add(schemas.AlertStep{Kind: schemas.StepUninhibited, Detail: prev.InhibitedBy})
		}
		if next.InhibitedBy != "" {
			add(schemas.AlertStep{Kind: schemas.StepInhibited, Detail: next.InhibitedBy})
		}
	}
	if ack := next.Acknowledged; ack != nil && (prev.Acknowledged == nil || *prev.Acknowledged != *ack) {
		add(schemas.AlertStep{At: ack.At, Kind: schemas.StepAcknowledged, By: ack.By, Detail: ack.Note})
	}
	return append(steps, answers(prev.Notify, next.Notify)...)
}

// answers returns what receivers said since. An answer that repeats the one before
// is none.
func answers(prev, next []schemas.Notification) []schemas.AlertStep {
	var steps []schemas.AlertStep
	for _, n := range next {
		i := slices.IndexFunc(prev, func(p schemas.Notification) bool { return p.Seq == n.Seq })
		var before schemas.Notification
		if i >= 0 {
			before = prev[i]
		}
		step := schemas.AlertStep{Kind: schemas.StepMessage, Receiver: n.Receiver, Detail: n.Kind}
		switch {
		case !n.SentAt.IsZero() && before.SentAt.IsZero():
			step.At, step.Answer = n.SentAt, answerDelivered
		case n.SentAt.IsZero() && n.LastAnswer != before.LastAnswer, n.Failed != before.Failed:
			step.At, step.Answer = n.TriedAt, cmp.Or(n.Failed, n.LastAnswer)
		default:
			continue
		}
		steps = append(steps, step)
	}
	return steps
}
