// Package clickhousetest is a stand-in for a ClickHouse server in tests: it
// implements as much of the HTTP interface as the client uses, decodes Native
// blocks, keeps their rows, and fails on request the way a server does.
//
// It runs no SQL and collapses no rows; what a query answers is canned. Tests
// of SQL run on the real engine.
package clickhousetest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ClickHouse/ch-go/compress"
	chproto "github.com/ClickHouse/ch-go/proto"
	"github.com/ClickHouse/clickhouse-go/v2/lib/column"
	"github.com/ClickHouse/clickhouse-go/v2/lib/proto"

	"github.com/mailstream/mailstream/services/internal/platform/clickhouse"
	"github.com/mailstream/mailstream/services/internal/platform/config"
)

// Row is a stored row by column name, values as clickhouse-go scans them.
type Row map[string]any

// Request is one insert or statement.
type Request struct {
	// Statement is the SQL.
	Statement string
	// Settings are the parameters of the URL, the statement aside.
	Settings map[string]string
	// Rows is how many rows came along; 0 for what is not an insert.
	Rows int
}

// Fault is how a request fails. The zero value is not a fault.
type Fault struct {
	// Code is a ClickHouse exception code, answered with status 500.
	Code int
	// Cut closes the connection without an answer, after the rows were stored.
	Cut bool
	// Late answers 200 and puts the exception Code behind it, as a server does
	// that fails after it began to answer.
	Late bool
}

// Server is a running stand-in. It is safe for concurrent use.
type Server struct {
	http *httptest.Server

	mu       sync.Mutex
	tables   map[string][]Row    // guarded by mu
	requests []Request           // guarded by mu
	answers  []answer            // guarded by mu
	fault    func(Request) Fault // guarded by mu
	settings []string            // guarded by mu
}

type answer struct {
	contains string
	columns  []string // "name Type"
	rows     [][]any
}

// Start starts a server and stops it with the test. It knows every setting the
// client asks for, until Settings says otherwise.
func Start(tb testing.TB) *Server {
	tb.Helper()
	s := newServer()
	s.http = httptest.NewServer(s)
	tb.Cleanup(s.http.Close)
	return s
}

// StartOn is Start on a listener of the test, such as one of a network inside the
// process.
func StartOn(tb testing.TB, ln net.Listener) *Server {
	tb.Helper()
	s := newServer()
	s.http = &httptest.Server{Listener: ln, Config: &http.Server{Handler: s}}
	s.http.Start()
	tb.Cleanup(s.http.Close)
	return s
}

func newServer() *Server {
	return &Server{tables: map[string][]Row{}, fault: func(Request) Fault { return Fault{} }}
}

// Config returns the configuration that reaches s.
func (s *Server) Config() clickhouse.Config {
	cfg := clickhouse.Default()
	cfg.URL, cfg.Password = s.http.URL, config.Literal("secret")
	return cfg
}

// Rows returns what was stored in table so far, in order of storing.
func (s *Server) Rows(table string) []Row {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Row(nil), s.tables[table]...)
}

// Requests returns all inserts and statements so far.
func (s *Server) Requests() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Request(nil), s.requests...)
}

// Fail makes every later request as f says. It is called for each one.
func (s *Server) Fail(f func(Request) Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fault = f
}

// Settings makes s a version that knows only these settings, and fails an
// insert with any other.
func (s *Server) Settings(names ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.settings = append([]string{""}, names...)
}

// Answer cans the answer to every query that contains a text: columns are
// "name Type". The latest that fits counts; a query without one has no rows.
func (s *Server) Answer(contains string, columns []string, rows ...[]any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answers = append([]answer{{contains, columns, rows}}, s.answers...)
}

// bodyBytesMax is beyond every body of a test.
const bodyBytesMax = 1 << 30

