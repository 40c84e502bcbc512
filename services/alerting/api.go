package alerting

import (
	"cmp"
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
	var states []string
	for _, s := range strings.Split(q.Get("state"), ",") {
		switch schemas.AlertState(s) {
		case schemas.AlertPending, schemas.AlertFiring, schemas.AlertRecovering, schemas.AlertResolved:
			states = append(states, s)
		case "":
		default:
			httpserver.Problem(w, http.StatusBadRequest, "bad request", "state must be pending, firing, recovering or resolved")
			return
		}
	}
	labels := map[string]string{schemas.LabelSource: q.Get("source")}
	for name := range q {
		if label, is := strings.CutPrefix(name, labelPrefix); is {
			labels[label] = cmp.Or(q.Get(name), labels[label])
		}
	}
	alerts := a.book.All(func(al *schemas.Alert) bool {
		for name, want := range labels {
			if want != "" && al.Labels[name] != want {
				return false
			}
		}
		return (len(states) == 0 || slices.Contains(states, string(al.State))) && (q.Get("rule") == "" || al.Rule == q.Get("rule"))
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
