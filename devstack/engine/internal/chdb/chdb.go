//go:build linux

// Package chdb calls libchdb, the ClickHouse engine as a shared library, without
// cgo. It loads the library, opens connections on one data directory and runs
// statements.
//
// It guarantees that the Go runtime's signal handlers survive the library, and
// that the memory of a result is only reachable through Result. It is not meant
// for the process that does the work: the library can hang at exit and a fault in
// it ends the process, so a child process owns it.
package chdb

import (
	"errors"
	"fmt"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"unsafe"

	"github.com/ebitengine/purego"
)

// ErrConnect says that the engine refused to open the data directory; it has
// written the reason to standard error.
var ErrConnect = errors.New("engine refused the data directory")

// Library is the loaded shared library. A process loads it once and uses one
// data directory for its whole life.
type Library struct {
	start   sync.Once // guards the first connect, which replaces signal handlers
	connect func(argc int32, argv unsafe.Pointer) unsafe.Pointer
	close   func(conn unsafe.Pointer)

	query       func(conn, query unsafe.Pointer, queryLen uintptr, format unsafe.Pointer, formatLen uintptr) unsafe.Pointer
	stream      func(conn, query unsafe.Pointer, queryLen uintptr, format unsafe.Pointer, formatLen uintptr) unsafe.Pointer
	streamFetch func(conn, stream unsafe.Pointer) unsafe.Pointer
	streamStop  func(conn, stream unsafe.Pointer)

	resultDestroy      func(result unsafe.Pointer)
	resultBuffer       func(result unsafe.Pointer) unsafe.Pointer
	resultLength       func(result unsafe.Pointer) uintptr
	resultError        func(result unsafe.Pointer) unsafe.Pointer
	resultRows         func(result unsafe.Pointer) uint64
	resultBytes        func(result unsafe.Pointer) uint64
	resultRowsRead     func(result unsafe.Pointer) uint64
	resultBytesRead    func(result unsafe.Pointer) uint64
	resultRowsWritten  func(result unsafe.Pointer) uint64
	resultBytesWritten func(result unsafe.Pointer) uint64
}

// Load opens the shared library at path.
func Load(path string) (*Library, error) {
	// Local: the library brings its own malloc and C++ runtime, which must not
	// replace those of other libraries.
	handle, err := purego.Dlopen(path, purego.RTLD_NOW|purego.RTLD_LOCAL)
	if err != nil {
		return nil, fmt.Errorf("load %s: %w", path, err)
	}
	l := &Library{}
	for name, fn := range map[string]any{
		"chdb_connect":              &l.connect,
		"chdb_close_conn":           &l.close,
		"chdb_query_n":              &l.query,
		"chdb_stream_query_n":       &l.stream,
		"chdb_stream_fetch_result":  &l.streamFetch,
		"chdb_stream_cancel_query":  &l.streamStop,
		"chdb_destroy_query_result": &l.resultDestroy,
		"chdb_result_buffer":        &l.resultBuffer,
		"chdb_result_length":        &l.resultLength,
		"chdb_result_error":         &l.resultError,
		// What the library calls read is what it gives back.
		"chdb_result_rows_read":          &l.resultRows,
		"chdb_result_bytes_read":         &l.resultBytes,
		"chdb_result_storage_rows_read":  &l.resultRowsRead,
		"chdb_result_storage_bytes_read": &l.resultBytesRead,
		"chdb_result_rows_written":       &l.resultRowsWritten,
		"chdb_result_bytes_written":      &l.resultBytesWritten,
	} {
		symbol, err := purego.Dlsym(handle, name)
		if err != nil {
			return nil, fmt.Errorf("load %s: %w", path, err)
		}
		purego.RegisterFunc(fn, symbol)
	}
	return l, nil
}

// Open makes a connection with the arguments of clickhouse-local, of which
// --path=DIR names the data directory; it must be the same in every call. The
// first call starts the engine, later ones take about half a millisecond.
func (l *Library) Open(args ...string) (*Conn, error) {
	argv := make([]*byte, 0, len(args)+1)
	for _, arg := range append([]string{"clickhouse"}, args...) {
		argv = append(argv, &append([]byte(arg), 0)[0])
	}
	var handle unsafe.Pointer
	var err error
	connect := func() {
		handle = l.connect(int32(len(argv)), unsafe.Pointer(&argv[0]))
		runtime.KeepAlive(argv)
	}
	l.start.Do(func() { err = keepSignals(connect) })
	if err != nil {
		return nil, err
	}
	if handle == nil { // not the first call, or the first one failed: then so does this
		connect()
	}
	if handle == nil {
		return nil, ErrConnect
	}
	return &Conn{library: l, handle: handle}, nil
}

// Conn is a session: settings and the current database belong to it. It runs one
// statement at a time; different connections run in parallel.
type Conn struct {
	library *Library
	handle  unsafe.Pointer
}

// Close ends the session. Closing the last connection stops the engine.
func (c *Conn) Close() {
	c.library.close(c.handle)
	c.handle = nil
}

