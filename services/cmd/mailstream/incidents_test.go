package main

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// alertingStub answers each call with what is written for it, and keeps what it
// was asked.
type alertingStub struct {
	*httptest.Server
	asked, body string
}

func newAlertingStub(t *testing.T, answers map[string]string) *alertingStub {
	t.Helper()
	s := &alertingStub{}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body) // what is missing fails the test
		s.asked, s.body = r.Method+" "+r.URL.String(), string(body)
		answer, ok := answers[r.Method+" "+r.URL.Path]
		switch {
		case r.Header.Get("Authorization") != "Bearer secret":
			http.Error(w, `{"title":"unauthorized","detail":"a valid bearer token is required"}`, http.StatusUnauthorized)
		case !ok:
			http.Error(w, `{"title":"not found","detail":"there is nothing with this id"}`, http.StatusNotFound)
		case strings.Contains(r.URL.RawQuery, "refuse"):
			http.Error(w, `{"title":"bad request","detail":"until: is missing"}`, http.StatusBadRequest)
		case r.Method == http.MethodDelete:
			w.WriteHeader(http.StatusNoContent)
		default:
			_, _ = io.WriteString(w, answer) // the test reads it
		}
	}))
	t.Cleanup(s.Close)
	return s
}

// alerts runs a command against the stub.
func (s *alertingStub) alerts(t *testing.T, args ...string) (code int, out, faults string) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	args = append([]string{"alerts"}, append(args, "--url", s.URL+"/")...)
	code = run(t.Context(), process{args: args, environ: []string{"MAILSTREAM_ALERTING_TOKEN=secret"}, stdout: &stdout, stderr: &stderr})
	return code, stdout.String(), stderr.String()
}

const incidentAnswer = `{"incident":"inc-1","alert":{"rule":"block_spike","labels":{"source":"acme"},"state":"firing","acknowledged":{"by":"ana"}},` +
	`"acknowledgements":[],"silences":[],"notes":[],"timeline":[{"at":"2026-01-02T10:00:00Z","kind":"state","state":"firing"},` +
	`{"at":"2026-01-02T10:00:00Z","kind":"reading","value":0.75},{"at":"2026-01-02T10:00:01Z","kind":"message","receiver":"slack","detail":"firing","answer":"delivered"}]}`

func TestAlerts_AskTheServiceAndPrintItsAnswer(t *testing.T) {
	t.Parallel()
	s := newAlertingStub(t, map[string]string{
		"GET /v1/alerts":                 `{"alerts":[{"incident":"inc-1","since":"2026-01-02T10:00:00Z","state":"firing","rule":"block_spike","labels":{"source":"acme","recipient_domain":"a.test"},"value":0.75,"silenced_by":["sil-1"],"flapping":true}],"total":1}`,
		"GET /v1/incidents/inc-1":        incidentAnswer,
		"POST /v1/incidents/inc-1/ack":   `{"acknowledged":{"incident":"inc-1","by":"ana"}}`,
		"POST /v1/incidents/inc-1/notes": `{"id":"note-1"}`,
		"POST /v1/silences":              `{"id":"sil-1","would_have_hit":3}`,
		"GET /v1/silences":               `{"silences":[{"id":"sil-1","state":"active","by":"ana","comment":"moved","matchers":[{"label":"source","op":"=~","value":"a.*"}]}],"maintenance":[{"name":"nightly","active":true,"next":"2026-01-03T02:00:00Z"}]}`,
		"DELETE /v1/silences/sil-1":      ``,
	})
	for _, tt := range []struct {
		args   string
		asked  string
		prints []string
	}{
		{"list", "GET /v1/alerts?", []string{"INCIDENT", "inc-1", "recipient_domain=a.test,source=acme", "0.75", "silenced by sil-1; flapping"}},
		{"list --state firing --label source=acme --since 2026-01-02T10:00:00Z", "GET /v1/alerts?label.source=acme&since=2026-01-02T10%3A00%3A00Z&state=firing", nil},
		{"show inc-1", "GET /v1/incidents/inc-1", []string{"block_spike at source=acme is firing, acknowledged by ana", "reading", "0.75", "slack firing delivered"}},
		{"ack inc-1 --by ana", "POST /v1/incidents/inc-1/ack", []string{"inc-1 is acknowledged by ana"}},
		{"note inc-1 --by ana --note x", "POST /v1/incidents/inc-1/notes", []string{"note-1"}},
		{"silences --state active", "GET /v1/silences?state=active", []string{"sil-1", "source=~a.*", "maintenance/nightly", "2026-01-03T02:00:00Z"}},
		{"unsilence sil-1 --by ana", "DELETE /v1/silences/sil-1?by=ana", []string{"sil-1 is over"}},
		{"silence --match source=acme --for 2h --by ana --comment x --dry-run", "POST /v1/silences?dry_run=true", []string{"3 incidents of the last 7 days"}},
	} {
		code, out, faults := s.alerts(t, strings.Fields(tt.args)...)
		if code != exitDone || s.asked != tt.asked {
			t.Errorf("%s: %d, asked %s, want %s; %s", tt.args, code, s.asked, tt.asked, faults)
		}
		for _, want := range tt.prints {
			if !strings.Contains(out, want) {
				t.Errorf("%s: no %q in %s", tt.args, want, out)
			}
		}
		code, out, _ = s.alerts(t, append(strings.Fields(tt.args), "--json")...)
		if code != exitDone || !json.Valid([]byte(out)) {
			t.Errorf("%s --json: %d %s", tt.args, code, out)
		}
	}
}

