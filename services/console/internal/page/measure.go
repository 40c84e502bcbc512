package page

import (
	"context"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/console/internal/history"
)

// measure is what a rule measures, in words, and how the console can draw it.
type measure struct {
	name    string // Block rate
	counted string // what is special about the messages of the numerator
	// part is the numerator in a minute of outcomes; nil: counts by minute do not tell.
	part func(history.Minute) int64
	// events are the types of events that count in the rate; nil: no single event does.
	events []string
}

// measureOf returns the words for a metric of alerting, those of its messages.
func measureOf(metric string) measure {
	ends := []string{"delivered", "bounced", "blocked"}
	switch metric {
	case "block_rate":
		return measure{"Block rate", "blocked", func(m history.Minute) int64 { return m.Blocked }, ends}
	case "bounce_rate":
		return measure{"Bounce rate", "bounced", func(m history.Minute) int64 { return m.Bounced }, ends}
	case "delivery_rate":
		return measure{"Delivery rate", "delivered", func(m history.Minute) int64 { return m.Delivered }, ends}
	case "hard_bounce_rate":
		return measure{"Hard bounce rate", "bounced for good", nil, ends}
	case "suppressed_share":
		return measure{"Share of messages that the provider did not try", "not tried", nil, ends}
	case "complaint_rate":
		return measure{"Complaint rate", "complained of", nil, []string{"delivered", "complained"}}
	case "deferral_rate":
		return measure{"Deferral rate", "deferred", nil, append(ends, "deferred")}
	case "unsubscribe_rate":
		return measure{"Unsubscribe rate", "unsubscribed by", nil, []string{"delivered", "unsubscribed"}}
	case "unknown_share":
		return measure{"Share of events that are not understood", "not understood", nil, nil}
	case "volume_drop":
		return measure{"Volume beside the usual", "of the usual", nil, nil}
	case "silence":
		return measure{"Silence", "expected, none came", nil, nil}
	case "lateness":
		return measure{"Share of late events", "late", nil, nil}
	case "lag":
		return measure{"Time without an event", "seconds without one", nil, nil}
	case "not_judged":
		return measure{"Share of rules that could not be judged", "not judged", nil, nil}
	}
	return measure{"Rate", "counted", nil, nil}
}

// incidentsOf reads incidents from ClickHouse, which does not keep what their rules
// measure: the configuration says so.
func (s *Site) incidentsOf(ctx context.Context, span history.Span) (list []history.Incident, cut bool, err error) {
	list, cut, err = s.History.Incidents(ctx, span)
	for i := range list {
		list[i].Metric = s.ruleOf(list[i].Rule).Metric
	}
	return list, cut, err
}

// Says is the state of the incident in a sentence.
func (d incidentData) Says() string {
	in := d.Incident
	if in.Rule == schemas.RuleReceiver {
		return "The receiver " + in.Labels[schemas.LabelReceiver] + " does not take messages" + text(": ", d.Answer) + "."
	}
	if in.Metric == "" {
		return d.remembered()
	}
	m, when := measureOf(in.Metric), "now"
	if !in.Open() || in.Idle() {
		when = "at last"
	}
	if in.Idle() && d.Measure == nil && d.Rate.Of == 0 { // a rate of nothing is none
		return fmt.Sprintf("%s at worst %s against a threshold of %s over %s; there is no mail to judge by in the window now.", m.name, share(in.Peak), share(in.Threshold), d.Window)
	}
	line := fmt.Sprintf("%s %s %s (worst %s) against a threshold of %s over %s", m.name, when, share(in.Value), share(in.Peak), share(in.Threshold), d.Window)
	switch of := d.Measure; {
	case of != nil && of.Denominator > 0:
		line += fmt.Sprintf(": %s of %s %s", thousands(of.Numerator), thousands(of.Denominator), m.counted)
		if of.Usual > 0 {
			line += ", usually " + share(of.Usual)
		}
	case of == nil && in.Metric == "block_rate":
		line += fmt.Sprintf(": %s blocked of %s", thousands(in.Blocked), thousands(d.Rate.Of))
	}
	return line + "."
}

