package deadletters

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/internal/audit"
	"github.com/mailstream/mailstream/services/internal/platform/config"
	"github.com/mailstream/mailstream/services/internal/platform/httpserver"
	"github.com/mailstream/mailstream/services/internal/platform/telemetry"
)

const (
	// bodyBytesMax bounds a body: a thousand ids and a note.
	bodyBytesMax = 64 << 10
	// pageDefault and pageMax are how many dead letters one answer has; each is at most
	// redactedBytesMax.
	pageDefault = 50
	pageMax     = 200
	// operationsShown is how many operations one answer has.
	operationsShown = 100
	// planLettersMax and planTimeMax bound what a dry run looks at.
	planLettersMax = 10_000
	planTimeMax    = 20 * time.Second
	// readTimeMax bounds the other reads, and what a start or a stop writes.
	readTimeMax = 20 * time.Second
	// retryAfterSeconds is what a caller is asked to wait while ClickHouse or Kafka is away.
	retryAfterSeconds = "5"
)

const root = "/v1/dead-letters"

// API serves a Desk over HTTP. It never shows the bytes of a dead letter, only their
// form.
type API struct {
	desk *Desk
	log  *zap.Logger // throttled
}

// NewAPI returns the handler of everything below /v1/dead-letters; tokens let callers in.
func NewAPI(desk *Desk, tokens []config.Secret, log *zap.Logger) http.Handler {
	a := API{desk, telemetry.Throttled(log)}
	mux := http.NewServeMux()
	for path, methods := range map[string]map[string]http.HandlerFunc{
		"/v1/dead-letters":                      {http.MethodGet: a.list},
		"/v1/dead-letters/{id}":                 {http.MethodGet: a.show},
		"/v1/dead-letters/groups":               {http.MethodGet: a.groups},
		"/v1/dead-letters/redrive":              {http.MethodPost: a.start(schemas.OperationRedrive)},
		"/v1/dead-letters/discard":              {http.MethodPost: a.start(schemas.OperationDiscard)},
		"/v1/dead-letters/operations":           {http.MethodGet: a.operations},
		"/v1/dead-letters/operations/{id}":      {http.MethodGet: a.operation},
		"/v1/dead-letters/operations/{id}/stop": {http.MethodPost: a.stop},
	} {
		mux.HandleFunc(path, only(methods))
	}
	mux.HandleFunc("/", httpserver.NotFound)
	return httpserver.Bearer(tokens, mux)
}

// only answers the given methods and refuses the others.
func only(methods map[string]http.HandlerFunc) http.HandlerFunc {
	allow := strings.Join(slices.Sorted(maps.Keys(methods)), ", ")
	return func(w http.ResponseWriter, r *http.Request) {
		handle, ok := methods[r.Method]
		if !ok {
			w.Header().Set("Allow", allow)
			httpserver.Problem(w, http.StatusMethodNotAllowed, "method not allowed", "allowed: "+allow)
			return
		}
		w.Header().Set("Cache-Control", "no-store")
		handle(w, r)
	}
}

// filterNames are the parameters that say which dead letters.
func filterNames(more ...string) []string {
	return append(more, "service", "reason", "provider", "source", "state", "from", "to")
}

// filterOf reads which dead letters a query asks for: open ones, unless it says another
// state.
func filterOf(q url.Values, p *config.Problems) Filter {
	f := Filter{Service: q.Get("service"), Reason: q.Get("reason"), Provider: q.Get("provider"), Source: q.Get("source"), State: cmp.Or(q.Get("state"), StateOpen)}
	if f.State == "all" {
		f.State = ""
	}
	for name, at := range map[string]*time.Time{"from": &f.From, "to": &f.To} {
		if !q.Has(name) {
			continue
		}
		var err error
		*at, err = time.Parse(time.RFC3339, q.Get(name))
		p.Check(err == nil, name, "is not a time of RFC 3339, like 2026-01-02T15:04:05Z")
	}
	f.Validate(p)
	return f
}

