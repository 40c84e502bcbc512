package alerting

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/mailstream/mailstream/services/internal/platform/httpserver"
	"github.com/mailstream/mailstream/services/internal/platform/telemetry"
)

// tryTimeout bounds both messages of a test, which an instance makes one at a time.
const tryTimeout = 30 * time.Second

// tryReceiver sends one receiver a test, as `mailstream alerts test-receiver` does, but
// with the configuration of the service and from where it runs.
func (a api) tryReceiver(w http.ResponseWriter, r *http.Request) {
	if _, ok := httpserver.Query(w, r); !ok {
		return
	}
	if n, _ := r.Body.Read(make([]byte, 1)); n > 0 { // an error is an empty body, too
		httpserver.Problem(w, http.StatusBadRequest, "bad request", "a test takes no body")
		return
	}
	select {
	case a.trying <- struct{}{}:
		defer func() { <-a.trying }()
	default:
		unavailable(w, "another test is under way")
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), tryTimeout)
	defer cancel()
	trial, err := a.try(ctx, r.PathValue("name"))
	if _, unknown := errors.AsType[*UnknownReceiverError](err); unknown {
		httpserver.Problem(w, http.StatusNotFound, "not found", err.Error())
		return
	}
	a.log.Info("receiver was tried", telemetry.Receiver(trial.Receiver), telemetry.Reason(trial.Outcome))
	show(w, http.StatusOK, trial)
}
