package page

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/console/internal/history"
)

type rulesData struct {
	Now      time.Time          `json:"now"`
	Rules    []Rule             `json:"rules"`
	Readings []history.Incident `json:"readings"` // the alerts that are known, of all rules
	Silences []silenceRow       `json:"silences"`
	Trials   []Trial            `json:"backtest,omitempty"`
	From     time.Time          `json:"backtest_from,omitzero"`
	Tried    bool               `json:"-"`
	Can      bool               `json:"-"`
}

func (s *Site) rules(v *visit) (view, error) {
	if _, err := v.only(); err != nil {
		return view{}, err
	}
	return view{name: "rules", title: "Rules", data: s.judged(v)}, nil
}

func (s *Site) judged(v *visit) rulesData {
	d := rulesData{Now: s.Now().UTC(), Rules: s.World.Rules, Readings: []history.Incident{}, Can: s.World.Backtest != nil}
	var answer struct {
		Alerts []schemas.Alert `json:"alerts"`
	}
	var alertsErr, silencesErr error
	parts := parallel{}
	parts.add(func(ctx context.Context) { alertsErr = s.Alerting.Get(ctx, "/v1/alerts", &answer) })
	parts.add(func(ctx context.Context) { d.Silences, silencesErr = s.silences(ctx) })
	parts.run(v.Context())
	s.notice(v, partAlerting, cmp.Or(alertsErr, silencesErr))
	const shown = 50
	for i := range answer.Alerts[:min(shown, len(answer.Alerts))] {
		d.Readings = append(d.Readings, incidentOf(&answer.Alerts[i]))
	}
	return d
}

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
		return fault{http.StatusUnprocessableEntity, "This is too much to try here", strings.ToUpper(limit.Why[:1]) + limit.Why[1:] + ".", elsewhere}
	case errors.Is(err, context.DeadlineExceeded) && v.Context().Err() == nil:
		return fault{http.StatusUnprocessableEntity, "This takes too long to try here", fmt.Sprintf("It took longer than %s, which is the limit of a page.", backtestTimeMax), elsewhere}
	}
	return err
}

func (s *Site) backtest(v *visit) (view, error) {
	if s.World.Backtest == nil {
		return view{}, fault{http.StatusServiceUnavailable, "Rules cannot be tried here", "The console has no access to the history.", "Run `mailstream alerts backtest`."}
	}
	select {
	case s.trying <- struct{}{}:
		defer func() { <-s.trying }()
	default:
		return view{}, fault{http.StatusConflict, "Rules are being tried already", "One person tries them at a time, since it reads all mail of 14 days.", "Try again in a minute."}
	}
	ctx, cancel := context.WithTimeout(v.Context(), backtestTimeMax) // it ends when the browser goes away, too
	defer cancel()
	d := s.judged(v)
	d.From, d.Tried = d.Now.Add(-backtestSpan), true
	trials, err := s.World.Backtest(ctx, d.From, d.Now)
	if err != nil {
		return view{}, s.backtestFault(v, err)
	}
	d.Trials = trials
	return view{name: "rules", title: "Rules", data: d}, nil
}