func TestAlertsSilence_ReadsMatchersAndTimes(t *testing.T) {
	t.Parallel()
	s := newAlertingStub(t, map[string]string{"POST /v1/silences": `{"id":"sil-1","would_have_hit":0}`})
	code, out, faults := s.alerts(t, "silence", "--match", "source=acme", "--match", "rule!=block_spike", "--match", "recipient_domain=~.*=x", "--match", "campaign!~!y",
		"--since", "2099-01-02T10:00:00Z", "--for", "1d12h", "--by", "ana", "--comment", "moved")
	if code != exitDone || !strings.Contains(out, "sil-1 holds until 2099-01-03T22:00:00Z") {
		t.Fatalf("%d %s %s", code, out, faults)
	}
	const want = `{"matchers":[{"label":"source","op":"=","value":"acme"},{"label":"rule","op":"!=","value":"block_spike"},` +
		`{"label":"recipient_domain","op":"=~","value":".*=x"},{"label":"campaign","op":"!~","value":"!y"}],` +
		`"since":"2099-01-02T10:00:00Z","until":"2099-01-03T22:00:00Z","by":"ana","comment":"moved"}`
	if s.body != want {
		t.Errorf("sent %s\nwant %s", s.body, want)
	}
	f := silenceFlags{matchers: []string{"source=acme"}, length: "90m"}
	now := time.Date(2026, 1, 2, 10, 0, 0, 0, time.UTC)
	if b, err := f.body(now); err != nil || !b.Until.Equal(now.Add(90*time.Minute)) {
		t.Errorf("until %s, %v", b.Until, err)
	}
}

func TestAlerts_ExitCodes(t *testing.T) {
	t.Parallel()
	s := newAlertingStub(t, map[string]string{"GET /v1/alerts": `{"alerts":[],"total":0}`, "POST /v1/silences": `{}`})
	silence := []string{"silence", "--match", "source=acme", "--by", "ana", "--comment", "x"}
	for _, tt := range []struct {
		args []string
		code int
		says string
	}{
		{[]string{"show", "inc-2"}, exitFailed, "404 not found: there is nothing with this id"},
		{[]string{"list", "--token", "wrong"}, exitFailed, "401 unauthorized"},
		{[]string{"list", "--state", "refuse"}, exitUsage, "until: is missing"},
		{[]string{"list", "--label", "source"}, exitUsage, "--label"},
		{[]string{"list", "inc-1"}, exitUsage, "does not take"},
		{[]string{"show"}, exitUsage, "wants ID"},
		{[]string{"ack", "inc-1"}, exitUsage, `"by" not set`},
		{silence, exitUsage, "must end"},
		{append(silence, "--for", "1h", "--until", "2099-01-02T10:00:00Z"), exitUsage, "must end"},
		{append(silence, "--for", "-1h"), exitUsage, "--for"},
		{append(silence, "--until", "tomorrow"), exitUsage, "--until"},
		{append(silence, "--for", "1h", "--match", "source"), exitUsage, "--match"},
		{append(silence, "--for", "1h", "--match", "source!x"), exitUsage, "--match"},
	} {
		code, _, faults := s.alerts(t, tt.args...)
		if code != tt.code || !strings.Contains(faults, tt.says) {
			t.Errorf("%q: %d %s, want %d with %q", tt.args, code, faults, tt.code, tt.says)
		}
	}
}
