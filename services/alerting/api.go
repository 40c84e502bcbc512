package alerting

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/alerting/internal/book"
	"github.com/mailstream/mailstream/services/internal/platform/httpserver"
)

// alertsMax bounds one answer. More alerts than anybody reads are told by their
// number.
const alertsMax = 1_000

// api answers from the book, which every instance has whole.
type api struct {
	book *book.Book
}

// answer is the body of GET /v1/alerts.
type answer struct {
	Alerts []schemas.Alert `json:"alerts"`
	Total  int             `json:"total"` // matching alerts, of which Alerts are the first
}

func (a api) routes(mux *http.ServeMux) {
	mux.HandleFunc("GET /v1/alerts", a.list)
	mux.HandleFunc("/v1/alerts", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Allow", http.MethodGet)
		httpserver.Problem(w, http.StatusMethodNotAllowed, "method not allowed", "alerts can only be read")
	})
}

// The parameters of a list: those of labels are label.<name>.
const labelPrefix = "label."

func parameters() []string {
	return []string{
		"state", "source", "rule",
		labelPrefix + schemas.LabelSource, labelPrefix + schemas.DimensionDomain, labelPrefix + schemas.DimensionProvider,
	}
}

// list shows alerts, the latest first: all that are known, or those that match
// the parameters state (several, comma-separated), source, rule and labels.
func (a api) list(w http.ResponseWriter, r *http.Request) {
	q, ok := httpserver.Query(w, r, parameters()...)
	if !ok {
		return
	}
	wanted, err := parseFilter(q)
	if err != nil {
		httpserver.Problem(w, http.StatusBadRequest, "bad request", err.Error())
		return
	}
	alerts := a.book.All(wanted.takes)
	total := len(alerts)
	alerts = alerts[:min(total, alertsMax)]
	for i := range alerts {
		alerts[i].Notify = withoutFacts(alerts[i].Notify)
	}
	w.Header().Set("Cache-Control", "no-store")
	httpserver.JSON(w, http.StatusOK, answer{Alerts: alerts, Total: total})
}

// filter is which alerts are asked for; what is empty takes all.
type filter struct {
	states []string
	rule   string
	labels map[string]string
}

// parseFilter reads the parameters. One without a value is a variable that was not
// set: to pass over it would answer everything.
func parseFilter(q url.Values) (filter, error) {
	f := filter{rule: q.Get("rule"), labels: map[string]string{}}
	for _, name := range slices.Sorted(maps.Keys(q)) {
		value := q.Get(name)
		switch label, isLabel := strings.CutPrefix(name, labelPrefix); {
		case value == "":
			return f, fmt.Errorf("parameter %q is empty: leave it out for all", name)
		case name == "state":
			f.states = strings.Split(value, ",")
		case name == "source", isLabel:
			if other, set := f.labels[label]; set && other != value {
				return f, fmt.Errorf("source and %ssource ask for the same and differ", labelPrefix)
			}
			f.labels[label] = value
		}
	}
	for _, s := range f.states {
		switch schemas.AlertState(s) {
		case schemas.AlertPending, schemas.AlertFiring, schemas.AlertRecovering, schemas.AlertResolved:
		default:
			return f, errors.New("state must be pending, firing, recovering or resolved")
		}
	}
	return f, nil
}

func (f filter) takes(a *schemas.Alert) bool {
	for name, want := range f.labels {
		if a.Labels[name] != want {
			return false
		}
	}
	return (len(f.states) == 0 || slices.Contains(f.states, string(a.State))) && (f.rule == "" || a.Rule == f.rule)
}

// withoutFacts leaves out what only the message needs.
func withoutFacts(notify []schemas.Notification) []schemas.Notification {
	out := slices.Clone(notify)
	for i := range out {
		out[i].Facts = nil
	}
	return out
}
