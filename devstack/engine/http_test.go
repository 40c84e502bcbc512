package engine_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mailstream/mailstream/devstack/engine"
	"github.com/mailstream/mailstream/devstack/engine/enginetest"
)

func TestHTTP_AnswersHealthChecks(t *testing.T) {
	e := enginetest.Start(t)
	for _, path := range []string{"/ping", "/", "/replicas_status"} {
		response, err := http.Get(e.URL() + path)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(response.Body)
		response.Body.Close()
		if err != nil || response.StatusCode != http.StatusOK || string(body) != "Ok.\n" {
			t.Errorf("GET %s = %d %q, %v", path, response.StatusCode, body, err)
		}
	}
	response, err := http.Get(e.URL() + "/nosuch")
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if response.StatusCode != http.StatusNotFound {
		t.Errorf("GET /nosuch = %d, want 404", response.StatusCode)
	}
}

func TestHTTP_AnswersQueriesAsAServerDoes(t *testing.T) {
	e := enginetest.Start(t)
	params := func(pairs ...string) url.Values {
		v := url.Values{}
		for i := 0; i < len(pairs); i += 2 {
			v.Add(pairs[i], pairs[i+1])
		}
		return v
	}
	tests := []struct {
		name   string
		call   call
		status int
		body   string // exact, or the beginning of an error
	}{
		{"body", call{body: "SELECT 1"}, 200, "1\n"},
		{"url", call{params: params("query", "SELECT 1")}, 200, "1\n"},
		{"url and body joined by a line feed", call{params: params("query", "SELECT"), body: "1 AS x FORMAT JSONEachRow"}, 200, "{\"x\":1}\n"},
		{"get", call{method: "GET", params: params("query", "SELECT 1")}, 200, "1\n"},
		{"head", call{method: "HEAD", params: params("query", "SELECT 1")}, 200, ""},
		{"get may not change", call{method: "GET", params: params("query", "CREATE TABLE x (a Int8) ENGINE = Memory")}, 500, "Code: 164. DB::Exception: "},
		{"put", call{method: "PUT", body: "SELECT 1"}, 405, "method PUT"},
		{"default format", call{params: params("default_format", "CSV"), body: "SELECT 'a'"}, 200, "\"a\"\n"},
		{"format header", call{header: http.Header{"X-Clickhouse-Format": {"JSONCompactEachRow"}}, body: "SELECT 'a'"}, 200, "[\"a\"]\n"},
		{"statement's format wins", call{params: params("default_format", "CSV"), body: "SELECT 'a' FORMAT TSV"}, 200, "a\n"},
		{"unknown format", call{body: "SELECT 1 FORMAT Nosuch"}, 404, "Code: 73. DB::Exception: "},
		{"database", call{params: params("database", "system"), body: "SELECT currentDatabase(), count() FROM one"}, 200, "system\t1\n"},
		{"unknown database", call{params: params("database", "no such"), body: "SELECT 1"}, 404, "Code: 81. DB::Exception: "},
		{"setting", call{params: params("max_threads", "3"), body: "SELECT getSetting('max_threads')"}, 200, "3\n"},
		{"unknown setting", call{params: params("nosuch", "3"), body: "SELECT 1"}, 404, "Code: 115. DB::Exception: "},
		{"setting that is no name", call{params: params("a = 1, b", "3"), body: "SELECT 1"}, 404, "Code: 115. DB::Exception: "},
		{"parameter", call{params: params("param_a", "x'\\ty"), body: "SELECT {a:String}"}, 200, "x\\'\\ty\n"},
		{"parameter of the wrong type", call{params: params("param_a", "x"), body: "SELECT {a:UInt8}"}, 400, "Code: 457. DB::Exception: "},
		{"empty query", call{body: " -- nothing\n"}, 400, "Code: 62. DB::Exception: Syntax error: Empty query"},
		{"two statements", call{body: "SELECT 1; SELECT 2"}, 400, "Code: 62. DB::Exception: Syntax error: multi-statements"},
		{"a bare expression is no query", call{body: "1 + 1"}, 400, "Code: 62. DB::Exception: "},
		{"files of the client", call{body: "SELECT 1 INTO OUTFILE 'x'"}, 400, "Code: 62. DB::Exception: "},
		{"time zone is UTC", call{body: "SELECT timezone()"}, 200, "UTC\n"},
		{"describe", call{body: "DESCRIBE TABLE system.one FORMAT JSONEachRow"}, 200, "{\"name\":\"dummy\",\"type\":\"UInt8\",\"default_type\":\"\",\"default_expression\":\"\",\"comment\":\"\",\"codec_expression\":\"\",\"ttl_expression\":\"\"}\n"},
		{"totals survive", call{body: "SELECT number % 2 AS a, count() FROM numbers(4) GROUP BY a WITH TOTALS ORDER BY a"}, 200, "0\t2\n1\t2\n\n0\t4\n"},
		{"empty result", call{body: "SELECT 1 WHERE 0"}, 200, ""},
		{"a document in one piece", call{body: "SELECT count() FROM (SELECT * FROM numbers(200000)) FORMAT JSONCompactColumns"}, 200, "[\n\t[200000]\n]\n"},
		{"form", call{header: http.Header{"Content-Type": {"multipart/form-data; boundary=b"}}, body: "--b\r\nContent-Disposition: form-data; name=\"query\"\r\n\r\nSELECT {a:String}\r\n--b\r\nContent-Disposition: form-data; name=\"param_a\"\r\n\r\nx\r\n--b--\r\n"}, 200, "x\n"},
		{"unknown encoding", call{header: http.Header{"Content-Encoding": {"rot13"}}, body: "SELECT 1"}, 501, "Code: 48. DB::Exception: "},
		{"broken gzip", call{header: http.Header{"Content-Encoding": {"gzip"}}, body: "SELECT 1"}, 400, "Code: 117. DB::Exception: "},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := do(t, e.URL(), tt.call)
			if got.status != tt.status {
				t.Fatalf("status %d %s, want %d", got.status, got.body, tt.status)
			}
			if tt.status == http.StatusOK && got.body != tt.body || !strings.HasPrefix(got.body, tt.body) {
				t.Errorf("body %q, want %q", got.body, tt.body)
			}
			if code, _, ok := strings.Cut(strings.TrimPrefix(tt.body, "Code: "), "."); ok && strings.HasPrefix(tt.body, "Code: ") && got.header.Get("X-ClickHouse-Exception-Code") != code {
				t.Errorf("X-ClickHouse-Exception-Code = %q, want %s", got.header.Get("X-ClickHouse-Exception-Code"), code)
			}
		})
	}
}

