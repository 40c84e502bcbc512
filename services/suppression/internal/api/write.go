package api

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/internal/audit"
	"github.com/mailstream/mailstream/services/internal/platform/fate"
	"github.com/mailstream/mailstream/services/internal/platform/httpserver"
	"github.com/mailstream/mailstream/services/internal/platform/telemetry"
	"github.com/mailstream/mailstream/services/suppression/internal/ledger"
	"github.com/mailstream/mailstream/services/suppression/internal/list"
	"github.com/mailstream/mailstream/services/suppression/internal/store"
)

// requestPrefix marks evidence that is a request, not an event.
const requestPrefix = "api:"

// writeTimeout bounds one write, the wait for other writers of the address
// included: more than a publish may take, less than the listener allows.
const writeTimeout = 10 * time.Second

// newRequestID returns the evidence recorded for one request.
func newRequestID() string { return requestPrefix + uuid.Must(uuid.NewV7()).String() }

func requestID(evidence string) (id string, ok bool) {
	return strings.CutPrefix(evidence, requestPrefix)
}

// putRequest adds one entry. A repeat changes nothing.
type putRequest struct {
	Address string           `json:"address"`
	Reason  httpserver.Given `json:"reason"` // default manual
	target
	Expires expiry `json:"expires"` // left out: never
	Note    string `json:"note"`
}

// removeRequest lifts the active entries of Address, or those of one reason or
// scope.
type removeRequest struct {
	Address string           `json:"address"`
	Note    string           `json:"note"` // required: why
	Reason  httpserver.Given `json:"reason"`
	target
	// Consent says that the person has asked for mail again. A complaint is not
	// lifted without it.
	Consent bool `json:"consent"`
}

// writeAnswer answers a write.
type writeAnswer struct {
	Token   string `json:"token"`
	Changed int    `json:"changed"` // entries that are different now
}

func (a *API) put(w http.ResponseWriter, r *http.Request, b *Backend) {
	var req putRequest
	if !httpserver.Body(w, r, &req, writeBytesMax) {
		return
	}
	reason := cmp.Or(schemas.SuppressionReason(req.Reason), schemas.SuppressManual)
	scope, named, err := req.scope()
	if !named {
		scope = schemas.ScopeAccount
	}
	now, expires := time.Now(), list.Stamp(req.Expires.at)
	switch {
	case err != nil:
		refuse(w, err.Error())
	case !slices.Contains(list.Reasons(), reason):
		refuse(w, fmt.Sprintf("reason must be one of %v", list.Reasons()))
	case noteFault(req.Note) != "":
		refuse(w, noteFault(req.Note))
	case !expires.IsZero() && !expires.After(now):
		refuse(w, "expires is not in the future")
	default:
		add := addition{scope: scope, reason: reason, expires: expires, note: req.Note, id: newRequestID()}
		a.edit(w, r, b, change{address: req.Address, apply: add.apply, adds: true, note: audit.Entry{Action: auditAdd, Note: req.Note}})
	}
}

func (a *API) remove(w http.ResponseWriter, r *http.Request, b *Backend) {
	var req removeRequest
	if !httpserver.Body(w, r, &req, writeBytesMax) {
		return
	}
	reason := schemas.SuppressionReason(req.Reason)
	scope, _, err := req.scope()
	switch {
	case err != nil:
		refuse(w, err.Error())
	case strings.TrimSpace(req.Note) == "":
		refuse(w, "note is missing: say why it is lifted")
	case noteFault(req.Note) != "":
		refuse(w, noteFault(req.Note))
	case reason != "" && !slices.Contains(list.Reasons(), reason):
		refuse(w, fmt.Sprintf("reason must be one of %v", list.Reasons()))
	default:
		lift := removal{scope: scope, reason: reason, note: req.Note, consent: req.Consent, id: newRequestID()}
		a.edit(w, r, b, change{address: req.Address, apply: lift.apply, former: true, note: audit.Entry{Action: auditLift, Note: req.Note}})
	}
}

func refuse(w http.ResponseWriter, detail string) {
	httpserver.Problem(w, http.StatusBadRequest, "bad request", detail)
}

