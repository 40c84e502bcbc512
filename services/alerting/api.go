package alerting

import (
	"net/http"
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

// list shows alerts, the latest first: all that are known, or those that match
// the parameters state (several, comma-separated), source and rule.
func (a api) list(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	var states []string
	for _, s := range strings.Split(q.Get("state"), ",") {
		switch schemas.AlertState(s) {
		case schemas.AlertPending, schemas.AlertFiring, schemas.AlertRecovering, schemas.AlertResolved:
			states = append(states, s)
		case "":
		default:
			httpserver.Problem(w, http.StatusBadRequest, "invalid parameter",
				"state must be pending, firing, recovering or resolved")
			return
		}
	}
	source, rule := q.Get("source"), q.Get("rule")
	alerts := a.book.All(func(al *schemas.Alert) bool {
		return (len(states) == 0 || slices.Contains(states, string(al.State))) &&
			(source == "" || al.Labels[schemas.LabelSource] == source) &&
			(rule == "" || al.Rule == rule)
	})
	total := len(alerts)
	alerts = alerts[:min(total, alertsMax)]
	for i := range alerts {
		alerts[i].Notify = withoutFacts(alerts[i].Notify)
	}
	w.Header().Set("Cache-Control", "no-store")
	httpserver.JSON(w, http.StatusOK, answer{Alerts: alerts, Total: total})
}

// withoutFacts leaves out what only the message needs.
func withoutFacts(notify []schemas.Notification) []schemas.Notification {
	out := slices.Clone(notify)
	for i := range out {
		out[i].Facts = nil
	}
	return out
}
