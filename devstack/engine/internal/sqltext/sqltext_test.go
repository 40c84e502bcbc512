package sqltext_test

import (
	"bytes"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/mailstream/mailstream/devstack/engine/internal/sqltext"
)

func TestParse_FindsStatementFormatAndData(t *testing.T) {
	t.Parallel()
	type want struct {
		Kind               sqltext.Kind
		Text, Format, Data string
	}
	tests := []struct {
		name, sql string
		want      want
	}{
		{"select", "SELECT 1", want{sqltext.Select, "SELECT 1", "", ""}},
		{"trailing semicolons", " SELECT 1 ;\n; ", want{sqltext.Select, "SELECT 1", "", ""}},
		{"trailing comment", "SELECT 1; -- done", want{sqltext.Select, "SELECT 1", "", ""}},
		{"format", "SELECT 1 FORMAT JSON", want{sqltext.Select, "SELECT 1 FORMAT JSON", "JSON", ""}},
		{"format and settings", "select 1 format `CSV` settings max_threads = 1", want{sqltext.Select, "select 1 format `CSV` settings max_threads = 1", "CSV", ""}},
		{"column called format", "SELECT format FROM t", want{sqltext.Select, "SELECT format FROM t", "", ""}},
		{"alias called format", "SELECT 1 AS format, 2", want{sqltext.Select, "SELECT 1 AS format, 2", "", ""}},
		{"format inside a subquery is not ours", "SELECT (SELECT 1 FORMAT JSON)", want{sqltext.Select, "SELECT (SELECT 1 FORMAT JSON)", "", ""}},
		{"format inside a string", "SELECT ' FORMAT JSON'", want{sqltext.Select, "SELECT ' FORMAT JSON'", "", ""}},
		{"with", "WITH 1 AS x SELECT x", want{sqltext.Select, "WITH 1 AS x SELECT x", "", ""}},
		{"parenthesised", "((SELECT 1))", want{sqltext.Select, "((SELECT 1))", "", ""}},
		{"comment first", "/* a; b */ -- c;\nSHOW TABLES", want{sqltext.Other, "SHOW TABLES", "", ""}},
		{"semicolons in literals", "SELECT ';', \";\", `;`, $a$;$a$, 'a\\';', 'a'';'", want{sqltext.Select, "SELECT ';', \";\", `;`, $a$;$a$, 'a\\';', 'a'';'", "", ""}},
		{"unterminated string goes to the engine", "SELECT 'a; b", want{sqltext.Select, "SELECT 'a; b", "", ""}},
		{"empty", " ", want{sqltext.Other, "", "", ""}},

		{"drop", "DROP TABLE t", want{sqltext.Other, "DROP TABLE t", "", ""}},
		{"drop sync", "DROP DATABASE IF EXISTS d SYNC;", want{sqltext.Other, "DROP DATABASE IF EXISTS d", "", ""}},
		{"drop no delay", "drop table `a b`.t no delay -- now", want{sqltext.Other, "drop table `a b`.t", "", ""}},
		{"drop a table called sync", "DROP TABLE IF EXISTS sync", want{sqltext.Other, "DROP TABLE IF EXISTS sync", "", ""}},
		{"drop a qualified table called sync", "DROP TABLE d.sync", want{sqltext.Other, "DROP TABLE d.sync", "", ""}},

		{"insert native", "INSERT INTO t (a, b) FORMAT Native\n\x00;'\n", want{sqltext.Insert, "INSERT INTO t (a, b) FORMAT Native", "Native", "\x00;'\n"}},
		{"insert data on the same line", "INSERT INTO t FORMAT JSONEachRow {\"a\":1}", want{sqltext.Insert, "INSERT INTO t FORMAT JSONEachRow", "JSONEachRow", "{\"a\":1}"}},
		{"insert data after CRLF", "INSERT INTO t FORMAT TSV \r\n\n1", want{sqltext.Insert, "INSERT INTO t FORMAT TSV", "TSV", "\n1"}},
		{"insert values", "INSERT INTO t VALUES (1, ';')", want{sqltext.Insert, "INSERT INTO t VALUES", "Values", " (1, ';')"}},
		{"insert lower case without into", "insert t values(1)", want{sqltext.Insert, "insert t values", "Values", "(1)"}},
		{"table called format", "INSERT INTO format FORMAT CSV\n1", want{sqltext.Insert, "INSERT INTO format FORMAT CSV", "CSV", "1"}},
		{"table called table", "INSERT INTO table(a) VALUES (1)", want{sqltext.Insert, "INSERT INTO table(a) VALUES", "Values", " (1)"}},
		{"table keyword", "INSERT INTO TABLE db.values VALUES (1)", want{sqltext.Insert, "INSERT INTO TABLE db.values VALUES", "Values", " (1)"}},
		{"column called select", "INSERT INTO t (a, select) VALUES (1, 2)", want{sqltext.Insert, "INSERT INTO t (a, select) VALUES", "Values", " (1, 2)"}},
		{"table function", "INSERT INTO FUNCTION null('a Int8') VALUES (1)", want{sqltext.Insert, "INSERT INTO FUNCTION null('a Int8') VALUES", "Values", " (1)"}},
		{"insert select", "INSERT INTO t SELECT 1", want{sqltext.Other, "INSERT INTO t SELECT 1", "", ""}},
		{"insert parenthesised select", "INSERT INTO t (SELECT 1)", want{sqltext.Other, "INSERT INTO t (SELECT 1)", "", ""}},
		{"insert with", "INSERT INTO t (a) WITH 1 AS x SELECT x", want{sqltext.Other, "INSERT INTO t (a) WITH 1 AS x SELECT x", "", ""}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			st, err := sqltext.Parse([]byte(tt.sql))
			if err != nil {
				t.Fatal(err)
			}
			got := want{st.Kind, string(st.Text), st.Format, string(st.Data)}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("statement (-want +got):\n%s", diff)
			}
		})
	}
}

