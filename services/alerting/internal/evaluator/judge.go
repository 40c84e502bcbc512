package evaluator

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/alerting/internal/rule"
	"github.com/mailstream/mailstream/services/alerting/internal/slow"
	"github.com/mailstream/mailstream/services/alerting/internal/window"
)

// refreshInterval is how often the numbers of an incident under way are written:
// what the API shows is at most this old, and so is a peak after a crash.
const refreshInterval = 30 * time.Second

// seriesPerRecordMax bounds what one record of rates may make us keep.
const seriesPerRecordMax = 10_000

// draft is an alert as it is to be written.
type draft struct {
	alert  schemas.Alert
	status rule.Status
	event  rule.Event
	over   bool // the threshold is exceeded right now
	write  bool // differs from what is written
	muted  bool // another rule's incident hides its messages
	split  window.Split
}

// decode reads a record of rates.
func decode(value []byte) (schemas.Rate, error) {
	var r schemas.Rate
	if err := json.Unmarshal(value, &r); err != nil {
		return r, fmt.Errorf("decode rate: %w", err)
	}
	if (r.Source == "") != (r.Mark != nil) || len(r.Series) > seriesPerRecordMax || r.Partition < 0 || r.Partition >= window.PartitionsMax {
		return r, fmt.Errorf("decode rate: %d series of partition %d", len(r.Series), r.Partition)
	}
	return r, nil
}

// judge steps the rules over the keys that changed; at a tick over all that have
// blocks or an alert.
func (e *Evaluator) judge(ctx context.Context, p *part, now time.Time, tick bool) error {
	if tick {
		e.findActive(p)
		for _, k := range p.table.Hot() {
			p.changed[k] = true
		}
		for k := range p.active {
			p.changed[k] = true
		}
	}
	for d := range p.doubts {
		p.changed[d.key] = true
	}
	var drafts []*draft
	for k := range p.changed {
		for i := range e.opt.Rules {
			if r := &e.opt.Rules[i]; slices.Contains(r.By, k.Dimension) {
				if d := e.draft(p, r, k, now); d != nil {
					drafts = append(drafts, d)
				}
			}
		}
	}
	clear(p.changed)
	if len(drafts) == 0 {
		return nil
	}
	e.notify(p, drafts, now)
	return e.store(ctx, p, drafts)
}

// draft steps one rule over one key. It returns nil when there is nothing to
// write and no one to notify.
func (e *Evaluator) draft(p *part, r *rule.Rule, k window.Key, now time.Time) *draft {
	from := window.First(now, r.Window)
	counts := p.table.Sum(k, from)
	in := rule.Reading{Now: now, Total: counts.Total(), Part: int64(counts.Blocked)}
	over := r.Over(in)
	if !over {
		delete(p.doubts, doubt{r, k})
	}
	if !over && !p.active[k] {
		return nil
	}
	labels := labelsOf(k)
	fingerprint := rule.Fingerprint(r.Name, labels)
	prev, known := e.book.Get(fingerprint)
	status := e.status(&prev)
	if over && !status.Active() && !p.confirmed(doubt{r, k}) {
		return nil
	}
	delete(p.doubts, doubt{r, k})
	if status.Open() {
		fresh := p.table.Sum(k, max(from, window.PaneOf(status.Since)))
		in.Fresh = fresh.Total()
	}
	judged := *r
	if prev.Flapping && status.Open() {
		judged = r.Damped()
	}
	next, event := judged.Step(status, in)
	e.met.evaluations.Inc()
	d := &draft{status: next, event: event, over: over, split: p.table.Split(k, from)}
	d.alert = prev
	if !known {
		d.alert = schemas.Alert{Fingerprint: fingerprint, Rule: r.Name, Labels: labels}
	}
	changed := d.alert.Counts != counts.Wire() || next != status
	d.write = event != rule.Nothing ||
		next.Active() && changed && now.Sub(prev.UpdatedAt) >= refreshInterval
	if !d.write && known {
		e.live[fingerprint] = live{version: prev.Version, status: next}
	}
	if !d.write && !next.Open() {
		return nil
	}
	d.fill(r, counts.Wire(), counts.Rate(), now)
	d.alert.NoTraffic = nil
	if since, ends, ok := judged.NoTraffic(next, in); ok {
		d.alert.NoTraffic = &schemas.AlertNoTraffic{Since: since, EndsAt: ends}
	}
	d.alert.Writer = e.opt.Instance
	if group := e.group(p, k); group != "" || d.alert.Group == "" {
		d.alert.Group = group
	}
	return d
}

