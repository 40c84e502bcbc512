package alerting

import (
	"context"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/alerting/internal/book"
	"github.com/mailstream/mailstream/services/alerting/internal/controls"
	"github.com/mailstream/mailstream/services/internal/audit"
	"github.com/mailstream/mailstream/services/internal/platform/httpserver"
	"github.com/mailstream/mailstream/services/internal/platform/telemetry"
)

const (
	// bodyMax bounds a body, in bytes: sixteen matchers and a comment.
	bodyMax = 16 << 10
	// retryAfterSeconds is what a caller is asked to wait while Kafka or this
	// instance is not ready.
	retryAfterSeconds = "2"
)

// api answers from the book and the controls, which every instance has whole, and
// writes what people say through the controls.
type api struct {
	book     *book.Book
	controls *controls.Store // nil: no controls
	labels   []string        // that rules are by, beside those of the built-in rule
	now      func() time.Time
	try      func(ctx context.Context, receiver string) (Trial, error)
	trying   chan struct{} // has a value while a receiver is tried
	trail    audit.Noter   // has who changed what, before it happens
	log      *zap.Logger
}

func (a api) routes(mux *http.ServeMux) {
	only(mux, "/v1/alerts", methods{http.MethodGet: a.list})
	only(mux, "/v1/silences", methods{http.MethodGet: a.listSilences, http.MethodPost: a.addSilence})
	only(mux, "/v1/silences/{id}", methods{http.MethodDelete: a.removeSilence})
	only(mux, "/v1/incidents/{id}", methods{http.MethodGet: a.showIncident})
	only(mux, "/v1/incidents/{id}/ack", methods{http.MethodPost: a.acknowledge})
	only(mux, "/v1/receivers/{name}/test", methods{http.MethodPost: a.tryReceiver})
	only(mux, "/v1/incidents/{id}/notes", methods{http.MethodPost: a.addNote})
}

// methods are the handlers of one path.
type methods map[string]http.HandlerFunc

// only answers the methods of one path and refuses the others.
func only(mux *http.ServeMux, path string, handlers methods) {
	for method, h := range handlers {
		mux.HandleFunc(method+" "+path, h)
	}
	allow := strings.Join(slices.Sorted(maps.Keys(handlers)), ", ")
	mux.HandleFunc(path, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Allow", allow)
		httpserver.Problem(w, http.StatusMethodNotAllowed, "method not allowed", "allowed: "+allow)
	})
}

// show answers with v, which is of this moment.
func show(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Cache-Control", "no-store")
	httpserver.JSON(w, status, v)
}

// ready says whether the controls are read. It answers by itself when not: what
// is missing would be taken for what is not there.
func (a api) ready(w http.ResponseWriter) bool {
	if a.controls.Ready() {
		return true
	}
	unavailable(w, "the silences and incidents are still being read")
	return false
}

func unavailable(w http.ResponseWriter, detail string) {
	w.Header().Set("Retry-After", retryAfterSeconds)
	httpserver.Problem(w, http.StatusServiceUnavailable, "unavailable", detail)
}

// put writes down who says c, as e has it, and then c. It answers by itself when it
// cannot.
func (a api) put(w http.ResponseWriter, r *http.Request, c schemas.AlertControl, e audit.Entry) bool {
	who := audit.By(r, e.By)
	e.By, e.Role = who.By, who.Role
	if err := a.trail.Note(r.Context(), e); err != nil {
		a.log.Warn("a change of alert controls was not written to the audit", telemetry.Err(err))
		unavailable(w, "Kafka does not take the entry of the audit, so nothing was changed")
		return false
	}
	if err := a.controls.Put(r.Context(), c); err != nil {
		a.log.Warn("a change of alert controls was not written", telemetry.Err(err))
		unavailable(w, "it could not be written to Kafka: nothing has changed as far as is known")
		return false
	}
	return true
}
