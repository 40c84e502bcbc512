package api

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/internal/address"
	"github.com/mailstream/mailstream/services/internal/audit"
	"github.com/mailstream/mailstream/services/internal/platform/httpserver"
	"github.com/mailstream/mailstream/services/internal/platform/telemetry"
	"github.com/mailstream/mailstream/services/suppression/internal/ledger"
	"github.com/mailstream/mailstream/services/suppression/internal/list"
	"github.com/mailstream/mailstream/services/suppression/internal/store"
)

const (
	// liftMax bounds the addresses one call lifts, so that it ends within writeTimeout.
	liftMax = 2000
	// liftScanMax bounds the addresses one call looks at: a second of reading.
	liftScanMax = 200_000
)

// liftRequest lifts what was listed within a time: what an outage, a wrong import
// or a bad rule did. It is worked off in calls, each from the cursor of the last.
type liftRequest struct {
	Reason          schemas.SuppressionReason `json:"reason"`           // required
	AddedFrom       time.Time                 `json:"added_from"`       // required, inclusive: the time of the event behind an entry
	AddedTo         time.Time                 `json:"added_to"`         // required, exclusive
	Source          httpserver.Given          `json:"source"`           // of the event; left out: any
	MailboxProvider httpserver.Given          `json:"mailbox_provider"` // of the address; left out: any
	Note            string                    `json:"note"`             // required: why
	Consent         bool                      `json:"consent"`          // needed for complaints, as in a remove
	DryRun          bool                      `json:"dry_run"`          // count only
	Cursor          string                    `json:"cursor"`
}

// liftAnswer answers one call.
type liftAnswer struct {
	Matched int `json:"matched"` // active entries that the request is about, of this call
	Lifted  int `json:"lifted"`  // 0 in a dry run
	// NextCursor is for the next call; absent once all was looked at.
	NextCursor string `json:"next_cursor,omitempty"`
	// Token is for a check's min_token; absent when nothing was written, or into more than 64 partitions.
	Token string `json:"token,omitempty"`
}

func (req *liftRequest) fault() string {
	switch {
	case !slices.Contains(list.Reasons(), req.Reason):
		return fmt.Sprintf("reason must be one of %v", list.Reasons())
	case req.AddedFrom.IsZero() || req.AddedTo.IsZero():
		return "added_from and added_to are missing: say when it was listed"
	case !req.AddedFrom.Before(req.AddedTo):
		return "added_from is not before added_to"
	case strings.TrimSpace(req.Note) == "":
		return "note is missing: say why it is lifted"
	case noteFault(req.Note) != "":
		return noteFault(req.Note)
	case len(req.Source) > nameBytesMax || len(req.MailboxProvider) > nameBytesMax:
		return fmt.Sprintf("source or mailbox_provider is longer than %d bytes", nameBytesMax)
	case req.Reason == schemas.SuppressComplaint && !req.Consent:
		return `complaints are lifted only with "consent": true, when the people have asked for mail again`
	}
	return ""
}

// means says that an entry of an address is one that the request is about.
func (req *liftRequest) means(a *API, s *schemas.Suppression, e schemas.SuppressionEntry, now time.Time) bool {
	return e.Reason == req.Reason && list.Active(e, now) &&
		!e.AddedAt.Before(req.AddedFrom) && e.AddedAt.Before(req.AddedTo) &&
		(req.Source == "" || e.Source == string(req.Source)) &&
		(req.MailboxProvider == "" || s.Address != "" && a.opt.MailboxProvider(address.Domain(s.Address)) == string(req.MailboxProvider))
}

func (a *API) lift(w http.ResponseWriter, r *http.Request, b *Backend) {
	var req liftRequest
	if !httpserver.Body(w, r, &req, writeBytesMax) {
		return
	}
	from, err := parseCursor(req.Cursor)
	fault := req.fault()
	if fault == "" && req.MailboxProvider != "" && !a.opt.KnownMailboxProvider(string(req.MailboxProvider)) {
		fault = fmt.Sprintf("mailbox_provider %q is not in the table of domains, so it would match no address; use one such as google", req.MailboxProvider)
	}
	if fault != "" || err != nil {
		if err != nil {
			fault = err.Error()
		}
		refuse(w, fault)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), writeTimeout)
	defer cancel()
	answer, edits, err := a.findLifts(ctx, b, &req, from.key)
	if err != nil {
		if r.Context().Err() == nil {
			a.opt.Log.Error("list failed", telemetry.Err(err))
		}
		unreadable(w)
		return
	}
	if !req.DryRun && len(edits) > 0 {
		if !a.note(w, r, audit.Entry{Action: auditLift, Object: string(req.Reason), Note: addresses(len(edits)) + ": " + req.Note}) {
			return
		}
		if answer.Token, err = a.writeAll(ctx, b, edits); err != nil {
			a.writeFailed(w, err)
			return
		}
		answer.Lifted = answer.Matched
		a.opt.Metrics.written.WithLabelValues(r.Method).Inc()
		a.opt.Log.Info("list changed by request", telemetry.Method(r.Method), telemetry.Reason(string(req.Reason)), telemetry.Rows(answer.Lifted))
	}
	httpserver.JSON(w, http.StatusOK, answer)
}

// findLifts looks at the addresses from key on.
func (a *API) findLifts(ctx context.Context, b *Backend, req *liftRequest, key store.Key) (answer liftAnswer, edits []ledger.Edit, err error) {
	now, scanned, id := time.Now(), 0, newRequestID()
	lift := removal{reason: req.Reason, note: req.Note, consent: req.Consent, id: id}
	err = b.Reader.Scan(ctx, key, func(k store.Key, s schemas.Suppression) bool {
		if scanned++; scanned > liftScanMax || len(edits) == liftMax {
			answer.NextCursor = cursor{key: k}.String()
			return false
		}
		n := 0
		for _, e := range s.Entries {
			if req.means(a, &s, e, now) {
				n++
			}
		}
		if answer.Matched += n; n > 0 {
			edits = append(edits, ledger.Edit{Key: k, Address: s.Address, Apply: func(cur schemas.Suppression) schemas.Suppression {
				next, _ := lift.these(cur, now, func(e schemas.SuppressionEntry) bool { return req.means(a, &cur, e, now) })
				return next
			}})
		}
		return true
	})
	return answer, edits, err
}