// remembered says what the record alone tells of an incident whose rule is not configured
// any more: what the rule measured is not kept.
func (d incidentData) remembered() string {
	in := d.Incident
	line := fmt.Sprintf("Its rule is not configured any more, so what it measured is not known. On record are %s at last (worst %s), a threshold of %s and a window of %s, with %s delivered, %s bounced and %s blocked in it",
		share(in.Value), share(in.Peak), share(in.Threshold), d.Window, count(in.Delivered, "message"), thousands(in.Bounced), thousands(in.Blocked))
	var shares []string
	for _, of := range []struct {
		name string
		n    uint64
	}{{"delivered", in.Delivered}, {"bounced", in.Bounced}, {"blocked", in.Blocked}} {
		if of.n > 0 && math.Abs(in.Value-Rate{of.n, d.Rate.Of}.Value()) < 1e-6 {
			shares = append(shares, of.name)
		}
	}
	if len(shares) == 1 { // else it may be either of them
		line += ": the first number is the share of what was " + shares[0]
	}
	return line + "."
}

func text(before, what string) string {
	if what == "" {
		return ""
	}
	return before + what
}

// Beside says what the mail below is where it is not exactly that of the incident.
func (d incidentData) Beside() string {
	in := d.Incident
	events := measureOf(in.Metric).events
	switch {
	case in.Metric == "" && in.Rule != schemas.RuleReceiver:
		return "The replies and refusals here are those of the same mail in the same time, which its rule may have counted otherwise."
	case !slices.Contains(events, "blocked"):
		return "The incident is about something else than refusals; these are those of the same mail in the same time."
	case d.counts != "":
		return "The rule counts only " + d.counts + "; these are all refusals of the same mail."
	}
	return ""
}

// plotOf draws what the rule saw: from the counts by minute, which reach back before the
// incident, or from the readings that alerting kept of it.
func plotOf(d *incidentData, minutes []history.Minute, window time.Duration, readings []schemas.AlertReading) Plot {
	m := measureOf(d.Incident.Metric)
	if m.part != nil && d.Beside() == "" && 2*window <= leadMax { // else there is no mail of whole windows
		p := rolling(minutes, d.From.Add(window), window, m)
		p.Threshold = &d.Incident.Threshold
		return p
	}
	p := Plot{ID: "incident", Caption: m.name + " over " + d.Window + ", as it was judged", Percent: true, Columns: []string{"value"}, Threshold: &d.Incident.Threshold}
	for i := range readings {
		r := &readings[i]
		p.Rows = append(p.Rows, PlotRow{At: r.At, Values: []*float64{&r.Value}, N: uint64(max(0, r.Counts.Delivered+r.Counts.Bounced+r.Counts.Blocked))})
	}
	if len(p.Rows) == 0 {
		p.Empty = "Alerting keeps no readings of it any more."
	}
	return p
}

// rolling draws a rate as the rule sees it: of the messages of the window that ends at each
// minute in which one came to an outcome, from the first one on whose mail is all there.
func rolling(minutes []history.Minute, first time.Time, window time.Duration, of measure) Plot {
	p := Plot{ID: "incident", Caption: of.name + " over " + windowWords(window) + ", minute by minute", Percent: true, Columns: []string{of.name}}
	var part, all int64
	for _, m := range minutes {
		part, all = part+of.part(m), all+ended(m)
		if m.At.Before(first) || m.Came == 0 {
			continue
		}
		row := PlotRow{At: m.At, Values: []*float64{nil}, N: uint64(max(0, all))}
		if all > 0 {
			rate := float64(part) / float64(all)
			row.Values[0] = &rate
		}
		p.Rows = append(p.Rows, row)
	}
	return p
}

func ended(m history.Minute) int64 { return m.Delivered + m.Bounced + m.Blocked }

// step is one line of what happened: a step, or some readings after one another.
type step struct {
	timelineEntry
	Readings int
	Low      float64
	High     float64
}

// Steps folds readings that follow each other into one line; a long incident has one a
// minute, and the plot has them all.
func (d incidentData) Steps() (steps []step) {
	for _, e := range d.Timeline {
		if e.Kind != entryReading || e.Value == nil {
			steps = append(steps, step{timelineEntry: e})
			continue
		}
		if n := len(steps); n > 0 && steps[n-1].Readings > 0 {
			last := &steps[n-1]
			last.Readings, last.Low, last.High = last.Readings+1, min(last.Low, *e.Value), max(last.High, *e.Value)
			continue
		}
		steps = append(steps, step{e, 1, *e.Value, *e.Value})
	}
	return steps
}

// entryReading is the kind of a line that says what the rate was.
const entryReading = "reading"
