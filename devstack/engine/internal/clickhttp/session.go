//go:build linux

package clickhttp

import (
	"bytes"
	"fmt"
	"regexp"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/mailstream/mailstream/devstack/engine/internal/chdb"
	"github.com/mailstream/mailstream/devstack/engine/internal/sqltext"
)

// holdBytes is how much of a result is held back before the answer begins, so
// that a query that fails early fails with its status; a server's buffer_size.
const holdBytes = 1 << 20

// session runs one request on one connection, which is not reused: so no
// setting of a request can reach another.
type session struct {
	conn   *chdb.Conn
	config Config
}

// prepare brings the connection to the state of the HTTP session, selects the
// database and applies the settings of q, the read-only ones last.
func (s *session) prepare(q *request, kept *httpSession) error {
	settings := map[string]string{
		// clickhouse-local takes a bare expression for a query; a server does not.
		"implicit_select":                    "0",
		"throw_if_no_data_to_insert":         "0",
		"query_profiler_cpu_time_period_ns":  "0",
		"query_profiler_real_time_period_ns": "0",
		"max_memory_usage":                   strconv.FormatInt(s.config.QueryMemoryMax, 10),
		"max_execution_time":                 seconds(s.config.QueryTimeMax),
	}
	if kept != nil && len(kept.statements) > 0 {
		for _, statement := range append([]string{setStatement(settings)}, kept.statements...) {
			if err := s.do(statement); err != nil {
				return err
			}
		}
		clear(settings)
	}
	if q.database != "" {
		if err := s.do("USE " + quoteName(q.database)); err != nil {
			return err
		}
	}
	for name, value := range q.settings {
		settings[name] = value
	}
	settings["log_comment"] = q.mark()
	// Would wait for what the engine does at its next start only; see sqltext.
	settings["database_atomic_wait_for_drop_and_detach_synchronously"] = "0"
	readOnly := readOnlyLevel(q)
	if q.user.ReadOnly {
		settings["max_execution_time"] = seconds(s.config.ReaderTimeMax)
		settings["max_memory_usage"] = strconv.FormatInt(s.config.QueryMemoryMax, 10)
	}
	delete(settings, "readonly")
	for name, value := range q.params {
		settings["param_"+name] = value
	}
	if err := s.do(setStatement(settings)); err != nil {
		return err
	}
	if q.user.ReadOnly { // last, so that no statement of its session takes the role back
		if err := s.do("SET ROLE NONE"); err != nil {
			return err
		}
	}
	if readOnly == "0" {
		return nil
	}
	return s.do("SET readonly = " + quote(readOnly))
}

// readOnlyLevel is the setting readonly: what the request asks for, at least 2
// for GET and for read-only users.
func readOnlyLevel(q *request) string {
	asked := q.settings["readonly"]
	if asked != "" && asked != "0" {
		return asked
	}
	if q.user.ReadOnly || q.method != "POST" {
		return "2"
	}
	return "0"
}

// fileCall is how a call of the function file may be written: bare or quoted, with
// escapes in the quotes, and with blanks and comments before the parenthesis.
var fileCall = regexp.MustCompile(`(?is)(\bfile\b|\\[^\n"\x60]*["\x60\x{201D}])(/\*.*?\*/|--[^\n]*\n|#[^\n]*\n|\W)*?\(`)

// fileApplied is how a statement may name the function file without calling it, and how
// it may name a setting whose value is an expression.
var fileApplied = regexp.MustCompile(`(?is)\bapply\b.*(\bfile\b|\\)|\badditional_(result_filter|table_filters)\b|\bset(tings)?\b.*["\x60][^"\x60]*\\`)

// readsFile says whether a request may call the function file. The engine asks for no
// grant there, as it does for table functions. The bytes are searched and not the
// tokens: whatever reads tokens differently from the engine could be deceived. A text
// that only looks like a call is refused too.
func readsFile(q *request) bool {
	for name := range q.settings {
		if strings.HasPrefix(name, "additional_") {
			return true
		}
	}
	return fileCall.Match(q.statement.Text) || fileApplied.Match(q.statement.Text)
}

