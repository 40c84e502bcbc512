package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/internal/audit"
	"github.com/mailstream/mailstream/services/internal/platform/httpserver"
	"github.com/mailstream/mailstream/services/internal/platform/telemetry"
	"github.com/mailstream/mailstream/services/suppression/internal/ledger"
	"github.com/mailstream/mailstream/services/suppression/internal/list"
)

// bulkTimeout bounds the writes of one call, 20 batches: below what a listener allows
// an answer by default.
const bulkTimeout = time.Minute

// bulkRequest is one put, or one remove, of many addresses.
type bulkRequest struct {
	Action    string           `json:"action"` // "add" or "lift"
	Addresses []string         `json:"addresses"`
	Reason    httpserver.Given `json:"reason"` // of an add manual when it is left out; of a lift any
	target
	Expires expiry `json:"expires"` // of an add
	Note    string `json:"note"`    // a lift wants one
	Consent bool   `json:"consent"` // of a lift: complaints too
}

func (req *bulkRequest) fault(scopeErr error) string {
	switch {
	case req.Action != "add" && req.Action != "lift":
		return "action must be add or lift"
	case len(req.Addresses) == 0 || len(req.Addresses) > addressesMax:
		return fmt.Sprintf("addresses has %d entries, want 1 to %d", len(req.Addresses), addressesMax)
	case scopeErr != nil:
		return scopeErr.Error()
	case req.Reason != "" && !slices.Contains(list.Reasons(), schemas.SuppressionReason(req.Reason)):
		return fmt.Sprintf("reason must be one of %v", list.Reasons())
	case noteFault(req.Note) != "":
		return noteFault(req.Note)
	case req.Action == "add" && req.Consent:
		return "consent is of a lift"
	case req.Action == "lift" && strings.TrimSpace(req.Note) == "":
		return "note is missing: say why they are lifted"
	case req.Action == "lift" && !req.Expires.at.IsZero():
		return "expires is of an add"
	case !req.Expires.at.IsZero() && !req.Expires.at.After(time.Now()):
		return "expires is not in the future"
	}
	return ""
}

// bulk makes one change of many addresses. One that cannot be used refuses all of
// them before anything is written.
func (a *API) bulk(w http.ResponseWriter, r *http.Request, b *Backend) {
	var req bulkRequest
	if !httpserver.Body(w, r, &req, checkBytesMax) {
		return
	}
	scope, named, err := req.scope()
	if fault := req.fault(err); fault != "" {
		refuse(w, fault)
		return
	}
	people, room := make([]person, len(req.Addresses)), patternRoom{reader: b.Reader}
	for i, text := range req.Addresses {
		if people[i], err = a.subjectOf(text); err == nil && req.Action == "add" {
			err = room.take(people[i])
		}
		if err != nil {
			refuse(w, fmt.Sprintf("addresses[%d] is %s; nothing is changed", i, err))
			return
		}
	}
	id := newRequestID()
	lift := removal{scope: scope, reason: schemas.SuppressionReason(req.Reason), note: req.Note, consent: req.Consent, id: id}
	apply := lift.apply
	if req.Action == "add" {
		add := addition{scope: schemas.ScopeAccount, reason: schemas.SuppressManual, expires: list.Stamp(req.Expires.at), note: req.Note, id: id}
		if named {
			add.scope = scope
		}
		if req.Reason != "" {
			add.reason = schemas.SuppressionReason(req.Reason)
		}
		apply = add.apply
	}
	action := map[string]string{"add": auditAdd, "lift": auditLift}[req.Action]
	a.applyAll(w, r, b, bulkChange{people: people, apply: apply, former: req.Action == "lift", note: audit.Entry{Action: action, Note: req.Note}})
}

type bulkChange struct {
	people []person
	apply  func(cur schemas.Suppression, now time.Time) (schemas.Suppression, int, error)
	former bool // what is under a former hash changes, too
	note   audit.Entry
}

func (a *API) applyAll(w http.ResponseWriter, r *http.Request, b *Backend, c bulkChange) {
	states, err := statesOf(b.Reader, c.people)
	if err != nil {
		a.opt.Log.Error("list failed", telemetry.Err(err))
		unreadable(w)
		return
	}
	changed := 0
	var edits []ledger.Edit
	for i, who := range c.people {
		if _, _, err := c.apply(states[i], time.Now()); err != nil {
			title := "consent_required"
			if errors.Is(err, errTooMany) {
				title = "too_many_entries"
			}
			httpserver.Problem(w, http.StatusConflict, title, fmt.Sprintf("addresses[%d]: %s; nothing is changed", i, err))
			return
		}
		edit := ledger.Edit{Key: who.key, Address: who.canonical, Apply: func(cur schemas.Suppression) schemas.Suppression {
			next, n, err := c.apply(cur, time.Now())
			if err != nil { // it complained just now
				return cur
			}
			changed += n
			return next
		}}
		if edits = append(edits, edit); c.former && who.hasFormer {
			edit.Key = who.former
			edits = append(edits, edit)
		}
	}
	if c.note.Note = addresses(len(c.people)) + ": " + c.note.Note; !a.note(w, r, c.note) {
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), bulkTimeout)
	defer cancel()
	token, err := a.writeAll(ctx, b, edits)
	if err != nil {
		a.writeFailed(w, err)
		return
	}
	a.opt.Metrics.written.WithLabelValues(r.Method).Inc()
	a.opt.Log.Info("list changed by request", telemetry.Method(r.Method), telemetry.Rows(changed))
	httpserver.JSON(w, http.StatusOK, writeAnswer{Token: token, Changed: changed})
}
