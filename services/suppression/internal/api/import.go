package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/internal/audit"
	"github.com/mailstream/mailstream/services/internal/listfile"
	"github.com/mailstream/mailstream/services/internal/platform/httpserver"
	"github.com/mailstream/mailstream/services/internal/platform/telemetry"
	"github.com/mailstream/mailstream/services/suppression/internal/ledger"
	"github.com/mailstream/mailstream/services/suppression/internal/list"
	"github.com/mailstream/mailstream/services/suppression/internal/store"
)

const (
	// importBytesMax bounds the body of one import: about a million lines. The command
	// sends a longer file in parts.
	importBytesMax = 64 << 20
	// importBatchMax is how many lines are written at once: each batch waits for one round
	// trip to Kafka, and so does, meanwhile, whoever writes to the same addresses.
	importBatchMax = 4000
	// refusedMax bounds the lines that one answer names; all of them are counted.
	refusedMax = 1000
)

// importAnswer answers an import.
type importAnswer struct {
	Accepted int       `json:"accepted"` // lines that are on the list now, or would be
	Changed  int       `json:"changed"`  // of those, that were not on it as the line says
	Refused  []refused `json:"refused"`  // the first refusedMax of them
	// RefusedTotal is how many lines were refused.
	RefusedTotal int  `json:"refused_total"`
	DryRun       bool `json:"dry_run"`
	// Token is for a check's min_token; absent where nothing was written, or into more than 64 partitions.
	Token string `json:"token,omitempty"`
}

// refused is a line that is not on the list.
type refused struct {
	Line  int    `json:"line"`
	Error string `json:"error"`
}

// importing is one import on its way.
type importing struct {
	api     *API
	backend *Backend
	ctx     context.Context
	reason  schemas.SuppressionReason // of lines that name none
	note    string                    // of lines that have none
	id      string
	answer  importAnswer
	pending []planned
	reached reached
	room    patternRoom
}

// planned is a line that is to be written.
type planned struct {
	person
	line int
	add  addition
}

// importFile adds the lines of a file. A line that is refused keeps no other from being
// added. Sent once more, it changes nothing, so what was cut off is sent whole.
func (a *API) importFile(w http.ResponseWriter, r *http.Request, b *Backend) {
	values, ok := httpserver.Query(w, r, "dry_run", "reason", "note")
	if !ok {
		return
	}
	i := importing{api: a, backend: b, ctx: r.Context(), id: newRequestID(), reached: reached{}, room: patternRoom{reader: b.Reader}}
	i.answer.Refused = []refused{}
	i.reason, i.note = schemas.SuppressionReason(values.Get("reason")), values.Get("note")
	var err error
	if values.Has("dry_run") {
		if i.answer.DryRun, err = strconv.ParseBool(values.Get("dry_run")); err != nil {
			refuse(w, "dry_run is neither true nor false")
			return
		}
	}
	if values.Has("reason") && !slices.Contains(list.Reasons(), i.reason) {
		refuse(w, fmt.Sprintf("reason must be one of %v", list.Reasons()))
		return
	}
	if fault := noteFault(i.note); fault != "" {
		refuse(w, fault)
		return
	}
	if !i.answer.DryRun && !a.note(w, r, audit.Entry{Action: auditImport, Object: i.id, Note: i.note}) {
		return
	}
	err = listfile.Read(http.MaxBytesReader(w, r.Body, importBytesMax), r.Header.Get("Content-Type"), i.take)
	if err == nil {
		err = i.flush()
	}
	a.answerImport(w, &i, err)
}

func (a *API) answerImport(w http.ResponseWriter, i *importing, err error) {
	if n := i.answer.Changed; n > 0 && !i.answer.DryRun {
		a.opt.Metrics.written.WithLabelValues(http.MethodPost).Inc()
		a.opt.Log.Info("list changed by request", telemetry.Method(http.MethodPost), telemetry.Rows(n))
	}
	before := fmt.Sprintf("%d lines were added before; send the whole once more, which changes nothing of them", i.answer.Accepted)
	if i.answer.DryRun {
		before = "nothing was changed"
	}
	_, long := errors.AsType[*http.MaxBytesError](err)
	switch {
	case err == nil:
		i.answer.Token = i.reached.token(i.backend.Epoch)
		httpserver.JSON(w, http.StatusOK, i.answer)
	case long:
		httpserver.Problem(w, http.StatusRequestEntityTooLarge, "body too large",
			fmt.Sprintf("the limit is %d bytes: send the file in parts; %s", importBytesMax, before))
	case errors.Is(err, errStore):
		a.opt.Log.Error("import failed", telemetry.Err(err))
		unreadable(w)
	case errors.Is(err, errNotWritten):
		a.opt.Metrics.writeErrors.Inc()
		a.opt.Log.Warn("write was not acknowledged", telemetry.Err(err))
		unavailable(w, "not_acknowledged", "Kafka has not acknowledged a part of the file; "+before)
	default:
		refuse(w, err.Error()+"; "+before)
	}
}