func TestHTTP_InsertsEveryFormat(t *testing.T) {
	e := enginetest.Start(t)
	tests := []struct {
		name, query, body string
	}{
		{"values", "INSERT INTO t VALUES", "(1, 'a;b'), (2, upper('c'))"},
		{"values in one text", "", "INSERT INTO t (n, s) VALUES (1, 'a;b'), (2, 'C')"},
		{"json", "INSERT INTO t FORMAT JSONEachRow", `{"s":"a;b","n":1}` + "\n" + `{"n":2,"s":"C"}`},
		{"json in one text", "", "INSERT INTO t FORMAT JSONEachRow\n" + `{"s":"a;b","n":1}{"n":2,"s":"C"}`},
		{"csv", "INSERT INTO t FORMAT CSV", "1,a;b\n2,C\n"},
		{"csv by name", "INSERT INTO t FORMAT CSVWithNames", "s,n\na;b,1\nC,2\n"},
		{"tsv", "INSERT INTO t FORMAT TabSeparated", "1\ta;b\n2\tC\n"},
		{"native with other columns order", "INSERT INTO t FORMAT Native", "\x02\x02\x01s\x06String\x03a;b\x01C\x01n\x06UInt64\x01\x00\x00\x00\x00\x00\x00\x00\x02\x00\x00\x00\x00\x00\x00\x00"},
		{"settings in the statement", "INSERT INTO t SETTINGS input_format_skip_unknown_fields = 1 FORMAT JSONEachRow", `{"n":1,"x":5,"s":"a;b"}{"n":2,"s":"C"}`},
		{"select", "INSERT INTO t SELECT number + 1, ['a;b', 'C'][number + 1] FROM numbers(2)", ""},
		{"async is stored too", "INSERT INTO t SETTINGS async_insert = 1, wait_for_async_insert = 1 VALUES", "(1, 'a;b'), (2, 'C')"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			db := enginetest.Database(t)
			query(t, e.URL(), "CREATE TABLE "+db+".t (n UInt64, s String, d String DEFAULT concat(s, '!')) ENGINE = MergeTree ORDER BY n")
			params := url.Values{"database": {db}}
			insert := strings.NewReplacer("INTO t VALUES", "INTO t (n, s) VALUES", "INTO t FORMAT CSV", "INTO t (n, s) FORMAT CSV", "INTO t FORMAT Tab", "INTO t (n, s) FORMAT Tab",
				"INTO t SELECT", "INTO t (n, s) SELECT", "INTO t SETTINGS async", "INTO t (n, s) SETTINGS async").Replace(tt.query)
			if insert != "" {
				params.Set("query", insert)
			}
			got := do(t, e.URL(), call{params: params, body: tt.body})
			if got.status != http.StatusOK || got.body != "" {
				t.Fatalf("answer %d %q", got.status, got.body)
			}
			var summary map[string]string
			if err := json.Unmarshal([]byte(got.header.Get("X-ClickHouse-Summary")), &summary); err != nil || summary["written_rows"] != "2" {
				t.Errorf("summary %v, %v; want 2 written rows", summary, err)
			}
			if rows := query(t, e.URL(), "SELECT * FROM "+db+".t ORDER BY n"); rows != "1\ta;b\ta;b!\n2\tC\tC!" {
				t.Errorf("rows = %q", rows)
			}
		})
	}
}