func TestParse_RefusesWhatAServerRefuses(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, sql string
		want      error
	}{
		{"two statements", "SELECT 1; DROP TABLE t", sqltext.ErrMultiple},
		{"two statements over a comment", "SELECT 1 /* ; */; -- x\nSELECT 2", sqltext.ErrMultiple},
		{"outfile", "SELECT 1 INTO OUTFILE '/tmp/x'", sqltext.ErrFile},
		{"infile", "INSERT INTO t FROM INFILE '/tmp/x' FORMAT CSV", sqltext.ErrFile},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if _, err := sqltext.Parse([]byte(tt.sql)); !errors.Is(err, tt.want) {
				t.Errorf("Parse() = %v, want %v", err, tt.want)
			}
		})
	}
}

func TestStatement_FromFileKeepsColumnsAndSettings(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, sql, want string }{
		{"columns", "INSERT INTO t (a) FORMAT Native\nx", "INSERT INTO t (a)  FROM INFILE '/f'  FORMAT Native"},
		{"settings", "INSERT INTO t SETTINGS a = 1 FORMAT CSV\nx", "INSERT INTO t  FROM INFILE '/f' SETTINGS a = 1  FORMAT CSV"},
		{"values", "  INSERT INTO t VALUES (1)", "INSERT INTO t  FROM INFILE '/f'  FORMAT Values"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			st, err := sqltext.Parse([]byte(tt.sql))
			if err != nil {
				t.Fatal(err)
			}
			if got := string(st.FromFile("/f")); got != tt.want {
				t.Errorf("FromFile() = %q, want %q", got, tt.want)
			}
		})
	}
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		"SELECT 1", "INSERT INTO t (a) FORMAT Native\n\x00\xff;", "INSERT INTO t VALUES (1);", "SELECT '\\", "$a$", "/*", "INSERT INTO",
		"INSERT INTO TABLE FUNCTION f(", "WITH x AS (SELECT 1) SELECT x FORMAT JSON SETTINGS a=1;",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, sql []byte) {
		before := bytes.Clone(sql)
		if words := sqltext.Words(sql, 4); len(words) > 4 {
			t.Fatalf("%d words", len(words))
		}
		st, err := sqltext.Parse(sql)
		if !bytes.Equal(before, sql) {
			t.Fatal("Parse changed its input")
		}
		if err != nil {
			return
		}
		if !bytes.HasSuffix(sql, st.Data) || !bytes.Contains(sql, st.Text) {
			t.Fatalf("statement %q and data %q are not parts of %q", st.Text, st.Data, sql)
		}
		if st.Kind != sqltext.Insert {
			return
		}
		// More data behind an INSERT must not change what was read as statement.
		more, err := sqltext.Parse(append(bytes.Clone(sql), "; SELECT"...))
		if err != nil || !bytes.Equal(more.Text, st.Text) && len(st.Data) > 0 {
			t.Fatalf("data changed the statement: %q, %v", more.Text, err)
		}
		st.FromFile("/f")
	})
}