// ServeHTTP answers one request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, bodyBytesMax))
	if err != nil {
		exception(w, http.StatusBadRequest, 1002, err.Error())
		return
	}
	if _, password, ok := r.BasicAuth(); !ok || password != "secret" {
		exception(w, http.StatusForbidden, 516, "Authentication failed")
		return
	}
	req := Request{Statement: r.URL.Query().Get("query"), Settings: map[string]string{}}
	for name, values := range r.URL.Query() {
		if name != "query" {
			req.Settings[name] = values[0]
		}
	}
	if req.Settings["decompress"] == "1" {
		if body, err = io.ReadAll(compress.NewReader(bytes.NewReader(body))); err != nil && !errors.Is(err, io.EOF) {
			exception(w, http.StatusInternalServerError, 271, err.Error()) // CANNOT_DECOMPRESS
			return
		}
	}
	if req.Statement != "" {
		s.insert(w, req, body)
		return
	}
	req.Statement = string(body)
	s.query(w, req)
}

var insertInto = regexp.MustCompile(`(?i)INSERT\s+INTO\s+(\S+)`)

func (s *Server) insert(w http.ResponseWriter, req Request, body []byte) {
	var rows []Row
	rest := bytes.NewReader(body) // a server takes an empty body for no rows
	for in := chproto.NewReader(rest); ; {
		block := proto.Block{ServerContext: &column.ServerContext{Timezone: time.UTC}}
		if err := block.Decode(in, 0); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			exception(w, http.StatusInternalServerError, 33, err.Error()) // CANNOT_READ_ALL_DATA
			return
		}
		rows = append(rows, blockRows(&block)...)
	}
	req.Rows = len(rows)
	fault, unknown := s.note(req)
	switch {
	case unknown != "":
		exception(w, http.StatusNotFound, 115, "Unknown setting "+unknown)
		return
	case fault.Code != 0 && !fault.Late:
		exception(w, http.StatusInternalServerError, fault.Code, "asked to fail")
		return
	}
	table := "?"
	if m := insertInto.FindStringSubmatch(req.Statement); m != nil {
		table = m[1]
	}
	s.mu.Lock()
	s.tables[table] = append(s.tables[table], rows...)
	s.mu.Unlock()
	finish(w, fault)
}

func finish(w http.ResponseWriter, fault Fault) {
	if fault.Cut {
		panic(http.ErrAbortHandler)
	}
	w.WriteHeader(http.StatusOK)
	if fault.Late {
		fmt.Fprintf(w, "\r\n__exception__\r\nabcdefghijklmnop\r\nCode: %d. DB::Exception: asked to fail late. (LATE)\n52 abcdefghijklmnop\r\n__exception__\r\n", fault.Code)
	}
}

// note remembers req and returns how it is to fail.
func (s *Server) note(req Request) (fault Fault, unknown string) {
	s.mu.Lock()
	s.requests = append(s.requests, req)
	f, known := s.fault, s.settings
	s.mu.Unlock()
	if known != nil {
		for name := range req.Settings {
			if !contains(known, name) && !ofInterface(name) {
				unknown = name
			}
		}
	}
	return f(req), unknown
}

// ofInterface says whether name belongs to the HTTP interface and is not a setting,
// or is one that the driver always sends and every version has.
func ofInterface(name string) bool {
	return contains([]string{"database", "compress", "decompress", "default_format", "client_protocol_version", "network_compression_method", "max_execution_time"}, name) ||
		strings.HasPrefix(name, "param_")
}

func contains(list []string, name string) bool {
	for _, item := range list {
		if item == name {
			return true
		}
	}
	return false
}

func blockRows(block *proto.Block) []Row {
	rows := make([]Row, block.Rows())
	for i := range rows {
		rows[i] = Row{}
		for n, name := range block.ColumnsNames() {
			rows[i][name] = block.Columns[n].Row(i, false)
		}
	}
	return rows
}

func exception(w http.ResponseWriter, status, code int, text string) {
	w.Header().Set("X-ClickHouse-Exception-Code", strconv.Itoa(code))
	w.WriteHeader(status)
	fmt.Fprintf(w, "Code: %d. DB::Exception: %s. (SOME_NAME)", code, text)
}