func TestHTTP_StoresNothingOfABrokenInsert(t *testing.T) {
	e := enginetest.Start(t)
	db := enginetest.Database(t)
	query(t, e.URL(), "CREATE TABLE "+db+".t (n UInt64) ENGINE = MergeTree ORDER BY n")
	block := "\x01\x02\x01n\x06UInt64\x01\x00\x00\x00\x00\x00\x00\x00\x02\x00\x00\x00\x00\x00\x00\x00"
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	fmt.Fprint(w, "1\n2\n3\n")
	w.Close()
	tests := []struct {
		name, format string
		header       http.Header
		params       url.Values
		body         string
	}{
		{"native cut within a block", "Native", nil, nil, block[:len(block)-3]},
		{"gzip cut", "TSV", http.Header{"Content-Encoding": {"gzip"}}, nil, packed.String()[:packed.Len()-6]},
		{"frames cut", "TSV", nil, url.Values{"decompress": {"1"}}, strings.Repeat("x", 30)},
		{"frame header cut", "TSV", nil, url.Values{"decompress": {"1"}}, "abc"},
		{"not a number", "TSV", nil, nil, "1\nx\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			params := url.Values{"query": {"INSERT INTO " + db + ".t FORMAT " + tt.format}}
			for name, values := range tt.params {
				params[name] = values
			}
			if got := do(t, e.URL(), call{params: params, header: tt.header, body: tt.body}); got.status == http.StatusOK {
				t.Errorf("answer 200 %q", got.body)
			}
			if rows := query(t, e.URL(), "SELECT count() FROM "+db+".t"); rows != "0" {
				t.Errorf("%s rows are stored", rows)
			}
		})
	}
}