// noteFault says what is wrong with a note, "" when nothing is.
func noteFault(note string) string {
	switch {
	case len(note) > noteBytesMax:
		return fmt.Sprintf("note is longer than %d bytes", noteBytesMax)
	case !readable(note, true):
		return "note has control characters"
	}
	return ""
}

// errStore says that the local store cannot be read.
var errStore = errors.New("the local store could not be read")

// unreadable answers while the local store cannot be read.
func unreadable(w http.ResponseWriter) {
	httpserver.Problem(w, http.StatusInternalServerError, "internal error", errStore.Error())
}

// errConsent says that a complaint would be lifted without consent.
var errConsent = errors.New("a complaint is lifted only with consent")

// change is one write: apply returns the state after it and how many entries
// it changed.
type change struct {
	address string
	apply   func(cur schemas.Suppression, now time.Time) (next schemas.Suppression, changed int, err error)
	former  bool // what is under a former hash changes, too
	adds    bool // there may be one pattern more
	note    audit.Entry
}

// edit makes c durable and answers with its token.
func (a *API) edit(w http.ResponseWriter, r *http.Request, b *Backend, c change) {
	who, err := a.subjectOf(c.address)
	if err == nil && c.adds {
		err = (&patternRoom{reader: b.Reader}).take(who)
	}
	if err != nil {
		refuse(w, "address is "+err.Error())
		return
	}
	c.note.Object = who.key.String()
	if !a.note(w, r, c.note) {
		return
	}
	var fault error
	keys := []store.Key{who.key}
	if c.former && who.hasFormer {
		state, _, err := b.Reader.Get(who.former)
		if err == nil {
			_, _, fault = c.apply(state, time.Now())
		}
		keys = append(keys, who.former)
	}
	changed := make([]int, len(keys))
	edits := make([]ledger.Edit, len(keys))
	for i, key := range keys {
		edits[i] = ledger.Edit{Key: key, Address: who.canonical, Apply: func(cur schemas.Suppression) schemas.Suppression {
			next, n, err := c.apply(cur, time.Now())
			if fault = cmp.Or(fault, err); fault != nil { // of any: nothing changes
				return cur
			}
			changed[i] = n
			return next
		}}
	}
	ctx, cancel := context.WithTimeout(r.Context(), writeTimeout)
	defer cancel()
	results, err := b.Writer.Write(ctx, edits)
	a.answerWrite(w, r, written{who: who, results: results, changed: sum(changed), epoch: b.Epoch, fault: fault, err: err})
}

func sum(list []int) (n int) {
	for _, v := range list {
		n += v
	}
	return n
}

// written is what became of a write.
type written struct {
	who     person
	results []ledger.Result
	changed int
	epoch   ledger.Epoch
	fault   error // why nothing was changed
	err     error // why it is not acknowledged
}

func (a *API) answerWrite(w http.ResponseWriter, r *http.Request, done written) {
	switch {
	case done.err != nil:
		a.writeFailed(w, done.err)
	case errors.Is(done.fault, errConsent):
		httpserver.Problem(w, http.StatusConflict, "consent_required",
			`the address complained; send "consent": true when the person has asked for mail again, or name another reason`)
	case errors.Is(done.fault, errTooMany):
		httpserver.Problem(w, http.StatusConflict, "too_many_entries", "the address has too many entries; use a wider scope")
	default:
		a.opt.Metrics.written.WithLabelValues(r.Method).Inc()
		a.opt.Log.Info("list changed by request", telemetry.Method(r.Method), telemetry.RecipientHash(done.who.key.String()), telemetry.Rows(done.changed))
		positions := make([]ledger.Position, 0, len(done.results))
		for _, res := range done.results {
			positions = append(positions, res.At)
		}
		httpserver.JSON(w, http.StatusOK, writeAnswer{Token: done.epoch.Token(positions...), Changed: done.changed})
	}
}

func (a *API) writeFailed(w http.ResponseWriter, err error) {
	a.opt.Metrics.writeErrors.Inc()
	a.opt.Log.Warn("write was not acknowledged", telemetry.Err(err))
	if fate.Of(err) == fate.DeadLetter {
		httpserver.Problem(w, http.StatusConflict, "too_many_entries", "the record of the address would become too large")
		return
	}
	unavailable(w, "not_acknowledged", "Kafka has not acknowledged the write; it may still be made, and a repeat is safe")
}

