package engine_test

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/ClickHouse/clickhouse-go/v2"

	"github.com/mailstream/mailstream/devstack/engine/enginetest"
)

// inSession runs a statement in a session and returns the answer, the status
// before it unless that is 200.
func inSession(t *testing.T, address, id, statement string, more ...string) string {
	t.Helper()
	params := url.Values{"session_id": {id}}
	for i := 0; i < len(more); i += 2 {
		params.Set(more[i], more[i+1])
	}
	got := do(t, address, call{params: params, body: statement})
	if got.status != http.StatusOK {
		return got.header.Get("X-ClickHouse-Exception-Code") + " " + got.body
	}
	return strings.TrimSpace(got.body)
}

func TestSession_KeepsSettingsAndDatabase(t *testing.T) {
	t.Parallel()
	address := enginetest.Start(t).URL()
	const state = "SELECT currentDatabase(), getSetting('max_threads'), getSetting('max_block_size')"
	for _, step := range []struct{ statement, want string }{
		{"SET max_threads = 3", ""},
		{"USE system", ""},
		{" -- a comment\nset max_block_size = 1000, max_threads = 2", ""},
		{state, "system\t2\t1000"},
		{"SET nosuch = 1", "115 Code: 115."},
		{"SELECT getSetting('max_threads') SETTINGS max_threads = 7", "7"},
		{state, "system\t2\t1000"},
		{"CREATE TEMPORARY TABLE x (a Int8)", "48 Code: 48. DB::Exception: the embedded engine keeps no temporary tables"},
		{"SET max_threads = 3", ""},
		{state, "system\t3\t1000"},
	} {
		if got := inSession(t, address, "keeps", step.statement); got != step.want && (step.want == "" || !strings.HasPrefix(got, step.want)) {
			t.Errorf("%s: got %q, want %q", step.statement, got, step.want)
		}
	}
	if got := inSession(t, address, "keeps", state, "max_threads", "5", "database", "default"); got != "default\t5\t1000" {
		t.Errorf("a request's own settings: %q", got)
	}
	if got := inSession(t, address, "keeps", state); got != "system\t3\t1000" {
		t.Errorf("the settings of a request stayed: %q", got)
	}
	if got := inSession(t, address, "another", "SELECT currentDatabase()"); got != "default" {
		t.Errorf("a second one is in %q", got)
	}
	if got := inSession(t, address, "keeps", "SELECT currentDatabase()", "user", "reader"); got != "default" {
		t.Errorf("a session of the same name of another user is in %q", got)
	}
	if got := inSession(t, address, "keeps", "SELECT currentDatabase()", "close_session", "1"); got != "system" {
		t.Errorf("at its end the session is in %q", got)
	}
	if got := inSession(t, address, "keeps", "SELECT 1", "session_check", "1"); !strings.HasPrefix(got, "372 ") {
		t.Errorf("a closed session is there: %q", got)
	}
}

func TestSession_LetsTheReaderLiftNoLimit(t *testing.T) {
	t.Parallel()
	address := enginetest.Start(t).URL()
	before := inSession(t, address, "limits", "SELECT getSetting('max_execution_time'), getSetting('max_memory_usage')", "user", "reader")
	inSession(t, address, "limits", "SET max_execution_time = 0, max_memory_usage = 0", "user", "reader")
	if got := inSession(t, address, "limits", "SELECT getSetting('max_execution_time'), getSetting('max_memory_usage')", "user", "reader"); got != before {
		t.Errorf("limits were %q, are %q", before, got)
	}
	for _, statement := range []string{"SET readonly = 0", "CREATE TABLE x (a Int8) ENGINE = Memory"} {
		if got := inSession(t, address, "limits", statement, "user", "reader"); !strings.HasPrefix(got, "164 ") {
			t.Errorf("%s: %q", statement, got)
		}
	}
}

func TestSession_TakesOneRequestAtATime(t *testing.T) {
	t.Parallel()
	address := enginetest.Start(t).URL()
	ctx, cancel := context.WithCancel(t.Context())
	const long = "SELECT sleepEachRow(1) FROM numbers(1000) SETTINGS max_block_size = 1"
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, address+"/?session_id=busy", strings.NewReader(long))
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if response, err := http.DefaultClient.Do(request); err == nil {
			_, _ = io.Copy(io.Discard, response.Body) // until it is cancelled
			response.Body.Close()
		}
	}()
	eventually(t, "start of the first", func() bool {
		return query(t, address, "SELECT count() FROM system.processes WHERE query LIKE 'SELECT sleepEachRow(1)%'") != "0"
	})
	if got := inSession(t, address, "busy", "SELECT 1"); !strings.HasPrefix(got, "373 ") {
		t.Errorf("a second one at once: %q", got)
	}
	cancel()
	<-ended
	eventually(t, "the session to be free", func() bool { return inSession(t, address, "busy", "SELECT 1") == "1" })
}

func TestSession_RefusesATimeoutThatIsNone(t *testing.T) {
	t.Parallel()
	address := enginetest.Start(t).URL()
	for timeout, want := range map[string]string{"60": "1", "3600": "1", "3601": "374 ", "-1": "374 ", "1m": "374 "} {
		if got := inSession(t, address, "timeout", "SELECT 1", "session_timeout", timeout); !strings.HasPrefix(got, want) {
			t.Errorf("session_timeout=%s: %q", timeout, got)
		}
	}
}

// A client that asks for frames would have to undo an encoding around them; the
// Java client does not.
func TestHTTP_FramesAreNotEncodedOnceMore(t *testing.T) {
	t.Parallel()
	got := do(t, enginetest.Start(t).URL(), call{
		params: url.Values{"compress": {"1"}}, header: http.Header{"Accept-Encoding": {"lz4, gzip, deflate"}}, body: "SELECT number FROM numbers(10000)",
	})
	if got.status != http.StatusOK || got.header.Get("Content-Encoding") != "" {
		t.Errorf("status %d, Content-Encoding %q", got.status, got.header.Get("Content-Encoding"))
	}
}

// TestDriver_WorksWithItsDefaults is clickhouse-go over HTTP with nothing set but
// where the engine is.
func TestDriver_WorksWithItsDefaults(t *testing.T) {
	e := enginetest.Start(t)
	conn, err := clickhouse.Open(&clickhouse.Options{Protocol: clickhouse.HTTP, Addr: []string{strings.TrimPrefix(e.URL(), "http://")}})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	var sum uint64
	if err := conn.QueryRow(t.Context(), "SELECT sum(number) FROM numbers(100000)").Scan(&sum); err != nil || sum != 4999950000 {
		t.Errorf("got %d, %v", sum, err)
	}
	var text string
	if err := conn.QueryRow(t.Context(), "SELECT {a:String}", clickhouse.Named("a", `it's \ "so"`)).Scan(&text); err != nil || text != `it's \ "so"` {
		t.Errorf("got %q, %v", text, err)
	}
}