func TestHTTP_InsertOfNothingIsNoError(t *testing.T) {
	e := enginetest.Start(t)
	db := enginetest.Database(t)
	query(t, e.URL(), "CREATE TABLE "+db+".t (n UInt64) ENGINE = MergeTree ORDER BY n")
	if got := do(t, e.URL(), call{params: url.Values{"query": {"INSERT INTO " + db + ".t FORMAT Native"}}}); got.status != http.StatusOK {
		t.Errorf("answer %d %s", got.status, got.body)
	}
	if got := do(t, e.URL(), call{params: url.Values{"query": {"INSERT INTO " + db + ".nosuch FORMAT Native"}}}); got.status != http.StatusNotFound {
		t.Errorf("answer for an unknown table: %d %s", got.status, got.body)
	}
}

func TestHTTP_DescribesItsAnswers(t *testing.T) {
	e := enginetest.Start(t)
	got := do(t, e.URL(), call{params: url.Values{"query_id": {"my-id"}}, body: "SELECT number FROM numbers(10) FORMAT JSON"})
	want := map[string]string{
		"X-ClickHouse-Query-Id": "my-id",
		"X-ClickHouse-Format":   "JSON",
		"X-ClickHouse-Timezone": "UTC",
		"Content-Type":          "application/json; charset=UTF-8",
	}
	for name, value := range want {
		if got.header.Get(name) != value {
			t.Errorf("%s = %q, want %q", name, got.header.Get(name), value)
		}
	}
	if got.header.Get("X-ClickHouse-Server-Display-Name") == "" {
		t.Error("no X-ClickHouse-Server-Display-Name")
	}
	if summary := got.header.Get("X-ClickHouse-Summary"); !strings.Contains(summary, `"read_rows":"10"`) {
		t.Errorf("X-ClickHouse-Summary = %s", summary)
	}
}

func TestHTTP_EncodesAnswersForTransport(t *testing.T) {
	e := enginetest.Start(t)
	c := call{header: http.Header{"Accept-Encoding": {"gzip"}}, body: "SELECT number FROM numbers(100000) FORMAT TSV"}
	got := do(t, e.URL(), c)
	if got.header.Get("Content-Encoding") != "gzip" {
		t.Fatalf("Content-Encoding = %q", got.header.Get("Content-Encoding"))
	}
	plain, err := gzip.NewReader(strings.NewReader(got.body))
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(plain)
	if err != nil {
		t.Fatal(err)
	}
	c.params = url.Values{"enable_http_compression": {"0"}}
	if whole := do(t, e.URL(), c); string(text) != whole.body || whole.header.Get("Content-Encoding") != "" || strings.Count(whole.body, "\n") != 100_000 {
		t.Errorf("encoded and plain answers differ: %d and %d bytes", len(text), len(whole.body))
	}
}

