//go:build linux

package clickhttp

import (
	"bytes"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/google/uuid"
	"golang.org/x/sys/unix"

	"github.com/mailstream/mailstream/devstack/engine/internal/frame"
	"github.com/mailstream/mailstream/devstack/engine/internal/sqltext"
)

// queryBytesMax bounds the text of a query, without the data of an INSERT. A
// server's max_query_size is 256 KiB; lists of ids in dashboards get longer.
const queryBytesMax = 1 << 20

// copyBytes is the buffer between a body and the memory the engine reads.
const copyBytes = 256 << 10

// request is one query as a client sent it.
type request struct {
	method    string
	queryID   string // the client's, or ours; echoed
	processID string // ours, unique
	user      User
	database  string
	session   sessionOptions

	statement sqltext.Statement
	data      io.Reader // continues statement.Data for an INSERT
	file      *os.File  // all data of an INSERT, in memory

	format    string // of the result: what the statement names, or the default
	revision  uint64 // of Native results
	compress  bool   // frame the result
	framing   string // compression method of the frames
	encodings string // Accept-Encoding, "" when the client switched it off
	whole     bool   // answer only when the whole result is there

	settings map[string]string
	params   map[string]string

	closers []io.Closer
}

// mark finds the query in system.processes, where the engine shows a different
// id: ours, followed by that of the client.
func (q *request) mark() string { return q.processID + " " + q.queryID }

// close releases what reading the body needed.
func (q *request) close() {
	for _, c := range q.closers {
		// Closing a decompressor of a body that was read to its end gives no new
		// error.
		_ = c.Close()
	}
}

// notSettings are the URL parameters that are about the request itself.
var notSettings = map[string]bool{
	"query": true, "database": true, "user": true, "password": true, "quota_key": true, "query_id": true,
	"session_id": true, "session_timeout": true, "session_check": true, "session_timezone_header": true,
	"stacktrace": true, "default_format": true, "compress": true, "decompress": true, "buffer_size": true,
	"wait_end_of_query": true, "client_protocol_version": true, "role": true, "close_session": true,
	// The mark by which a query is found; it is not shown to the client.
	"log_comment": true,
}

