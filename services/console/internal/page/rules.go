package page

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/console/internal/history"
	"github.com/mailstream/mailstream/services/console/internal/twin"
)

type rulesData struct {
	Now      time.Time                   `json:"now"`
	Rules    twin.List[ruleRow]          `json:"rules"`
	Readings twin.List[history.Incident] `json:"readings"` // the alerts that are known, of all rules
	Cut      bool                        `json:"cut"`      // there are more readings
	Silences twin.List[silenceRow]       `json:"silences"`
	Trials   twin.List[Trial]            `json:"backtest,omitzero"` // nil: they were not tried
	From     time.Time                   `json:"backtest_from,omitzero"`
	Tried    bool                        `json:"-"`
	Can      bool                        `json:"-"`
	Known    bool                        `json:"-"` // alerting answered
}

// ruleRow is a rule and the reading of it that a person should look at first.
type ruleRow struct {
	Rule
	Reading *history.Incident `json:"last_reading,omitempty"` // nil: nothing came near the threshold
	Alerts  int               `json:"alerts"`                 // that are known of it
}

// AtLeast is what must be there for the rule to judge: messages with events of some types, or
// events of any.
func (r ruleRow) AtLeast() string {
	if measureOf(r.Metric).events == nil {
		return count(r.MinVolume, "event")
	}
	return count(r.MinVolume, "message")
}

// rowsOfRules gives each rule its readings: of several the one that is furthest on, of
// those the latest.
func rowsOfRules(rules []Rule, readings []history.Incident) []ruleRow {
	rows := make([]ruleRow, len(rules))
	for i, r := range rules {
		rows[i].Rule = r
		for j := range readings {
			in := &readings[j]
			if in.Rule != r.Name {
				continue
			}
			rows[i].Alerts++
			if best := rows[i].Reading; best == nil || cmp.Or(stage(in.State)-stage(best.State), in.UpdatedAt.Compare(best.UpdatedAt)) > 0 {
				rows[i].Reading = in
			}
		}
	}
	return rows
}

// stage orders the states of an alert.
func stage(state string) int {
	return slices.Index([]string{"resolved", "pending", "recovering", "firing"}, state)
}

func (s *Site) rules(v *visit) (view, error) {
	if _, err := v.only(); err != nil {
		return view{}, err
	}
	return view{name: "rules", title: "Rules", data: s.judged(v)}, nil
}

func (s *Site) judged(v *visit) rulesData {
	d := rulesData{Now: s.Now().UTC(), Can: s.World.Backtest != nil}
	var answer struct {
		Alerts []schemas.Alert `json:"alerts"`
	}
	var alertsErr, silencesErr error
	parts := parallel{}
	parts.add(func(ctx context.Context) { alertsErr = s.Alerting.Get(ctx, "/v1/alerts", &answer) })
	parts.add(func(ctx context.Context) { d.Silences, silencesErr = s.silences(ctx) })
	parts.run(v.Context())
	d.Known = alertsErr == nil
	s.notice(v, partAlerting, cmp.Or(alertsErr, silencesErr))
	for i := range answer.Alerts {
		d.Readings = append(d.Readings, incidentOf(&answer.Alerts[i]))
	}
	veilIncidents(d.Readings)
	veilSilences(v, d.Silences)
	d.Rules = rowsOfRules(s.World.Rules, d.Readings)
	d.Cut = len(d.Readings) > readingsShown
	d.Readings = d.Readings[:min(readingsShown, len(d.Readings))]
	return d
}

// readingsShown bounds the table of readings; the incidents have pages of their own.
const readingsShown = 50

// backtestSpan is how far back rules are tried; backtestTimeMax how long that may take.
const (
	backtestSpan    = 14 * day
	backtestTimeMax = time.Minute
)

// LimitError says that a back-test would take more than it may.
type LimitError struct{ Why string }

// Error says which limit and what to do.
func (e *LimitError) Error() string { return e.Why }

// backtestFault says which limit ended a back-test.
func (s *Site) backtestFault(v *visit, err error) error {
	const elsewhere = "Run `mailstream alerts backtest` on a host with time and memory for it, over a shorter time or with fewer rules."
	limit, reached := errors.AsType[*LimitError](err)
	switch {
	case reached:
		return fault{Status: http.StatusUnprocessableEntity, Title: "This is too much to try here", Detail: strings.ToUpper(limit.Why[:1]) + limit.Why[1:] + ".", Next: elsewhere}
	case errors.Is(err, context.DeadlineExceeded) && v.Context().Err() == nil:
		return fault{Status: http.StatusUnprocessableEntity, Title: "This takes too long to try here", Detail: fmt.Sprintf("It took longer than %s, which is the limit of a page.", backtestTimeMax), Next: elsewhere}
	}
	return err
}

func (s *Site) backtest(v *visit) (view, error) {
	if s.World.Backtest == nil {
		return view{}, fault{Status: http.StatusServiceUnavailable, Title: "Rules cannot be tried here", Detail: "The console has no access to the history.", Next: "Run `mailstream alerts backtest`."}
	}
	select {
	case s.trying <- struct{}{}:
		defer func() { <-s.trying }()
	default:
		return view{}, fault{Status: http.StatusConflict, Title: "Rules are being tried already", Detail: "One person tries them at a time, since it reads all mail of 14 days.", Next: "Try again in a minute."}
	}
	ctx, cancel := context.WithTimeout(v.Context(), backtestTimeMax) // it ends when the browser goes away, too
	defer cancel()
	d := s.judged(v)
	d.From, d.Tried = d.Now.Add(-backtestSpan), true
	trials, err := s.World.Backtest(ctx, d.From, d.Now)
	if err != nil {
		return view{}, s.backtestFault(v, err)
	}
	d.Trials = append(twin.List[Trial]{}, trials...)
	return view{name: "rules", title: "Rules", data: d}, nil
}