func TestHTTP_ChecksWhoAsks(t *testing.T) {
	t.Setenv("TZ", "America/New_York") // of the parent: not the engine's business
	e := run(t, func(c *engine.Config) { c.Password, c.ReaderPassword = "secret", "readme" })
	basic := func(user, password string) http.Header {
		r := &http.Request{Header: http.Header{}}
		r.SetBasicAuth(user, password)
		return r.Header
	}
	tests := []struct {
		name   string
		call   call
		status int
		body   string
	}{
		{"nobody", call{}, 403, "Code: 516. DB::Exception: "},
		{"wrong password", call{header: basic("default", "x")}, 403, "Code: 516. DB::Exception: "},
		{"another scheme", call{header: http.Header{"Authorization": {"Bearer x"}}}, 403, "Code: 516. DB::Exception: Bearer HTTP Authorization scheme is not supported"},
		{"unknown user", call{header: basic("nobody", "")}, 403, "Code: 516. DB::Exception: "},
		{"basic auth", call{header: basic("default", "secret")}, 200, "1"},
		{"headers", call{header: http.Header{"X-Clickhouse-User": {"default"}, "X-Clickhouse-Key": {"secret"}}}, 200, "1"},
		{"parameters", call{params: url.Values{"user": {"default"}, "password": {"secret"}}}, 200, "1"},
		{"reader", call{header: basic("reader", "readme")}, 200, "1"},
		{"reader may use settings", call{header: basic("reader", "readme"), params: url.Values{"max_threads": {"1"}}}, 200, "1"},
		{"reader may not write", call{header: basic("reader", "readme"), body: "CREATE DATABASE x"}, 500, "Code: 164. DB::Exception: "},
		{"reader may not become a writer", call{header: basic("reader", "readme"), params: url.Values{"readonly": {"0"}}, body: "CREATE DATABASE x"}, 500, "Code: 164. DB::Exception: "},
		{"time zone", call{header: basic("default", "secret"), body: "SELECT timezone()"}, 200, "UTC"},
		{"table", call{header: basic("default", "secret"), body: "CREATE TABLE t (a Int8) ENGINE = MergeTree ORDER BY a"}, 200, ""},
		{"reader may not insert", call{header: basic("reader", "readme"), body: "INSERT INTO t VALUES (1)"}, 500, "Code: 164. DB::Exception: "},
		{"reader may not insert select", call{header: basic("reader", "readme"), body: "INSERT INTO t SELECT 1"}, 500, "Code: 164. DB::Exception: "},
		{"reader may not drop", call{header: basic("reader", "readme"), body: "DROP TABLE t"}, 500, "Code: 164. DB::Exception: "},
		{"readonly is honoured", call{header: basic("default", "secret"), params: url.Values{"readonly": {"1"}}, body: "CREATE DATABASE x"}, 500, "Code: 164. DB::Exception: "},
		{"page of another site", call{header: http.Header{"Origin": {"https://evil.example"}}}, 403, "requests from other sites"},
		{"image on another site", call{header: http.Header{"Sec-Fetch-Site": {"cross-site"}}}, 403, "requests from other sites"},
		{"name that was pointed at us", call{host: "evil.example:8123"}, 403, "requests from other sites"},
		{"localhost by name", call{host: "localhost:8123", header: basic("default", "secret")}, 200, "1"},
		{"page of this machine", call{header: http.Header{"Origin": {"http://localhost:8088"}, "Authorization": basic("default", "secret")["Authorization"]}}, 200, "1"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if tt.call.body == "" {
				tt.call.body = "SELECT 1"
			}
			if got := do(t, e.URL(), tt.call); got.status != tt.status || !strings.HasPrefix(got.body, tt.body) {
				t.Errorf("answer %d %q, want %d %q", got.status, got.body, tt.status, tt.body)
			}
		})
	}
}