// setStatement sets every setting, in the order of their names.
func setStatement(settings map[string]string) string {
	names := make([]string, 0, len(settings))
	for name := range settings {
		names = append(names, name)
	}
	sort.Strings(names)
	var b strings.Builder
	b.WriteString("SET ")
	for i, name := range names {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(name + " = " + quote(settings[name]))
	}
	return b.String()
}

// do runs a statement without a result.
func (s *session) do(statement string) error {
	result, err := s.conn.Query([]byte(statement), "Null")
	if err != nil {
		return err
	}
	result.Release()
	return nil
}

// execute runs the statement of q and writes its result to a.
func (s *session) execute(q *request, a *answer) error {
	switch {
	case q.statement.Kind == sqltext.Insert:
		return s.insert(q, a)
	case q.statement.Kind == sqltext.Select && !q.whole && streams(q):
		return s.stream(q, a)
	}
	result, err := s.conn.Query(q.statement.Text, q.format)
	if err != nil {
		return err
	}
	defer result.Release()
	a.counts = result.Counts()
	a.begin()
	return a.rows(result.Bytes())
}

// insert runs an INSERT whose data the engine reads from q.file.
func (s *session) insert(q *request, a *answer) error {
	result, err := s.conn.Query(q.statement.FromFile(fmt.Sprintf("/proc/self/fd/%d", q.file.Fd())), q.format)
	if err != nil {
		return err
	}
	defer result.Release()
	a.counts = result.Counts()
	a.begin()
	return a.rows(result.Bytes())
}

// streamed are the formats that need nothing before the first row and after the
// last, so that pieces of a result can be put together.
var streamed = map[string]bool{
	"Native": true, "TabSeparated": true, "TSV": true, "TabSeparatedRaw": true, "TSVRaw": true, "CSV": true,
	"JSONEachRow": true, "JSONLines": true, "NDJSON": true, "JSONCompactEachRow": true,
	"JSONStringsEachRow": true, "JSONCompactStringsEachRow": true, "RowBinary": true,
}

// streams reports whether the result of q can be put together from pieces. Totals
// and extremes are outside the rows, and an array has an end.
func streams(q *request) bool {
	if !streamed[q.format] {
		return false
	}
	lower := bytes.ToLower(q.statement.Text)
	for _, word := range []string{"totals", "extremes", "json_array_of_rows"} {
		if bytes.Contains(lower, []byte(word)) {
			return false
		}
	}
	return q.settings["extremes"] == "" && q.settings["output_format_json_array_of_rows"] == ""
}

// stream runs a SELECT and sends its result while it is made.
func (s *session) stream(q *request, a *answer) error {
	stream, err := s.conn.Stream(q.statement.Text, q.format)
	if err != nil {
		return err
	}
	defer stream.Close()
	held := 0
	var pieces []*chdb.Result
	defer func() {
		for _, p := range pieces {
			p.Release()
		}
	}()
	for {
		piece, err := stream.Next()
		if err != nil {
			return err
		}
		if piece == nil {
			break
		}
		a.add(piece.Counts())
		pieces = append(pieces, piece)
		if held += len(piece.Bytes()); held < holdBytes {
			continue
		}
		a.begin()
		for _, p := range pieces {
			if err := a.rows(p.Bytes()); err != nil {
				return err
			}
			p.Release()
		}
		pieces = pieces[:0]
	}
	a.begin()
	for _, p := range pieces {
		if err := a.rows(p.Bytes()); err != nil {
			return err
		}
	}
	return nil
}

// seconds writes a duration as the engine's settings want it.
func seconds(d time.Duration) string {
	return strconv.FormatFloat(d.Seconds(), 'f', -1, 64)
}

// quote writes a string literal.
func quote(s string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(s) + "'"
}

// quoteName writes an identifier.
func quoteName(s string) string {
	return "`" + strings.NewReplacer("\\", "\\\\", "`", "\\`").Replace(s) + "`"
}