// status returns where an alert is: as written, or as it went on since.
func (e *Evaluator) status(a *schemas.Alert) rule.Status {
	if l, ok := e.live[a.Fingerprint]; ok && l.version == a.Version {
		return l.status
	}
	return rule.Status{
		State: a.State, StateSince: a.StateSince, Since: a.Since, JudgedAt: a.JudgedAt, Peak: a.Peak, Ended: a.Ended,
	}
}

// fill puts status and numbers into the record.
func (d *draft) fill(r *rule.Rule, counts schemas.AlertCounts, value float64, now time.Time) {
	a, s := &d.alert, d.status
	if d.event == rule.Fired || a.Incident == "" {
		a.Incident = rule.Incident(a.Fingerprint, s.Since)
		a.ResolvedAt, a.InhibitedBy, a.SilencedBy, a.Acknowledged, a.Carriers, a.Flapping, a.Late = time.Time{}, "", nil, nil, nil, false, false
	}
	if d.event == rule.Fired {
		a.Periods, a.Flapping = rule.Periods(a.Periods, now)
	}
	a.Version++
	a.State, a.StateSince, a.Since, a.JudgedAt, a.Peak, a.Ended = s.State, s.StateSince, s.Since, s.JudgedAt, s.Peak, s.Ended
	a.Value, a.Counts = value, counts
	a.Metric, a.Severity = r.Metric, r.Severity
	a.Threshold, a.MinVolume, a.Window = r.Threshold, r.MinVolume, r.Window.String()
	a.Causes, a.Reasons = d.split.Causes, d.split.Reasons
	a.UpdatedAt = now
	if d.event == rule.Resolved {
		a.ResolvedAt = now
	}
}

// group returns the record key of the rates of k, "" when k has no blocks any
// more and the table has forgotten the provider.
func (e *Evaluator) group(p *part, k window.Key) string {
	rate := schemas.Rate{Source: k.Source, Series: []schemas.RateSeries{{Dimension: k.Dimension, Value: k.Value}}}
	if k.Dimension == schemas.DimensionProvider {
		rate.Provider = k.Value
		return window.GroupOf(&rate)
	}
	provider, known := p.table.Provider(k)
	if !known {
		return ""
	}
	rate.Provider = provider
	return window.GroupOf(&rate)
}

func labelsOf(k window.Key) map[string]string {
	return map[string]string{schemas.LabelSource: k.Source, k.Dimension: k.Value}
}

// keyOf is the reverse of labelsOf.
func keyOf(labels map[string]string) window.Key {
	k := window.Key{Source: labels[schemas.LabelSource]}
	for _, dimension := range []string{schemas.DimensionDomain, schemas.DimensionProvider} {
		if v := labels[dimension]; v != "" {
			k.Dimension, k.Value = dimension, v
		}
	}
	return k
}

// findActive lists the keys of p that have an alert under way.
func (e *Evaluator) findActive(p *part) {
	clear(p.active)
	for _, a := range e.book.All(func(a *schemas.Alert) bool {
		return a.Group != slow.Group && rule.Status{State: a.State}.Active() && e.parts[e.place(a.Group)] == p
	}) {
		p.active[keyOf(a.Labels)] = true
	}
}
