package api

import (
	"net/http"

	"github.com/mailstream/mailstream/services/internal/audit"
	"github.com/mailstream/mailstream/services/internal/platform/telemetry"
)

// The changes that are written down.
const (
	auditAdd    = "suppression.add"
	auditLift   = "suppression.lift"
	auditImport = "suppression.import"
)

// note writes down who changes what, before it is done. It answers by itself when it
// cannot: then nothing may be changed.
func (a *API) note(w http.ResponseWriter, r *http.Request, e audit.Entry) bool {
	who := audit.By(r, "")
	e.By, e.Role = who.By, who.Role
	if err := a.opt.Trail.Note(r.Context(), e); err != nil {
		a.opt.Metrics.writeErrors.Inc()
		a.opt.Log.Warn("a change was not written to the audit", telemetry.Err(err))
		unavailable(w, "not_acknowledged", "Kafka does not take the entry of the audit, so nothing was changed: try again")
		return false
	}
	return true
}