// editsMax is how many edits are written at once, as a batch of events is.
const editsMax = 500

// reached is how far writes got, by partition.
type reached map[int32]ledger.Position

func (r reached) note(results []ledger.Result) {
	for _, res := range results {
		if had, ok := r[res.At.Partition]; !ok || res.At.Offset > had.Offset {
			r[res.At.Partition] = res.At
		}
	}
}

// token has all of it; "" for nothing, and for more partitions than a token may name.
func (r reached) token(epoch ledger.Epoch) string {
	if len(r) == 0 || len(r) > ledger.TokenPartsMax {
		return ""
	}
	return epoch.Token(slices.Collect(maps.Values(r))...)
}

// writeAll makes edits durable, editsMax at a time, and returns a token that has them all.
func (a *API) writeAll(ctx context.Context, b *Backend, edits []ledger.Edit) (token string, err error) {
	done := reached{}
	for chunk := range slices.Chunk(edits, editsMax) {
		results, err := b.Writer.Write(ctx, chunk)
		if err != nil {
			return "", err
		}
		done.note(results)
	}
	return done.token(b.Epoch), nil
}

// entriesMax bounds the entries of one address that requests may add.
const entriesMax = 500

// errTooMany says that an address has entriesMax entries already.
var errTooMany = errors.New("too many entries")

// addition is a put on its way.
type addition struct {
	scope   string
	reason  schemas.SuppressionReason
	expires time.Time
	note    string
	id      string
}

func (p addition) apply(cur schemas.Suppression, now time.Time) (schemas.Suppression, int, error) {
	had := list.Find(cur, p.scope, p.reason)
	if list.Active(had, now) && had.ExpiresAt.Equal(p.expires) && had.Note == p.note {
		return cur, 0, nil
	}
	if len(cur.Entries) >= entriesMax && had.AddedAt.IsZero() && had.RemovedAt.IsZero() {
		return cur, 0, errTooMany
	}
	// What the caller decides now comes after all that is known, even if a
	// provider's clock was ahead of ours.
	at := latest(now, had.RemovedAt, had.AddedAt.Add(time.Millisecond))
	entry := list.Added(had, at)
	entry.ExpiresAt, entry.Note, entry.Evidence = p.expires, p.note, p.id
	return merge(cur, entry), 1, nil
}

// removal is a lift on its way.
type removal struct {
	scope   string                    // "": any
	reason  schemas.SuppressionReason // "": any
	note    string
	consent bool
	id      string
}

func (p removal) apply(cur schemas.Suppression, now time.Time) (schemas.Suppression, int, error) {
	meant := func(had schemas.SuppressionEntry) bool {
		return (p.scope == "" || p.scope == had.Scope) && (p.reason == "" || p.reason == had.Reason) && list.Active(had, now)
	}
	for _, had := range cur.Entries {
		if meant(had) && had.Reason == schemas.SuppressComplaint && !p.consent {
			return cur, 0, errConsent
		}
	}
	next, lifted := p.these(cur, now, meant)
	return next, lifted, nil
}

// these lifts the entries that are meant.
func (p removal) these(cur schemas.Suppression, now time.Time, meant func(schemas.SuppressionEntry) bool) (schemas.Suppression, int) {
	next, lifted := cur, 0
	for _, had := range cur.Entries {
		if !meant(had) {
			continue
		}
		entry := list.Lifted(had, latest(now, had.AddedAt.Add(time.Millisecond)))
		entry.RemovedBy, entry.RemovedNote = p.id, p.note
		next = merge(next, entry)
		lifted++
	}
	return next, lifted
}

func merge(cur schemas.Suppression, entry schemas.SuppressionEntry) schemas.Suppression {
	return list.Merge(cur, schemas.Suppression{
		Hash: cur.Hash, Address: cur.Address, UpdatedAt: cur.UpdatedAt, Entries: []schemas.SuppressionEntry{entry},
	})
}

// latest returns the latest of times; zero ones are before all others.
func latest(times ...time.Time) time.Time {
	return slices.MaxFunc(times, time.Time.Compare)
}
