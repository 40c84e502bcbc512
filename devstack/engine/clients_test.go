package engine_test

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"

	"github.com/mailstream/mailstream/devstack/engine/enginetest"
	"github.com/mailstream/mailstream/devstack/engine/internal/frame"
)

// clientAnswers are the requests that clients of other languages send first, as
// they were on the wire, and what the decoded answer holds.
func clientAnswers() map[string]string {
	const version = "26.5"
	return map[string]string{
		"clickhouse-connect-1": version, "clickhouse-connect-2": "max_threads", "clickhouse-connect-3": "check",
		"clickhouse-connect-4": "a", "clickhouse-connect-5": "x'y", "clickhouse-connect-encoded": "max_threads",
		"jdbc-v1-1": version, "jdbc-v1-2": "a", "jdbc-v1-3": "count", "jdbc-v1-4": "", "jdbc-v1-5": "", "jdbc-v1-encoded": "",
		"jdbc-v2-1": "a", "jdbc-v2-2": "count", "jdbc-v2-3": "", "jdbc-v2-4": "", "jdbc-v2-5": "", "jdbc-v2-encoded": "a",
	}
}

// TestClients_GetTheAnswerTheyCanRead sends what the clients send first, byte for
// byte. The clients themselves run in devstack/test/sqlclients, which also writes these
// files.
func TestClients_GetTheAnswerTheyCanRead(t *testing.T) {
	address := strings.TrimPrefix(enginetest.Start(t).URL(), "http://")
	t.Cleanup(func() { enginetest.Exec(t, enginetest.Start(t), "DROP TABLE IF EXISTS default.java") })
	files, err := filepath.Glob("testdata/clients/*.http")
	if err != nil || len(files) != len(clientAnswers()) {
		t.Fatalf("%d files, want %d: %v", len(files), len(clientAnswers()), err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".http")
		t.Run(name, func(t *testing.T) { // in order: some make a table for others
			sent, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			body := exchange(t, address, sent)
			if want, known := clientAnswers()[name]; !known || !strings.Contains(body, want) {
				t.Errorf("answer %.300q does not hold %q", body, want)
			}
		})
	}
}

// exchange sends a request and returns the body of the answer as its client
// decodes it: the encoding by its name, then frames where it asked for them.
func exchange(t *testing.T, address string, sent []byte) string {
	t.Helper()
	conn, err := net.DialTimeout("tcp", address, waitMax)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(waitMax)); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Write(sent); err != nil {
		t.Fatal(err)
	}
	request, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(sent)))
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.ReadResponse(bufio.NewReader(conn), request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body := unencoded(t, response)
	if request.URL.Query().Get("compress") == "1" {
		body = frame.NewReader(body)
	}
	text, err := io.ReadAll(body)
	if err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("%s, %v: %.500s", response.Status, err, text)
	}
	if response.Header.Get("X-ClickHouse-Summary") == "" || response.Header.Get("X-ClickHouse-Query-Id") == "" || response.Header.Get("X-ClickHouse-Format") == "" {
		t.Errorf("headers %v", response.Header)
	}
	return string(text)
}

func unencoded(t *testing.T, response *http.Response) io.Reader {
	t.Helper()
	switch name := response.Header.Get("Content-Encoding"); name {
	case "":
		return response.Body
	case "lz4":
		return lz4.NewReader(response.Body)
	case "gzip":
		r, err := gzip.NewReader(response.Body)
		if err != nil {
			t.Fatal(err)
		}
		return r
	case "zstd":
		r, err := zstd.NewReader(response.Body)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(r.Close)
		return r
	default:
		t.Fatalf("Content-Encoding %q", name)
		return nil
	}
}