// take checks one line and keeps it for writing.
func (i *importing) take(row listfile.Row) error {
	who, add, fault := i.read(row)
	if fault != "" {
		i.refuse(row.Line, fault)
		return nil
	}
	i.pending = append(i.pending, planned{person: who, line: row.Line, add: add})
	if len(i.pending) < importBatchMax {
		return nil
	}
	return i.flush()
}

func (i *importing) refuse(line int, fault string) {
	i.answer.RefusedTotal++
	if len(i.answer.Refused) < refusedMax {
		i.answer.Refused = append(i.answer.Refused, refused{line, fault})
	}
}

// read says what a line adds, or what is wrong with it.
func (i *importing) read(row listfile.Row) (who person, add addition, fault string) {
	if row.Fault != "" {
		return who, add, row.Fault
	}
	who, err := i.api.subjectOf(row.Address)
	if err != nil {
		return who, add, "address is " + err.Error()
	}
	add = addition{reason: schemas.SuppressionReason(row.Reason), note: row.Note, id: i.id}
	if add.reason == "" {
		add.reason = i.reason
	}
	if add.reason == "" {
		add.reason = schemas.SuppressManual
	}
	if add.note == "" {
		add.note = i.note
	}
	scope, named, err := target{Scope: httpserver.Given(row.Scope), Stream: httpserver.Given(row.Stream), List: httpserver.Given(row.List)}.scope()
	if add.scope = scope; !named {
		add.scope = schemas.ScopeAccount
	}
	switch {
	case err != nil:
		return who, add, err.Error()
	case !slices.Contains(list.Reasons(), add.reason):
		return who, add, fmt.Sprintf("reason %q is not one of %v", clip(row.Reason), list.Reasons())
	}
	if fault := noteFault(add.note); fault != "" {
		return who, add, fault
	}
	expires, err := expiryOf(row.Expires)
	if err != nil {
		return who, add, "expires " + err.Error()
	}
	add.expires = list.Stamp(expires)
	if !add.expires.IsZero() && !add.expires.After(time.Now()) {
		return who, add, "expires is not in the future"
	}
	if err := i.room.take(who); err != nil {
		return who, add, "address is " + err.Error()
	}
	return who, add, ""
}

// clip shows the beginning of a word.
func clip(word string) string {
	const most = 32
	if len(word) > most {
		return strings.ToValidUTF8(word[:most], "") + "..."
	}
	return word
}

// expiryOf reads the text of a line; "" is never.
func expiryOf(text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	quoted, err := json.Marshal(text)
	if err != nil {
		return time.Time{}, err
	}
	var e expiry
	if err := e.UnmarshalJSON(quoted); err != nil {
		if said, ok := errors.AsType[*httpserver.ValueError](err); ok {
			return time.Time{}, errors.New(said.Says)
		}
		return time.Time{}, err
	}
	return e.at, nil
}

// errNotWritten says that a part was not acknowledged.
var errNotWritten = errors.New("not acknowledged")

// flush writes what is pending, or finds what that would change.
func (i *importing) flush() error {
	pending := i.pending
	i.pending = i.pending[:0]
	if len(pending) == 0 {
		return nil
	}
	if i.answer.DryRun {
		return i.compare(pending)
	}
	faults, changed := make([]error, len(pending)), make([]int, len(pending))
	edits := make([]ledger.Edit, len(pending))
	for n, p := range pending {
		edits[n] = ledger.Edit{Key: p.key, Address: p.canonical, Apply: func(cur schemas.Suppression) schemas.Suppression {
			var next schemas.Suppression
			next, changed[n], faults[n] = p.add.apply(cur, time.Now())
			return next
		}}
	}
	ctx, cancel := context.WithTimeout(i.ctx, writeTimeout)
	defer cancel()
	results, err := i.backend.Writer.Write(ctx, edits)
	if err != nil {
		return fmt.Errorf("%w: %w", errNotWritten, err)
	}
	i.reached.note(results)
	i.count(pending, changed, faults)
	return nil
}

func (i *importing) count(pending []planned, changed []int, faults []error) {
	for n, p := range pending {
		if faults[n] != nil {
			i.refuse(p.line, faults[n].Error()+": use a wider scope")
			continue
		}
		i.answer.Accepted++
		i.answer.Changed += changed[n]
	}
}

// compare is flush of a dry run.
func (i *importing) compare(pending []planned) error {
	keys := make([]store.Key, len(pending))
	for n := range pending {
		keys[n] = pending[n].key
	}
	states, err := i.backend.Reader.GetAll(keys)
	if err != nil {
		return fmt.Errorf("%w: %w", errStore, err)
	}
	faults, changed := make([]error, len(pending)), make([]int, len(pending))
	for n, p := range pending {
		_, changed[n], faults[n] = p.add.apply(states[n], time.Now())
	}
	i.count(pending, changed, faults)
	return nil
}
