//go:build linux

// Package clickhttp serves ClickHouse's HTTP interface on an embedded engine, so
// that drivers, curl and dashboards see no difference to a server.
//
// It guarantees that an INSERT answered 200 is stored and an INSERT whose body was
// cut or malformed is not, that every request runs in a separate session, and that
// a client that goes away ends its query. An HTTP session (session_id) keeps
// settings and the current database. It offers no temporary tables within one, no
// external tables, no user management beyond the configured users, and it trusts
// whoever can reach its port with what they may do: it is meant for the loopback
// interface.
package clickhttp

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/mailstream/mailstream/devstack/engine/internal/chdb"
)

// Limits of the interface.
const (
	// queriesMax bounds the queries that run at once; each holds a thread of this
	// process and up to QueryMemoryMax of memory.
	queriesMax = 16
	// queueWaitMax is how long a request waits for one of them.
	queueWaitMax = 30 * time.Second
	// killEvery is the interval between attempts to cancel a query whose client
	// has gone: at the first attempt it may not have begun.
	killEvery = 200 * time.Millisecond
)

// User is an account that may log in.
type User struct {
	Password string
	ReadOnly bool   // may only read, and only within ReaderTimeMax
	name     string // of who has logged in
}

// Config is what a Handler serves and how.
type Config struct {
	// Open makes a session on the engine.
	Open func() (*chdb.Conn, error)
	// Users are the accounts by name. A request without credentials is "default".
	Users map[string]User
	// QueryMemoryMax bounds the memory of one query in bytes.
	QueryMemoryMax int64
	// QueryTimeMax bounds the run time of a query; a request may ask for another.
	QueryTimeMax time.Duration
	// ReaderTimeMax bounds the run time of a read-only user's query.
	ReaderTimeMax time.Duration
	// LoopbackOnly refuses requests that a web page of another site could make a
	// browser send: by a foreign Host, Origin or Sec-Fetch-Site.
	LoopbackOnly bool
}

// Handler is the HTTP interface. It is safe for concurrent use.
type Handler struct {
	config   Config
	slots    chan struct{}
	formats  map[string]string // lower-cased name to name, of every format
	server   server
	sessions sessions
}

// server is what the engine says about itself.
type server struct {
	version, displayName, timezone string
}

// New returns a Handler on a running engine, which it asks for its version,
// time zone and formats.
func New(config Config) (*Handler, error) {
	h := &Handler{
		config: config, slots: make(chan struct{}, queriesMax), formats: map[string]string{},
		sessions: sessions{byID: map[sessionKey]*httpSession{}},
	}
	conn, err := config.Open()
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	about, err := lines(conn, aboutSQL)
	if err != nil {
		return nil, fmt.Errorf("ask engine about itself: %w", err)
	}
	if len(about) != 1 || strings.Count(about[0], "\t") != 2 {
		return nil, fmt.Errorf("ask engine about itself: got %q", about)
	}
	fields := strings.Split(about[0], "\t")
	h.server = server{version: fields[0], displayName: fields[1], timezone: fields[2]}
	formats, err := lines(conn, formatsSQL)
	if err != nil {
		return nil, fmt.Errorf("ask engine for formats: %w", err)
	}
	for _, name := range formats {
		h.formats[strings.ToLower(name)] = name
	}
	return h, nil
}

// lines runs a query of ours and returns its rows, tab separated.
func lines(conn *chdb.Conn, query string) ([]string, error) {
	result, err := conn.Query([]byte(query), "TabSeparated")
	if err != nil {
		return nil, err
	}
	defer result.Release()
	return strings.Split(strings.TrimSpace(string(result.Bytes())), "\n"), nil
}