// failed answers for an error of the desk.
func (a API) failed(w http.ResponseWriter, err error) {
	busy, isBusy := errors.AsType[*BusyError](err)
	switch {
	case isBusy:
		httpserver.Problem(w, http.StatusConflict, "another operation runs", busy.Error())
	case errors.Is(err, ErrUnknown):
		httpserver.Problem(w, http.StatusNotFound, "not found", ErrUnknown.Error())
	case errors.Is(err, ErrNoLetter):
		httpserver.Problem(w, http.StatusNotFound, "not found", err.Error())
	case errors.Is(err, ErrNotOpen):
		httpserver.Problem(w, http.StatusConflict, "not open", err.Error())
	default:
		a.log.Warn("request about dead letters was not answered", telemetry.Err(err))
		detail := "ClickHouse does not answer: try again"
		if errors.Is(err, audit.ErrAway) || errors.Is(err, errNotWritten) || errors.Is(err, ErrReading) {
			detail = "Kafka does not answer: try again, nothing was started or stopped"
		}
		w.Header().Set("Retry-After", retryAfterSeconds)
		httpserver.Problem(w, http.StatusServiceUnavailable, "unavailable", detail)
	}
}

func (a API) groups(w http.ResponseWriter, r *http.Request) {
	q, ok := httpserver.Query(w, r, filterNames()...)
	var faults config.Problems
	if !ok {
		return
	}
	f := filterOf(q, &faults)
	if httpserver.Refused(w, &faults) {
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), readTimeMax)
	defer cancel()
	groups, err := a.desk.Letters.Groups(ctx, f)
	if err != nil {
		a.failed(w, err)
		return
	}
	httpserver.JSON(w, http.StatusOK, struct {
		Groups []Group `json:"groups"`
		Cut    bool    `json:"cut"`
	}{groups, len(groups) == ListMax})
}

func (a API) list(w http.ResponseWriter, r *http.Request) {
	q, ok := httpserver.Query(w, r, filterNames("after", "limit")...)
	if !ok {
		return
	}
	var faults config.Problems
	f, limit := filterOf(q, &faults), pageDefault
	if q.Has("limit") {
		var err error
		limit, err = strconv.Atoi(q.Get("limit"))
		faults.Check(err == nil && limit >= 1 && limit <= pageMax, "limit", "is not in [1, %d]", pageMax)
	}
	faults.Check(!q.Has("after") || isID(q.Get("after")), "after", "is not 32 hexadecimal digits")
	if httpserver.Refused(w, &faults) {
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), readTimeMax)
	defer cancel()
	letters, err := a.desk.Letters.List(ctx, f, q.Get("after"), limit)
	if err != nil {
		a.failed(w, err)
		return
	}
	answer := struct {
		Letters []Letter `json:"letters"`
		Next    string   `json:"next,omitempty"`
	}{Letters: letters}
	if len(letters) == limit {
		answer.Next = letters[limit-1].ID
	}
	httpserver.JSON(w, http.StatusOK, answer)
}

func (a API) show(w http.ResponseWriter, r *http.Request) {
	if _, ok := httpserver.Query(w, r); !ok {
		return
	}
	id := r.PathValue("id")
	if !isID(id) {
		httpserver.Problem(w, http.StatusNotFound, "not found", "an id of a dead letter has 32 hexadecimal digits")
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), readTimeMax)
	defer cancel()
	letter, ok, err := a.desk.Letters.Get(ctx, id, false)
	switch {
	case err != nil:
		a.failed(w, err)
	case !ok:
		httpserver.Problem(w, http.StatusNotFound, "not found", ErrNoLetter.Error())
	default:
		httpserver.JSON(w, http.StatusOK, letter)
	}
}

// startBody is what a request for an operation takes.
type startBody struct {
	IDs      []string         `json:"ids"`
	Service  httpserver.Given `json:"service"`
	Reason   httpserver.Given `json:"reason"`
	Provider httpserver.Given `json:"provider"`
	Source   httpserver.Given `json:"source"`
	From     time.Time        `json:"from"`
	To       time.Time        `json:"to"`
	All      bool             `json:"all"`
	Rate     int              `json:"rate"`
	DryRun   bool             `json:"dry_run"`
	By       string           `json:"by"`
	Note     string           `json:"note"`
}

