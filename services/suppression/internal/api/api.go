// Package api is the HTTP side of the suppression service: check before sending,
// list, add, lift. It answers from this replica's store and writes through the
// ledger.
//
// It guarantees that every request is bounded, that an answer says how old it
// may be, that a check with a token answers from a state that has that write or
// refuses, and that no address and no token reaches a log. It decides nothing
// about mail: package list does.
package api

import (
	"context"
	"net/http"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/internal/audit"
	"github.com/mailstream/mailstream/services/internal/platform/httpserver"
	"github.com/mailstream/mailstream/services/internal/platform/telemetry"
	"github.com/mailstream/mailstream/services/suppression/internal/ledger"
	"github.com/mailstream/mailstream/services/suppression/internal/store"
)

// The paths of the API.
const (
	pathList    = "/v1/suppressions"
	pathCheck   = "/v1/suppressions/check"
	pathStream  = "/v1/suppressions/check/stream"
	pathRemove  = "/v1/suppressions/remove"
	pathLift    = "/v1/suppressions/lift"
	pathBulk    = "/v1/suppressions/bulk"
	pathImport  = "/v1/suppressions/import"
	pathExport  = "/v1/suppressions/export"
	pathHistory = "/v1/suppressions/history"

	pathSnapshot = "/v1/suppressions/snapshot"
)

// retryAfterSeconds is the Retry-After header when Kafka or this replica is not
// ready: long enough for a restart, short enough for a sender's queue.
const retryAfterSeconds = "2"

// Reader answers from this replica: package store.
type Reader interface {
	Lookup
	// Scan calls yield with the states from key from on, in key order, until yield
	// says no.
	Scan(ctx context.Context, from store.Key, yield func(store.Key, schemas.Suppression) bool) error
	// Patterns returns what stands for many addresses, by its address.
	Patterns() map[string]schemas.Suppression
}

// Lookup answers for keys that are known.
type Lookup interface {
	// Get returns the state of k; ok is false when nothing is known.
	Get(k store.Key) (state schemas.Suppression, ok bool, err error)
	// GetAll returns what is known of each of keys, in their order; the state of one that
	// is unknown has no hash.
	GetAll(keys []store.Key) ([]schemas.Suppression, error)
}

// Writer makes edits durable, in order: package ledger.
type Writer interface {
	Write(ctx context.Context, edits []ledger.Edit) ([]ledger.Result, error)
	// PartitionOf returns the partition of k's records.
	PartitionOf(k store.Key) int32
}

// Follower knows how far this replica is: read.Tail.
type Follower interface {
	// Wait returns nil once the record at offset of partition is applied.
	Wait(ctx context.Context, partition int32, offset int64) error
	// Applied returns the offset to read next, by partition.
	Applied() map[int32]int64
	// Lag returns how stale the store may be.
	Lag() time.Duration
}

// Backend is what the API works on once the service is ready.
type Backend struct {
	Reader   Reader
	Writer   Writer
	Follower Follower
	Changes  Changes
	Epoch    ledger.Epoch

	Snapshots Snapshots
	TopicID   string // of the records that made the states
}

// Options say how the API answers.
type Options struct {
	// Key gives the recipient hash of a canonical address, before hex.
	Key func(canonical string) [store.KeyBytes]byte
	// MailboxProvider returns who runs the mailboxes of a domain, "" where that is
	// unknown.
	MailboxProvider func(domain string) string
	// KnownMailboxProvider says whether MailboxProvider may say so.
	KnownMailboxProvider func(name string) bool
	// FormerKey gives the hash that a mailbox with two domains had before; ok is false for
	// most. Nil for none.
	FormerKey func(canonical string) (key [store.KeyBytes]byte, ok bool)
	// Transactional are the streams that unsubscribes do not reach.
	Transactional []string
	// TokenWait bounds the wait for a check's min_token.
	TokenWait time.Duration
	// StaleAfter is the lag from which on an answer says that it is stale.
	StaleAfter time.Duration
	// Trail has who changed what, before it happens.
	Trail   audit.Noter
	Metrics *Metrics
	Log     *zap.Logger
}

// API serves the paths. It answers 503 until Open.
type API struct {
	opt     Options
	backend atomic.Pointer[Backend]
	mux     *http.ServeMux
	places  places
}

// New returns an API that is not open yet.
func New(opt Options) *API {
	opt.Log = telemetry.Throttled(opt.Log) // lines a request
	a := &API{opt: opt, mux: http.NewServeMux(), places: newPlaces()}
	routes := map[string]map[string]func(http.ResponseWriter, *http.Request, *Backend){
		pathCheck:  {http.MethodPost: a.check},
		pathStream: {http.MethodPost: a.checkStream},
		pathRemove: {http.MethodPost: a.remove},
		pathLift:   {http.MethodPost: a.lift},
		pathList:   {http.MethodGet: a.list, http.MethodPut: a.put},

		pathBulk:    {http.MethodPost: a.bulk},
		pathImport:  {http.MethodPost: a.importFile},
		pathExport:  {http.MethodGet: a.export},
		pathHistory: {http.MethodGet: a.history},

		pathSnapshot: {http.MethodGet: a.snapshot},
	}
	for path, methods := range routes {
		a.mux.HandleFunc(path, a.route(methods, path == pathImport || path == pathStream))
	}
	a.mux.HandleFunc("/", httpserver.NotFound)
	return a
}

// Open lets requests through to b.
func (a *API) Open(b Backend) { a.backend.Store(&b) }

// ServeHTTP answers one request.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) { a.mux.ServeHTTP(w, r) }

// route lets a request of one of methods through. Where it is not a GET it has no
// parameters, unless asks says so.
func (a *API) route(methods map[string]func(http.ResponseWriter, *http.Request, *Backend), asks bool) http.HandlerFunc {
	allow := ""
	for _, m := range []string{http.MethodGet, http.MethodPost, http.MethodPut} {
		if methods[m] != nil && allow != "" {
			allow += ", "
		}
		if methods[m] != nil {
			allow += m
		}
	}
	return func(w http.ResponseWriter, r *http.Request) {
		handle, ok := methods[r.Method]
		if !ok {
			w.Header().Set("Allow", allow)
			httpserver.Problem(w, http.StatusMethodNotAllowed, "method not allowed", "allowed: "+allow)
			return
		}
		if r.Method != http.MethodGet && !asks {
			if _, ok := httpserver.Query(w, r); !ok {
				return
			}
		}
		b := a.backend.Load()
		if b == nil {
			unavailable(w, "not_ready", "the list is still being read; an answer now could be wrong")
			return
		}
		leave, ok := a.places.take(r)
		if !ok {
			a.opt.Metrics.busy.Inc()
			unavailable(w, "busy", "too many requests are being worked on")
			return
		}
		defer leave()
		handle(w, r, b)
	}
}

func unavailable(w http.ResponseWriter, title, detail string) {
	w.Header().Set("Retry-After", retryAfterSeconds)
	httpserver.Problem(w, http.StatusServiceUnavailable, title, detail)
}