// Query runs one statement and returns its whole result in format, unless the
// statement names another. A failure of the statement is an *Exception.
func (c *Conn) Query(statement []byte, format string) (*Result, error) {
	return c.take(c.run(c.library.query, statement, format))
}

// Stream starts a SELECT whose result comes in pieces. Each piece is a complete
// document of format, so only formats without a beginning and an end make sense.
// The connection is busy until Stream.Close.
func (c *Conn) Stream(statement []byte, format string) (*Stream, error) {
	first, err := c.take(c.run(c.library.stream, statement, format))
	if err != nil {
		return nil, err
	}
	return &Stream{conn: c, stream: first}, nil
}

type runFunc = func(conn, query unsafe.Pointer, queryLen uintptr, format unsafe.Pointer, formatLen uintptr) unsafe.Pointer

func (c *Conn) run(run runFunc, statement []byte, format string) unsafe.Pointer {
	// A byte behind each keeps the pointers valid for empty ones too.
	statement = append(statement[:len(statement):len(statement)], 0)
	name := append([]byte(format), 0)
	handle := *(*unsafe.Pointer)(c.handle)
	result := run(handle, unsafe.Pointer(&statement[0]), uintptr(len(statement)-1), unsafe.Pointer(&name[0]), uintptr(len(name)-1))
	runtime.KeepAlive(statement)
	runtime.KeepAlive(name)
	return result
}

// take turns the library's result into ours.
func (c *Conn) take(handle unsafe.Pointer) (*Result, error) {
	if handle == nil {
		return nil, errors.New("engine returned no result")
	}
	r := &Result{library: c.library, handle: handle}
	if message := text(c.library.resultError(handle)); message != "" {
		r.Release()
		return nil, ParseException(message)
	}
	return r, nil
}

// Stream is a running SELECT.
type Stream struct {
	conn   *Conn
	stream *Result
	done   bool
}

// Next returns the next piece, or nil at the end. A failure of the statement is
// an *Exception. The caller releases the piece.
func (s *Stream) Next() (*Result, error) {
	if s.done {
		return nil, nil
	}
	piece, err := s.conn.take(s.conn.library.streamFetch(*(*unsafe.Pointer)(s.conn.handle), s.stream.handle))
	if err != nil {
		s.done = true
		return nil, err
	}
	if len(piece.Bytes()) == 0 {
		s.done = true
		piece.Release()
		return nil, nil
	}
	return piece, nil
}

// Close stops the statement if it still runs.
func (s *Stream) Close() {
	if !s.done {
		s.conn.library.streamStop(*(*unsafe.Pointer)(s.conn.handle), s.stream.handle)
		s.done = true
	}
	s.stream.Release()
}

// Result is what a statement returned. The caller releases it.
type Result struct {
	library *Library
	handle  unsafe.Pointer
}

// Bytes returns the formatted rows. They are the library's memory: they must not
// be changed, and not be used after Release.
func (r *Result) Bytes() []byte {
	n := r.library.resultLength(r.handle)
	if n == 0 {
		return nil
	}
	return unsafe.Slice((*byte)(r.library.resultBuffer(r.handle)), n)
}

// Counts are the sizes of a finished statement: rows, and bytes uncompressed.
type Counts struct {
	RowsRead, BytesRead, RowsWritten, BytesWritten, ResultRows, ResultBytes uint64
}

// Counts returns how much the statement read, wrote and gives back.
func (r *Result) Counts() Counts {
	return Counts{
		RowsRead:     r.library.resultRowsRead(r.handle),
		BytesRead:    r.library.resultBytesRead(r.handle),
		RowsWritten:  r.library.resultRowsWritten(r.handle),
		BytesWritten: r.library.resultBytesWritten(r.handle),
		ResultRows:   r.library.resultRows(r.handle),
		ResultBytes:  r.library.resultBytes(r.handle),
	}
}

// Release frees the library's memory.
func (r *Result) Release() {
	if r.handle != nil {
		r.library.resultDestroy(r.handle)
		r.handle = nil
	}
}

// Exception is an error of the engine, as a ClickHouse server would report it.
type Exception struct {
	Code int    // number of the error, 0 when the engine gave none
	Text string // whole text, "Code: N. DB::Exception: ... (NAME)"
}

// Error returns the text of e.
func (e *Exception) Error() string { return e.Text }

var exceptionCode = regexp.MustCompile(`^Code: (\d+)\.`)

// ParseException reads the text of an error.
func ParseException(message string) *Exception {
	e := &Exception{Text: strings.TrimSpace(message)}
	if m := exceptionCode.FindStringSubmatch(e.Text); m != nil {
		// The expression matched digits; a number too large is not a known code.
		e.Code, _ = strconv.Atoi(m[1])
	}
	return e
}

// text copies a C string.
func text(p unsafe.Pointer) string {
	if p == nil {
		return ""
	}
	n := 0
	for *(*byte)(unsafe.Add(p, n)) != 0 {
		n++
	}
	return string(unsafe.Slice((*byte)(p), n))
}
