package page

import (
	"cmp"
	"context"
	"net/http"
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
	s.notice(v, "The alerting service", cmp.Or(alertsErr, silencesErr))
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

func (s *Site) backtest(v *visit) (view, error) {
	if s.World.Backtest == nil {
		return view{}, fault{http.StatusServiceUnavailable, "Rules cannot be tried here", "The console has no access to the history.", "Run `mailstream alerts backtest`."}
	}
	ctx, cancel := context.WithTimeout(v.Context(), backtestTimeMax)
	defer cancel()
	d := s.judged(v)
	d.From, d.Tried = d.Now.Add(-backtestSpan), true
	trials, err := s.World.Backtest(ctx, d.From, d.Now)
	if err != nil {
		return view{}, err
	}
	d.Trials = trials
	return view{name: "rules", title: "Rules", data: d}, nil
}