// ServeHTTP answers one request.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if h.config.LoopbackOnly && !fromHere(r) {
		http.Error(w, "requests from other sites are refused", http.StatusForbidden)
		return
	}
	switch r.URL.Path {
	case "/ping", "/replicas_status":
		ok(w)
		return
	case "/":
	default:
		http.Error(w, "There is no handle "+r.URL.Path+"\n\nUse / or /ping for health checks.\nSend queries from your program with POST method or GET /?query=...", http.StatusNotFound)
		return
	}
	switch r.Method {
	case http.MethodGet, http.MethodHead:
		if !r.URL.Query().Has("query") {
			ok(w)
			return
		}
	case http.MethodPost:
	default:
		w.Header().Set("Allow", "GET, HEAD, POST")
		http.Error(w, "method "+r.Method+" is not supported", http.StatusMethodNotAllowed)
		return
	}
	h.serveQuery(w, r)
}

// ok gives the answer of a health check.
func ok(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "text/html; charset=UTF-8")
	// A client that has gone away misses nothing.
	_, _ = w.Write([]byte("Ok.\n"))
}

// serveQuery runs the query of r and answers it.
func (h *Handler) serveQuery(w http.ResponseWriter, r *http.Request) {
	started := time.Now()
	q, err := h.readRequest(w, r)
	defer q.close()
	a := &answer{handler: h, w: w, request: q, started: started}
	if err == nil {
		err = h.run(r.Context(), q, a)
	}
	if err == nil {
		err = a.finish()
	}
	if err != nil {
		a.fail(err)
	}
}

// run waits for a slot, opens a connection and executes q on it.
func (h *Handler) run(ctx context.Context, q *request, a *answer) error {
	kept, release, err := h.sessions.take(q.user.name, q.session)
	if err != nil {
		return err
	}
	defer release()
	if err := kept.allows(q.statement.Text); err != nil {
		return err
	}
	if q.user.ReadOnly && readsFile(q) {
		return exception(codeAccessDenied, "%s: Not enough privileges. The function file reads files of the machine", q.user.name)
	}
	wait := time.NewTimer(queueWaitMax)
	defer wait.Stop()
	select {
	case h.slots <- struct{}{}:
		defer func() { <-h.slots }()
	case <-ctx.Done():
		return ctx.Err()
	case <-wait.C:
		return exception(codeTooManyQueries, "too many simultaneous queries, maximum: %d", queriesMax)
	}
	conn, err := h.config.Open()
	if err != nil {
		return err
	}
	defer conn.Close()
	s := &session{conn: conn, config: h.config}
	if err := s.prepare(q, kept); err != nil {
		return err
	}
	defer h.killWhenDone(ctx, q.mark())()
	if err := s.execute(q, a); err != nil {
		return err
	}
	kept.remember(q.statement.Text)
	return nil
}

// killWhenDone ends the query marked id when ctx is done. The returned function
// ends the watch, and returns when it has ended.
func (h *Handler) killWhenDone(ctx context.Context, id string) func() {
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		select {
		case <-stop:
			return
		case <-ctx.Done():
		}
		again := time.NewTicker(killEvery)
		defer again.Stop()
		for {
			h.kill(id)
			select {
			case <-stop:
				return
			case <-again.C:
			}
		}
	}()
	return func() {
		close(stop)
		<-stopped
	}
}

// kill asks the engine to end the query marked id. No caller is left to report
// a failure to; the query's own time limit remains.
func (h *Handler) kill(id string) {
	conn, err := h.config.Open()
	if err != nil {
		return
	}
	defer conn.Close()
	if result, err := conn.Query([]byte(killSQL+quote(id)+" ASYNC"), "TabSeparated"); err == nil {
		result.Release()
	}
}

// fromHere reports whether r was made on purpose by a program of this machine or
// a page it serves. Programs send no Origin; a browser does, and its Host header
// is the name that the page connects to.
func fromHere(r *http.Request) bool {
	switch r.Header.Get("Sec-Fetch-Site") {
	case "", "none", "same-origin", "same-site":
	default:
		return false
	}
	if origin := r.Header.Get("Origin"); origin != "" {
		u, err := url.Parse(origin)
		if err != nil || !isLoopback(u.Hostname()) {
			return false
		}
	}
	host, _, err := net.SplitHostPort(r.Host)
	if err != nil {
		host = strings.Trim(r.Host, "[]")
	}
	return isLoopback(host)
}

func isLoopback(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.IsLoopback()
}