func (b startBody) request(kind string) Request {
	return Request{
		Kind: kind, Rate: cmp.Or(b.Rate, RateDefault), All: b.All, By: b.By, Note: b.Note,
		Filter: Filter{
			IDs: b.IDs, Service: string(b.Service), Reason: string(b.Reason), Provider: string(b.Provider), Source: string(b.Source), From: b.From, To: b.To,
		},
	}
}

// start begins an operation, or says what it would do.
func (a API) start(kind string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if _, ok := httpserver.Query(w, r); !ok {
			return
		}
		var body startBody
		if !httpserver.Body(w, r, &body, bodyBytesMax) {
			return
		}
		var faults config.Problems
		faults.Check(body.IDs == nil || len(body.IDs) > 0, "ids", "is empty: leave it out, or say which")
		asked := body.request(kind)
		asked.Role = audit.By(r, body.By).Role
		asked.Validate(&faults)
		if httpserver.Refused(w, &faults) {
			return
		}
		if body.DryRun {
			a.plan(w, r, asked)
			return
		}
		op, err := a.desk.Start(r.Context(), asked)
		if err != nil {
			a.failed(w, err)
			return
		}
		w.Header().Set("Location", root+"/operations/"+op.ID)
		httpserver.JSON(w, http.StatusAccepted, op)
	}
}

func (a API) plan(w http.ResponseWriter, r *http.Request, asked Request) {
	ctx, cancel := context.WithTimeout(r.Context(), planTimeMax)
	defer cancel()
	result, err := a.desk.Plan(ctx, asked, planLettersMax)
	if errors.Is(err, context.DeadlineExceeded) && r.Context().Err() == nil && result.Letters > 0 {
		result.Cut, err = true, nil
	}
	if err != nil {
		a.failed(w, err)
		return
	}
	httpserver.JSON(w, http.StatusOK, result)
}

func (a API) operations(w http.ResponseWriter, r *http.Request) {
	if _, ok := httpserver.Query(w, r); !ok || !a.known(w) {
		return
	}
	httpserver.JSON(w, http.StatusOK, struct {
		Operations []schemas.Operation `json:"operations"`
	}{a.desk.Book.List(operationsShown)})
}

// known says whether all operations are known. It answers by itself when not: what is
// missing would be taken for what is not there.
func (a API) known(w http.ResponseWriter) bool {
	select {
	case <-a.desk.CaughtUp():
		return true
	default:
		a.failed(w, ErrReading)
		return false
	}
}

func (a API) operation(w http.ResponseWriter, r *http.Request) {
	if _, ok := httpserver.Query(w, r); !ok || !a.known(w) {
		return
	}
	op, ok := a.desk.Get(r.PathValue("id"))
	if !ok {
		a.failed(w, ErrUnknown)
		return
	}
	httpserver.JSON(w, http.StatusOK, op)
}

// stopBody is what a request to stop takes.
type stopBody struct {
	By string `json:"by"`
}

func (a API) stop(w http.ResponseWriter, r *http.Request) {
	if _, ok := httpserver.Query(w, r); !ok || !a.known(w) {
		return
	}
	var body stopBody
	if !httpserver.Body(w, r, &body, bodyBytesMax) {
		return
	}
	var faults config.Problems
	faults.Check(strings.TrimSpace(body.By) != "", "by", "is empty: say who asks for it")
	faults.Check(len(body.By) <= byBytesMax && plainText(body.By), "by", "is longer than %d bytes, or has control characters", byBytesMax)
	if httpserver.Refused(w, &faults) {
		return
	}
	op, err := a.desk.Stop(r.Context(), r.PathValue("id"), audit.Entry{By: body.By, Role: audit.By(r, body.By).Role})
	if err != nil {
		a.failed(w, err)
		return
	}
	httpserver.JSON(w, http.StatusOK, op)
}

// Closed answers where no token is configured.
func Closed(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path != root && !strings.HasPrefix(r.URL.Path, root+"/") {
		httpserver.NotFound(w, r)
		return
	}
	httpserver.Problem(w, http.StatusForbidden, "closed", fmt.Sprintf("no token is configured, so %s refuses every request: set analytics.tokens", root))
}