// The reader gets at tables and at nothing else of the machine or the network.
func TestHTTP_LetsTheReaderReachTablesAlone(t *testing.T) {
	e, database := enginetest.Start(t), enginetest.Database(t)
	secret := filepath.Join(t.TempDir(), "secret.txt")
	if err := os.WriteFile(secret, []byte("secret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, statement := range []string{
		"CREATE TABLE %s.t (a Int8) ENGINE = MergeTree ORDER BY a", "INSERT INTO %s.t VALUES (7)", "CREATE VIEW %s.v AS SELECT a FROM %[1]s.t",
		"CREATE VIEW %s.f AS SELECT line FROM file('" + secret + "', LineAsString)",
	} {
		enginetest.Exec(t, e, fmt.Sprintf(statement, database))
	}
	as := func(user, statement string) reply {
		return do(t, e.URL(), call{params: url.Values{"user": {user}, "database": {database}, "session_id": {"reach"}}, body: statement})
	}
	of := func(format string) string { return fmt.Sprintf(format, secret) }
	for _, statement := range []string{
		of("SELECT * FROM file('%s', LineAsString)"), of("DESCRIBE file('%s')"), of("SELECT * FROM loop(file('%s', LineAsString)) LIMIT 1"),
		of("SELECT * FROM default.`%s`"), of("SELECT * FROM filesystem('%s')"), "SELECT * FROM f",
		of("SELECT file('%s')"), of("SELECT `file`('%s')"), of("SELECT \"f\\x69le\"('%s')"), of("SELECT file\u00a0/* ( */ -- x\n('%s')"),
		of("SELECT 1 AS a$t$, file('%s'), 2 AS b$t$"), of("SELECT \u2018--\u2019, file('%s')"), of("SELECT \u201cfile\u201d('%s')"),
		of("EXPLAIN SELECT file('%s')"),
		of("SELECT * APPLY(file) FROM (SELECT '%s' AS p)"), of("SELECT * APPLY `f\\x69le` FROM (SELECT '%s' AS p)"),
		of("SELECT 1 SETTINGS additional_result_filter = '\\x66ile(\\'%s\\') != \\'\\''"),
		of("SELECT 1 SETTINGS \"additional\\x5fresult_filter\" = '\\x66ile(\\'%s\\') != \\'\\''"),
		"SELECT * FROM url('" + e.URL() + "/ping', LineAsString)", "SELECT * FROM s3('" + e.URL() + "/bucket/x', LineAsString)",
		"SELECT * FROM remote('127.0.0.1:1', system.one)", "SELECT * FROM mysql('127.0.0.1:1', 'a', 'b', 'c', 'd')",
		"SELECT * FROM sqlite('x.db', 't')",
	} {
		as("reader", "SET ROLE ALL") // which a session does not keep for the reader
		if got := as("reader", statement); !strings.HasPrefix(got.body, "Code: 497. DB::Exception: ") {
			t.Errorf("reader: %s: %d %q, want 497", statement, got.status, got.body)
		}
	}
	for _, setting := range []string{"additional_result_filter", "additional_table_filters"} {
		got := do(t, e.URL(), call{params: url.Values{"user": {"reader"}, setting: {of("file('%s') != ''")}}, body: "SELECT 1"})
		if !strings.HasPrefix(got.body, "Code: 497. DB::Exception: ") {
			t.Errorf("reader: setting %s: %d %q, want 497", setting, got.status, got.body)
		}
	}
	for statement, want := range map[string]string{
		"SELECT a FROM t": "7", "SELECT a FROM v": "7", "SELECT count() FROM numbers(3)": "3", "SELECT a FROM view(SELECT a FROM t)": "7",
		"SELECT 'a file of (7)'": "a file of (7)", "SELECT 7 AS file": "7", "SELECT \"a\" AS \"b c\" FROM (SELECT 7 AS a WHERE '\\n' != '') SETTINGS max_threads = 1": "7", "SELECT name FROM system.databases WHERE name = 'system'": "system",
	} {
		if got := as("reader", statement); strings.TrimSpace(got.body) != want {
			t.Errorf("reader: %s: %d %q, want %s", statement, got.status, got.body, want)
		}
	}
	for _, statement := range []string{"SELECT * FROM f", of("SELECT file('%s')"), "SELECT * FROM url('" + e.URL() + "/ping', LineAsString)"} {
		if got := as("default", statement); got.status != http.StatusOK {
			t.Errorf("default: %s: %d %q", statement, got.status, got.body)
		}
	}
}

func TestHTTP_EndsTheQueryOfAClientThatGoesAway(t *testing.T) {
	e := enginetest.Start(t)
	const mark = "SELECT count() FROM numbers(10000000000000) WHERE cityHash64(number) = 77"
	running := func() bool {
		return query(t, e.URL(), "SELECT count() FROM system.processes WHERE query LIKE '%= 77%' AND query NOT LIKE '%processes%'") != "0"
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, e.URL(), strings.NewReader(mark))
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() {
		response, err := http.DefaultClient.Do(request)
		if err == nil {
			response.Body.Close()
		}
		ended <- err
	}()
	eventually(t, "start of the query", running)
	cancel()
	<-ended
	eventually(t, "end of the query", func() bool { return !running() })
}

func TestHTTP_SendsAResultWhileItIsMade(t *testing.T) {
	e := enginetest.Start(t)
	// 80 GB of numbers: only a result that is not collected first can begin at all.
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, e.URL(), strings.NewReader("SELECT number FROM numbers(10000000000) FORMAT RowBinary"))
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if _, err := io.CopyN(io.Discard, response.Body, 100<<20); err != nil {
		t.Errorf("read 100 MiB: %v", err)
	}
}