var settingName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.]*$`)

// readRequest reads everything, the data of an INSERT too. It returns what it has
// understood so far with an error, so that the error is answered in the form the
// client asked for.
func (h *Handler) readRequest(w http.ResponseWriter, r *http.Request) (*request, error) {
	query := r.URL.Query()
	q := &request{
		method:    r.Method,
		processID: uuid.NewString(),
		queryID:   query.Get("query_id"),
		compress:  isSet(query.Get("compress")),
		framing:   query.Get("network_compression_method"),
		encodings: r.Header.Get("Accept-Encoding"),
		whole:     isSet(query.Get("wait_end_of_query")),
		settings:  map[string]string{},
		params:    map[string]string{},
	}
	if q.queryID == "" {
		q.queryID = q.processID
	}
	// A client that asks for frames need not undo an encoding on top of them.
	if v := query.Get("enable_http_compression"); q.compress || v != "" && !isSet(v) {
		q.encodings = ""
	}
	var err error
	if q.user, err = h.authenticate(r, query); err != nil {
		return q, err
	}
	body, err := q.openBody(w, r, query)
	if err != nil {
		return q, err
	}
	if kind, options, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); kind == "multipart/form-data" {
		if body, err = readForm(body, options["boundary"], query); err != nil {
			return q, err
		}
	}
	if err := q.readParameters(r, query); err != nil {
		return q, err
	}
	if err := q.readStatement(query["query"], body); err != nil {
		return q, err
	}
	for _, format := range []string{q.format, q.statement.Format} {
		if name, known := h.formats[strings.ToLower(format)]; known {
			q.format = name
		}
	}
	if q.statement.Kind == sqltext.Insert {
		return q, q.loadData()
	}
	return q, nil
}

// authenticate finds the user by basic auth, headers or parameters, in this order.
func (h *Handler) authenticate(r *http.Request, query url.Values) (User, error) {
	name, password, basic := r.BasicAuth()
	if scheme, _, _ := strings.Cut(r.Header.Get("Authorization"), " "); scheme != "" && !basic {
		return User{}, exception(codeAuthenticationFailed, "%s HTTP Authorization scheme is not supported, only Basic", scheme)
	}
	if !basic {
		name, password = r.Header.Get("X-ClickHouse-User"), r.Header.Get("X-ClickHouse-Key")
		if name == "" && password == "" {
			name, password = query.Get("user"), query.Get("password")
		}
	}
	if name == "" {
		name = "default"
	}
	user, known := h.config.Users[name]
	if subtle.ConstantTimeCompare([]byte(password), []byte(user.Password)) != 1 || !known {
		return User{}, exception(codeAuthenticationFailed,
			"%s: Authentication failed: password is incorrect, or there is no user with such name", name)
	}
	user.name = name
	return user, nil
}

// readParameters sorts the URL's parameters and the headers that replace some.
func (q *request) readParameters(r *http.Request, query url.Values) error {
	q.database = first(query.Get("database"), r.Header.Get("X-ClickHouse-Database"))
	q.format = first(query.Get("default_format"), r.Header.Get("X-ClickHouse-Format"), "TabSeparated")
	var err error
	if q.session, err = readSessionOptions(query); err != nil {
		return err
	}
	if v := query.Get("client_protocol_version"); v != "" {
		revision, err := strconv.ParseUint(v, 10, 32)
		if err != nil {
			return exception(codeBadArguments, "client_protocol_version %q is not a number", v)
		}
		q.revision = revision
	}
	for name, values := range query {
		value := values[len(values)-1]
		if param, ok := strings.CutPrefix(name, "param_"); ok {
			q.params[param] = value
			continue
		}
		if notSettings[name] || name == "" {
			continue
		}
		if !settingName.MatchString(name) {
			return exception(codeUnknownSetting, "Unknown setting '%s'", name)
		}
		q.settings[name] = value
	}
	for name := range q.params {
		if !settingName.MatchString(name) {
			return exception(codeBadArguments, "parameter name %q is not an identifier", name)
		}
	}
	return nil
}

// readStatement finds the statement in the query parameters and, where they hold
// only its beginning or nothing, in the body: ClickHouse reads both as one text
// with a line feed between.
func (q *request) readStatement(parts []string, body io.Reader) error {
	text := []byte(strings.Join(parts, ""))
	if len(text) > 0 {
		text = append(text, '\n')
		st, err := sqltext.Parse(text)
		if err == nil && st.Kind == sqltext.Insert {
			q.statement, q.data = st, body
			return nil
		}
	}
	room := queryBytesMax - len(text)
	if room < 0 {
		return exception(codeSyntaxError, "query of %d bytes exceeds %d", len(text), queryBytesMax)
	}
	begin, err := io.ReadAll(io.LimitReader(body, int64(room)))
	if err != nil {
		return fmt.Errorf("read query: %w", err)
	}
	st, err := sqltext.Parse(append(text, begin...))
	if err != nil {
		return exception(codeSyntaxError, "Syntax error: %v", err)
	}
	q.statement, q.data = st, body
	if st.Kind == sqltext.Insert {
		return nil
	}
	if len(st.Text) == 0 {
		return exception(codeSyntaxError, "Syntax error: Empty query")
	}
	if slices.Equal(sqltext.Words(st.Text, 2), []string{"KILL", "QUERY"}) {
		q.statement.Text = sqltext.ReplaceName(st.Text, "query_id", strings.TrimSpace(queryIDSQL))
	}
	if n, err := io.ReadFull(body, make([]byte, 1)); n > 0 {
		return exception(codeSyntaxError, "Syntax error: query exceeds %d bytes", queryBytesMax)
	} else if !errors.Is(err, io.EOF) {
		return fmt.Errorf("read query: %w", err)
	}
	return nil
}

// loadData moves the data of an INSERT into a file that exists only in memory.
// Data within the statement would have to be text: there the engine looks for a
// semicolon.
func (q *request) loadData() error {
	fd, err := unix.MemfdCreate("insert", unix.MFD_CLOEXEC)
	if err != nil {
		return fmt.Errorf("create memory for data of INSERT: %w", err)
	}
	q.file = os.NewFile(uintptr(fd), "insert")
	q.closers = append(q.closers, q.file)
	data := io.LimitReader(io.MultiReader(bytes.NewReader(q.statement.Data), q.data), bodyBytesMax+1)
	n, err := io.CopyBuffer(struct{ io.Writer }{q.file}, data, make([]byte, copyBytes))
	if err != nil {
		return exception(codeIncorrectData, "read data of INSERT: %v", err)
	}
	if n > bodyBytesMax {
		return exception(codeTooManyBytes, "data of INSERT exceed %d bytes", bodyBytesMax)
	}
	return nil
}

// openBody returns the body as the client had it before it was encoded for
// transport and framed.
func (q *request) openBody(w http.ResponseWriter, r *http.Request, query url.Values) (io.Reader, error) {
	body, closer, err := decode(r.Header.Get("Content-Encoding"), http.MaxBytesReader(w, r.Body, bodyBytesMax))
	if err != nil {
		return nil, err
	}
	if closer != nil {
		q.closers = append(q.closers, closer)
	}
	if isSet(query.Get("decompress")) {
		body = frame.NewReader(body)
	}
	return body, nil
}

// readForm reads a form: its fields are parameters, and there is no other body.
func readForm(body io.Reader, boundary string, query url.Values) (io.Reader, error) {
	form := multipart.NewReader(body, boundary)
	for {
		part, err := form.NextPart()
		if errors.Is(err, io.EOF) {
			return bytes.NewReader(nil), nil
		}
		if err != nil {
			return nil, exception(codeBadArguments, "read form: %v", err)
		}
		if part.FileName() != "" || query.Has(part.FormName()+"_structure") {
			return nil, exception(codeNotImplemented, "the embedded engine takes no external tables")
		}
		value, err := io.ReadAll(io.LimitReader(part, queryBytesMax+1))
		if err != nil {
			return nil, exception(codeBadArguments, "read form: %v", err)
		}
		if len(value) > queryBytesMax {
			return nil, exception(codeBadArguments, "form field %q exceeds %d bytes", part.FormName(), queryBytesMax)
		}
		query.Add(part.FormName(), string(value))
	}
}

func isSet(value string) bool { return value == "1" || strings.EqualFold(value, "true") }

func first(values ...string) string {
	for _, v := range values {
		if v != "" {
			return v
		}
	}
	return ""
}
