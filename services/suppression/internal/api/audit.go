package api

import (
	"fmt"
	"net/http"
	"net/url"

	"github.com/mailstream/mailstream/services/internal/audit"
	"github.com/mailstream/mailstream/services/internal/platform/telemetry"
)

// What is written down: changes, and looks at people.
const (
	auditAdd    = "suppression.add"
	auditLift   = "suppression.lift"
	auditImport = "suppression.import"

	auditCheck    = "suppression.check"
	auditList     = "suppression.list"
	auditExport   = "suppression.export"
	auditHistory  = "suppression.history"
	auditSnapshot = "suppression.snapshot"
)

// note writes down who changes what, before it is done. It answers by itself when it
// cannot: then nothing may be changed.
func (a *API) note(w http.ResponseWriter, r *http.Request, e audit.Entry) bool {
	return a.write(w, r, e, "so nothing was changed")
}

// noteLook writes down who is about to see addresses, and answers by itself when it
// cannot: then none may be shown.
func (a *API) noteLook(w http.ResponseWriter, r *http.Request, e audit.Entry) bool {
	return a.write(w, r, e, "so no address is shown")
}

// noteNamed is noteLook for what senders and replicas ask all day by themselves: only a
// caller that asks for a person looks at somebody.
func (a *API) noteNamed(w http.ResponseWriter, r *http.Request, entry func() audit.Entry) bool {
	return !audit.Named(r) || a.noteLook(w, r, entry())
}

func (a *API) write(w http.ResponseWriter, r *http.Request, e audit.Entry, so string) bool {
	who := audit.By(r, "")
	e.By, e.Role = who.By, who.Role
	if err := a.opt.Trail.Note(r.Context(), e); err != nil {
		a.opt.Metrics.writeErrors.Inc()
		a.opt.Log.Warn("what was asked for was not written to the audit", telemetry.Err(err))
		unavailable(w, "not_acknowledged", "Kafka does not take the entry of the audit, "+so+": try again")
		return false
	}
	return true
}

// lookAt is a look at those addresses: at one by its hash, at several by their number.
func (a *API) lookAt(action string, list ...string) audit.Entry {
	if len(list) == 1 {
		if who, err := a.subjectOf(list[0]); err == nil {
			return audit.Entry{Action: action, Object: who.key.String()}
		}
	}
	return audit.Entry{Action: action, Note: addresses(len(list))}
}

func addresses(n int) string {
	if n == 1 {
		return "1 address"
	}
	return fmt.Sprintf("%d addresses", n)
}

// filterOf says in an entry which part of the list was asked for, such as
// domain=example.com&reason=manual.
func filterOf(values url.Values) string {
	kept := url.Values{}
	for _, name := range selected {
		if values.Has(name) {
			kept[name] = values[name]
		}
	}
	return kept.Encode()
}
