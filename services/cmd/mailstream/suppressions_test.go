package main

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
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
	args = append(args[:2], "--note", "outage", "--to", "2026-01-02T18:00:00Z")
	if _, err := run(); err == nil || !strings.Contains(err.Error(), `"from"`) {
		t.Errorf("without the time: %v", err)
	}
}

// A token that is missing is the first thing a newcomer meets: the message names the
// variable that it belongs in.
func TestCommands_SayWhereTheTokenBelongs(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, `{"title":"unauthorized","detail":"a valid bearer token is required"}`, http.StatusUnauthorized)
	}))
	defer server.Close()
	for line, variable := range map[string]string{
		"suppressions explain a@example.com": "MAILSTREAM_SUPPRESSION_TOKEN",
		"suppressions export":                "MAILSTREAM_SUPPRESSION_TOKEN",
		"alerts list":                        "MAILSTREAM_ALERTING_TOKEN",
	} {
		root := newRoot(process{args: append(strings.Fields(line), "--url", server.URL), stdout: io.Discard, stderr: io.Discard})
		if err := root.ExecuteContext(t.Context()); err == nil || !strings.HasSuffix(err.Error(), "; set "+variable+" to one of its tokens") {
			t.Errorf("%s: %v", line, err)
		}
	}
}

func TestLift_OfAddresses(t *testing.T) {
	t.Parallel()
	var asked map[string]any
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := json.NewDecoder(r.Body).Decode(&asked); err != nil || r.URL.Path != "/v1/suppressions/bulk" {
			http.Error(w, `{"title":"bad request"}`, http.StatusBadRequest)
			return
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"token": "t", "changed": 2}) // the test reads it
	}))
	defer server.Close()
	run := func(args ...string) (string, error) {
		var out bytes.Buffer
		err := newRoot(process{args: append([]string{"suppressions", "lift", "--url", server.URL}, args...), stdout: &out, stderr: &out}).ExecuteContext(t.Context())
		return out.String(), err
	}
	out, err := run("ana@example.com", "*@example.com", "mailbox_provider:google", "--note", "asked", "--reason", "manual")
	want := map[string]any{"action": "lift", "addresses": []any{"ana@example.com", "*@example.com", "mailbox_provider:google"}, "note": "asked", "reason": "manual", "consent": false}
	if diff := cmp.Diff(want, asked); err != nil || out != "lifted 2 entries\n" || diff != "" {
		t.Errorf("%q, %v, asked (-want +got):\n%s", out, err, diff)
	}
	if _, err := run("ana@example.com", "--note", "asked"); err != nil || asked["reason"] != "manual" && asked["reason"] != nil {
		t.Errorf("%v, asked %v", err, asked)
	}
	for _, args := range [][]string{
		{"ana", "--note", "x"}, {"*@com", "--note", "x"}, {"ana@example.com"}, {"ana@example.com", "--note", "x", "--dry-run"},
		{"ana@example.com", "--note", "x", "--from", "2026-01-02T10:00:00Z"}, {"--note", "x", "--scope", "account", "--from", "2026-01-02T10:00:00Z", "--to", "2026-01-02T11:00:00Z"},
	} {
		if _, err := run(args...); err == nil {
			t.Errorf("%v is taken", args)
		}
	}
}
