//go:build linux

package clickhttp

import (
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mailstream/mailstream/devstack/engine/internal/sqltext"
)

// read returns the statement, and all data of an INSERT, of a request whose query
// is in the URL and the body.
func read(url []string, body string) (statement, data string, err error) {
	q := &request{}
	if err := q.readStatement(url, strings.NewReader(body)); err != nil {
		return "", "", err
	}
	rest, err := io.ReadAll(q.data)
	if err != nil {
		return "", "", err
	}
	return string(q.statement.Text), string(q.statement.Data) + string(rest), nil
}

func TestReadStatement_JoinsURLAndBody(t *testing.T) {
	t.Parallel()
	large := strings.Repeat("(1, 'a;b'), ", queryBytesMax/4)
	tests := []struct {
		name            string
		url             []string
		body            string
		statement, data string
	}{
		{"url", []string{"SELECT 1;"}, "", "SELECT 1", ""},
		{"body", nil, "SELECT 1", "SELECT 1", ""},
		{"both", []string{"SELECT 1,"}, "2", "SELECT 1,\n2", ""},
		{"data in the body", []string{"INSERT INTO t FORMAT Native"}, "\n;\x00", "INSERT INTO t FORMAT Native", "\n;\x00"},
		{"data in both", []string{"INSERT INTO t VALUES (1)"}, ",(2)", "INSERT INTO t VALUES", " (1)\n,(2)"},
		{"format in the body", []string{"INSERT INTO t"}, "FORMAT CSV\n1;", "INSERT INTO t\nFORMAT CSV", "1;"},
		{"data longer than a query may be", nil, "INSERT INTO t VALUES" + large, "INSERT INTO t VALUES", large},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			statement, data, err := read(tt.url, tt.body)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.statement, statement); diff != "" {
				t.Errorf("statement (-want +got):\n%.500s", diff)
			}
			if data != tt.data {
				t.Errorf("data has %d bytes, want %d", len(data), len(tt.data))
			}
		})
	}
}

func TestReadStatement_RefusesAQueryThatIsTooLong(t *testing.T) {
	t.Parallel()
	long := "SELECT '" + strings.Repeat("x", queryBytesMax) + "'"
	if _, _, err := read(nil, long); err == nil {
		t.Error("no error for a body that is too long")
	}
	if _, _, err := read([]string{long}, ""); err == nil {
		t.Error("no error for a URL that is too long")
	}
}

// FuzzReadStatement checks that it does not matter where URL and body meet.
func FuzzReadStatement(f *testing.F) {
	f.Add("INSERT INTO t FORMAT Native", "\x00;\n")
	f.Add("INSERT INTO t", "VALUES (1);")
	f.Add("", "SELECT 1; -- x")
	f.Add("SELECT '", "'")
	f.Fuzz(func(t *testing.T, url, body string) {
		statement, data, err := read([]string{url}, body)
		whole := url + "\n" + body
		if url == "" {
			whole = body
		}
		want, wantErr := sqltext.Parse([]byte(whole))
		if wantErr != nil || len(want.Text) == 0 {
			if err == nil {
				t.Fatalf("no error for %q and %q", url, body)
			}
			return
		}
		if err != nil || statement != string(want.Text) || data != string(want.Data) {
			t.Fatalf("statement %q, data %q, %v; want %q, %q", statement, data, err, want.Text, want.Data)
		}
	})
}
