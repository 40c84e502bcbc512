package main

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// TestLift_AsksUntilAllWasLookedAt plays a service that answers in three parts.
func TestLift_AsksUntilAllWasLookedAt(t *testing.T) {
	t.Parallel()
	var asked []map[string]any
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var req map[string]any
		if err := json.NewDecoder(r.Body).Decode(&req); err != nil || r.Header.Get("Authorization") != "Bearer secret" || r.URL.Path != "/v1/suppressions/lift" {
			http.Error(w, `{"title":"bad request","detail":"not what was expected"}`, http.StatusBadRequest)
			return
		}
		asked = append(asked, req)
		answer := map[string]any{"matched": 2000, "lifted": 2000, "next_cursor": "c"}
		if len(asked) == 3 {
			answer = map[string]any{"matched": 7, "lifted": 7}
		}
		_ = json.NewEncoder(w).Encode(answer) // the test reads it
	}))
	defer server.Close()
	args := []string{"suppressions", "lift", "--url", server.URL + "/", "--from", "2026-01-02T10:00:00Z", "--to", "2026-01-02T18:00:00Z", "--note", "outage", "--source", "acme"}
	run := func(environ ...string) (string, error) {
		var out, progress bytes.Buffer
		err := newRoot(process{args: args, environ: environ, stdout: &out, stderr: &progress}).ExecuteContext(t.Context())
		return out.String(), err
	}
	out, err := run("MAILSTREAM_SUPPRESSION_TOKEN=secret")
	if err != nil || out != "lifted 4007 entries\n" || len(asked) != 3 {
		t.Fatalf("%q, %v, %d calls", out, err, len(asked))
	}
	if asked[0]["reason"] != "hard_bounce" || asked[0]["source"] != "acme" || asked[0]["cursor"] != nil || asked[2]["cursor"] != "c" {
		t.Errorf("asked %v", asked)
	}
	if _, err := run(); err == nil || !strings.Contains(err.Error(), "400 bad request: not what was expected") {
		t.Errorf("without the token: %v", err)
	}
	asked, args[len(args)-1] = nil, ""                // as from a variable of the shell that is not set
	_, _ = run("MAILSTREAM_SUPPRESSION_TOKEN=secret") // what it answers is the server's
	if source, sent := asked[0]["source"]; !sent || source != "" {
		t.Errorf("an empty --source asked %v", asked[0])
	}
	args = args[:2]
	if _, err := run(); err == nil || !strings.Contains(err.Error(), `"from"`) {
		t.Errorf("without the time: %v", err)
	}
}
