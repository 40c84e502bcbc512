package alerting

import (
	"cmp"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/alerting/internal/rule"
	"github.com/mailstream/mailstream/services/internal/platform/config"
	"github.com/mailstream/mailstream/services/internal/platform/httpserver"
)

// alertsMax bounds one answer. More alerts than a person reads are reported by their
// number.
const alertsMax = 1_000

// answer is the body of GET /v1/alerts.
type answer struct {
	Alerts []schemas.Alert `json:"alerts"`
	Total  int             `json:"total"` // matching alerts, of which Alerts are the first
}

// The parameters of a list: those of labels are label.<name>.
const labelPrefix = "label."

// parameters returns what a list takes: a label that no rule is by would answer
// nothing for ever.
func (a api) parameters() []string {
	names := []string{"state", "source", "rule", "severity", "since", "until"}
	for _, label := range append([]string{schemas.LabelSource, schemas.DimensionDomain, schemas.DimensionProvider, schemas.LabelReceiver}, a.labels...) {
		if !slices.Contains(names, labelPrefix+label) {
			names = append(names, labelPrefix+label)
		}
	}
	return names
}

// list shows alerts, the latest first: all that are known, or those that match
// the parameters state and severity (several, comma-separated), source, rule, labels,
// and time.
func (a api) list(w http.ResponseWriter, r *http.Request) {
	q, ok := httpserver.Query(w, r, a.parameters()...)
	if !ok {
		return
	}
	var faults config.Problems
	wanted := parseFilter(q, &faults)
	if httpserver.Refused(w, &faults) {
		return
	}
	alerts := a.book.All(wanted.takes)
	total := len(alerts)
	alerts = alerts[:min(total, alertsMax)]
	for i := range alerts {
		a.complete(&alerts[i])
	}
	show(w, http.StatusOK, answer{Alerts: alerts, Total: total})
}

// complete makes a copy of a record what the API shows: without what only the
// message needs and what only one incident's timeline has, and with what people
// said since the evaluator wrote it: rules by SQL are judged minutes apart.
func (a api) complete(alert *schemas.Alert) {
	alert.Notify = withoutFacts(alert.Notify)
	alert.Steps, alert.Readings = nil, nil
	if a.controls == nil {
		return
	}
	if (rule.Status{State: alert.State}).Open() {
		alert.SilencedBy = a.controls.Hides(alert, a.now())
	}
	if ack := a.controls.Ack(alert.Incident); ack != nil {
		alert.Acknowledged = ack
	}
}

// filter is which alerts are asked for; what is empty takes all.
type filter struct {
	states       []string
	severities   []string
	rule         string
	labels       map[string]string
	since, until time.Time
}

// parseFilter reads the parameters and reports every fault to p. One without a value is
// a variable that was not set: to pass over it would answer everything.
func parseFilter(q url.Values, p *config.Problems) filter {
	f := filter{rule: q.Get("rule"), labels: map[string]string{}}
	for _, name := range slices.Sorted(maps.Keys(q)) {
		value := q.Get(name)
		switch label, isLabel := strings.CutPrefix(name, labelPrefix); {
		case value == "":
			p.Check(false, name, "is empty: leave it out for all")
		case name == "state":
			f.states = strings.Split(value, ",")
		case name == "severity":
			f.severities = strings.Split(value, ",")
		case name == "source", isLabel:
			other, set := f.labels[label]
			p.Check(!set || other == value, name, "source and %ssource must have one value: leave out one of them", labelPrefix)
			f.labels[label] = value
		}
	}
	for _, s := range f.states {
		p.Check(slices.Contains(states(), schemas.AlertState(s)), "state", "%q must be pending, firing, recovering or resolved", clip(s))
	}
	for _, s := range f.severities {
		p.Check(slices.Contains(schemas.AlertSeverities(), schemas.AlertSeverity(s)), "severity", "%q must be info, warning or critical", clip(s))
	}
	f.parseTimes(q, p)
	return f
}

func states() []schemas.AlertState {
	return []schemas.AlertState{schemas.AlertPending, schemas.AlertFiring, schemas.AlertRecovering, schemas.AlertResolved}
}

// shownMax bounds a word of the caller's in an answer, in bytes.
const shownMax = 64

func clip(word string) string { return word[:min(len(word), shownMax)] }

func (f *filter) parseTimes(q url.Values, p *config.Problems) {
	for name, at := range map[string]*time.Time{"since": &f.since, "until": &f.until} {
		if q.Get(name) == "" { // an empty one is a fault already
			continue
		}
		t, err := time.Parse(time.RFC3339, q.Get(name))
		p.Check(err == nil, name, "%q of %q is not a time of RFC 3339, like 2026-01-02T15:04:05Z", clip(q.Get(name)), name)
		*at = t
	}
	p.Check(f.until.IsZero() || !f.until.Before(f.since), "until", `%q of "until" is before "since", %q`, clip(q.Get("until")), clip(q.Get("since")))
}

func (f filter) takes(a *schemas.Alert) bool {
	for name, want := range f.labels {
		if a.Labels[name] != want {
			return false
		}
	}
	severity := cmp.Or(a.Severity, schemas.SeverityCritical)
	if len(f.severities) > 0 && !slices.Contains(f.severities, string(severity)) {
		return false
	}
	return (len(f.states) == 0 || slices.Contains(f.states, string(a.State))) && (f.rule == "" || a.Rule == f.rule) && f.within(a)
}

// within says whether the incident was under way at some time from since to until.
func (f filter) within(a *schemas.Alert) bool {
	begun := f.until.IsZero() || a.Since.Before(f.until)
	return begun && (a.ResolvedAt.IsZero() || !a.ResolvedAt.Before(f.since))
}

// withoutFacts leaves out what only the message needs.
func withoutFacts(notify []schemas.Notification) []schemas.Notification {
	out := slices.Clone(notify)
	for i := range out {
		out[i].Facts = nil
	}
	return out
}
