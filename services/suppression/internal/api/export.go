package api

import (
	"cmp"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/internal/address"
	"github.com/mailstream/mailstream/services/internal/audit"
	"github.com/mailstream/mailstream/services/internal/platform/httpserver"
	"github.com/mailstream/mailstream/services/internal/platform/telemetry"
	"github.com/mailstream/mailstream/services/suppression/internal/list"
	"github.com/mailstream/mailstream/services/suppression/internal/store"
)

const (
	// exportStep is after how many addresses an export gets exportTime more: a long list
	// takes longer than any other answer.
	exportStep = 1000
	exportTime = 30 * time.Second
)

// exported is one active entry.
type exported struct {
	Address  string `json:"address,omitempty"` // absent once erased
	Hash     string `json:"recipient_hash"`
	Reason   string `json:"reason"`
	Scope    string `json:"scope"`
	Since    string `json:"since"`
	Expires  string `json:"expires,omitempty"`
	Note     string `json:"note,omitempty"`
	Evidence string `json:"evidence,omitempty"`
	Provider string `json:"provider,omitempty"`
	Source   string `json:"source,omitempty"`
}

// exportHeader names the columns of CSV, so that an import reads them.
var exportHeader = []string{"address", "recipient_hash", "reason", "scope", "since", "expires", "note", "evidence", "provider", "source"}

func (e exported) record() []string {
	return []string{e.Address, e.Hash, e.Reason, e.Scope, e.Since, e.Expires, e.Note, e.Evidence, e.Provider, e.Source}
}

// selection is which entries are wanted; what is empty is any.
type selection struct {
	reason                schemas.SuppressionReason
	scope, domain, source string
	from, to              time.Time // added in [from, to)
	since                 string    // a token; what has changed since
}

// selected are the parameters of a selection.
var selected = []string{"reason", "scope", "domain", "source", "added_from", "added_to"}

func parseSelection(values url.Values) (s selection, err error) {
	s.reason, s.scope = schemas.SuppressionReason(values.Get("reason")), values.Get("scope")
	s.domain, s.source = values.Get("domain"), values.Get("source")
	for _, name := range selected {
		if values.Has(name) && values.Get(name) == "" && name != "reason" {
			return s, fmt.Errorf("%s is empty: leave it out, or say which", name)
		}
	}
	if values.Has("reason") && !slices.Contains(list.Reasons(), s.reason) {
		return s, fmt.Errorf("reason must be one of %v", list.Reasons())
	}
	if s.scope != "" {
		if err := list.ValidateScope(s.scope); err != nil {
			return s, err
		}
	}
	if s.domain != "" {
		if s.domain, err = filterDomain(s.domain); err != nil {
			return s, err
		}
	}
	if len(s.source) > nameBytesMax || !readable(s.source, false) {
		return s, fmt.Errorf("source is not the name of one: it has control characters, or more than %d bytes", nameBytesMax)
	}
	for name, at := range map[string]*time.Time{"added_from": &s.from, "added_to": &s.to} {
		if values.Has(name) {
			if *at, err = time.Parse(time.RFC3339, values.Get(name)); err != nil {
				return s, fmt.Errorf("%s is not a time of RFC 3339, like 2026-01-02T15:04:05Z", name)
			}
		}
	}
	if !s.to.IsZero() && !s.from.Before(s.to) {
		return s, fmt.Errorf("added_from is not before added_to")
	}
	return s, nil
}

// filterDomain reads a domain in any spelling; that of patterns begins with "*.".
func filterDomain(text string) (string, error) {
	pattern, err := address.Pattern("*@" + text)
	if err != nil {
		return "", errors.New("domain is not one, like example.com: it would match no address")
	}
	return strings.TrimPrefix(pattern, "*@"), nil
}

func (s selection) has(addr string, e schemas.SuppressionEntry) bool {
	return (s.reason == "" || s.reason == e.Reason) && (s.scope == "" || s.scope == e.Scope) && (s.source == "" || s.source == e.Source) &&
		(s.domain == "" || addr != "" && address.OneDomain(address.Domain(addr)) == s.domain) &&
		!e.AddedAt.Before(s.from) && (s.to.IsZero() || e.AddedAt.Before(s.to))
}

// export writes the active entries that are wanted, as the list was when it began. A
// reader that is cut off has less than the last line says: an export ends with the
// trailer Mailstream-Entries, the number of entries.
func (a *API) export(w http.ResponseWriter, r *http.Request, b *Backend) {
	values, ok := httpserver.Query(w, r, append([]string{"format", "since_token"}, selected...)...)
	if !ok {
		return
	}
	want, err := parseSelection(values)
	format := values.Get("format")
	if err == nil && values.Has("format") && format != "csv" && format != "ndjson" {
		err = fmt.Errorf("format is neither csv nor ndjson")
	}
	want.since = values.Get("since_token")
	switch {
	case err != nil:
	case len(want.since) > tokenBytesMax:
		err = fmt.Errorf("since_token is longer than %d bytes", tokenBytesMax)
	case values.Has("since_token") && format == "csv":
		err = errors.New("format is csv, but changes since a token are ndjson: an address that has left the list has no line in CSV")
	}
	if err != nil {
		refuse(w, err.Error())
		return
	}
	if !a.noteLook(w, r, audit.Entry{Action: auditExport, Object: filterOf(values)}) {
		return
	}
	if values.Has("since_token") {
		a.exportChanges(w, r, b, want)
		return
	}
	if token := tokenOf(b.Epoch, b.Follower.Applied()); token != "" { // before the scan, so that nothing is missed
		w.Header().Set(exportToken, token)
	}
	exportHeaders(w, "")
	written, err := exportAll(r.Context(), w, b, format, want)
	if err != nil {
		if r.Context().Err() == nil {
			a.opt.Log.Error("list failed", telemetry.Err(err))
		}
		panic(http.ErrAbortHandler) // a reader must not take what is there for all
	}
	w.Header().Set("Mailstream-Entries", strconv.Itoa(written))
}

// exportAll writes the entries that are wanted and returns how many.
func exportAll(ctx context.Context, w http.ResponseWriter, b *Backend, format string, want selection) (written int, err error) {
	out, err := exporterOf(format, w)
	if err != nil {
		return 0, err
	}
	deadline := http.NewResponseController(w)
	now, seen := time.Now(), 0
	var fault error
	err = b.Reader.Scan(ctx, store.Key{}, func(k store.Key, s schemas.Suppression) bool {
		if seen++; seen%exportStep == 0 {
			_ = deadline.SetWriteDeadline(time.Now().Add(exportTime)) // a writer without one does not stall
		}
		for _, e := range s.Entries {
			if !list.Active(e, now) || !want.has(s.Address, e) {
				continue
			}
			if fault = out.write(exportedOf(k, s.Address, e)); fault != nil {
				return false
			}
			written++
		}
		return true
	})
	return written, cmp.Or(err, fault, out.end())
}

func exportedOf(k store.Key, addr string, e schemas.SuppressionEntry) exported {
	return exported{
		Address: addr, Hash: k.String(), Reason: string(e.Reason), Scope: e.Scope, Since: stamp(list.Since(e)),
		Expires: stamp(e.ExpiresAt), Note: e.Note, Evidence: e.Evidence, Provider: e.Provider, Source: e.Source,
	}
}

func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339Nano)
}

// exporter writes entries in one format.
type exporter interface {
	write(e exported) error
	end() error
}

// ndjson writes an object a line.
type ndjson struct{ *json.Encoder }

func (n ndjson) write(e exported) error { return n.Encode(e) }
func (ndjson) end() error               { return nil }

// commas writes a line of names and one an entry.
type commas struct{ *csv.Writer }

func (c commas) write(e exported) error { return c.Write(e.record()) }

func (c commas) end() error {
	c.Flush()
	return c.Error()
}

// exporterOf begins an answer in a format.
func exporterOf(format string, w http.ResponseWriter) (exporter, error) {
	if format == "ndjson" {
		w.Header().Set("Content-Type", "application/x-ndjson")
		return ndjson{json.NewEncoder(w)}, nil
	}
	w.Header().Set("Content-Type", "text/csv; charset=utf-8")
	c := commas{csv.NewWriter(w)}
	return c, c.Write(exportHeader)
}

// historyAnswer is what is known of one address.
type historyAnswer struct {
	Address string `json:"address"`
	Hash    string `json:"recipient_hash"`
	// Steps are the adds and lifts, the latest 20 of each for each entry, the earliest
	// first.
	Steps []step `json:"steps"`
	LagMS int64  `json:"lag_ms"`
}

// step is an add or a lift.
type step struct {
	At       time.Time                 `json:"at"`
	Action   string                    `json:"action"` // added or lifted
	Reason   schemas.SuppressionReason `json:"reason"`
	Scope    string                    `json:"scope"`
	Active   bool                      `json:"active"` // of an add: whether it forbids mail now
	Expires  *time.Time                `json:"expires,omitempty"`
	Evidence evidence                  `json:"evidence"`
	Note     string                    `json:"note,omitempty"`
	Matched  string                    `json:"matched,omitempty"` // what stands for the address, such as *@example.com
}

func (a *API) history(w http.ResponseWriter, r *http.Request, b *Backend) {
	values, ok := httpserver.Query(w, r, "address")
	if !ok {
		return
	}
	who, err := a.subjectOf(values.Get("address"))
	if err != nil {
		refuse(w, "address is "+err.Error())
		return
	}
	if !a.noteLook(w, r, a.lookAt(auditHistory, values.Get("address"))) {
		return
	}
	states, err := statesOf(b.Reader, []person{who})
	if err != nil {
		a.opt.Log.Error("history failed", telemetry.Err(err))
		unreadable(w)
		return
	}
	answer := historyAnswer{Address: values.Get("address"), Hash: who.key.String(), Steps: []step{}, LagMS: b.Follower.Lag().Milliseconds()}
	now := time.Now()
	for of, s := range a.withPatterns(states[:1:1], who.canonical, b.Reader.Patterns()) {
		if of > 0 && s.Address == who.canonical {
			continue // it was asked about itself
		}
		for _, e := range s.Entries {
			for _, step := range stepsOf(e, now) {
				if of > 0 {
					step.Matched = s.Address
				}
				answer.Steps = append(answer.Steps, step)
			}
		}
	}
	slices.SortStableFunc(answer.Steps, func(a, b step) int { return a.At.Compare(b.At) })
	w.Header().Set("Cache-Control", "no-store")
	httpserver.JSON(w, http.StatusOK, answer)
}

// stepsOf returns the adds and lifts of e; only the add that it has now may be active.
func stepsOf(e schemas.SuppressionEntry, now time.Time) (steps []step) {
	for _, s := range list.History(e) {
		out := step{At: s.At, Action: "added", Reason: e.Reason, Scope: e.Scope, Note: s.Note}
		out.Evidence = evidence{Provider: s.Provider, Source: s.Source, Time: s.At}
		if id, ok := requestID(s.Evidence); ok {
			out.Evidence.RequestID = id
		} else {
			out.Evidence.EventID = s.Evidence
		}
		switch {
		case s.Lift:
			out.Action = "lifted"
		case s == list.AddedStep(e):
			out.Active, out.Expires = list.Active(e, now), viewOf(e).Expires
		}
		steps = append(steps, out)
	}
	slices.Reverse(steps)
	return steps
}
