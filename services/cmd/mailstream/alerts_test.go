package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mailstream/mailstream/services/alerting/playback"
)

func TestAlertsTest_ExitsWithOneWhenACaseFails(t *testing.T) {
	t.Parallel()
	file := func(state string) string {
		name := filepath.Join(t.TempDir(), "cases.yaml")
		text := `cases: [{name: all blocked, mail: [{recipient_domain: a.test, blocked: 30}], expect: [{at: 1m, rule: block_spike, recipient_domain: a.test, state: ` + state + `}]}]`
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return name
	}
	good, bad := file("firing"), file("none")
	if code, out, faults := cli(t, "alerts", "test", good); code != exitDone || out != "ok    all blocked\n" {
		t.Errorf("good: %d %q %s", code, out, faults)
	}
	var quiet, warnings bytes.Buffer
	environ := []string{"MAILSTREAM_ALERTING_TOKEN=a", "MAILSTREAM_SUPPRESSION_TOKEN=b", "MAILSTREAM_ALERTING_TOKENX=c"}
	if code := run(t.Context(), process{args: []string{"alerts", "test", good}, environ: environ, stdout: &quiet, stderr: &warnings}); code != exitDone ||
		strings.Count(warnings.String(), "\n") != 1 || !strings.Contains(warnings.String(), "MAILSTREAM_ALERTING_TOKENX sets no field") {
		t.Errorf("with tokens for other commands: %d %s", code, warnings.String())
	}
	code, out, faults := cli(t, "alerts", "test", "--json", good, bad)
	var results []playback.Result
	if err := json.Unmarshal([]byte(out), &results); err != nil || len(results) != 2 || !results[0].OK || results[1].OK {
		t.Errorf("as JSON: %q %v", out, err)
	}
	if code != exitFailed || !strings.Contains(faults, "1 of 2 cases failed") {
		t.Errorf("bad: %d %s", code, faults)
	}
}

func TestAlertsBacktest_RefusesWhatItCannotPlay(t *testing.T) {
	t.Parallel()
	const january, february = "2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z"
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"--from", "yesterday", "--to", february}, `"yesterday" for "--from"`},
		{[]string{"--from", february, "--to", january}, "--from: " + february + " is not before"},
		{[]string{"--from", january}, `"to" not set`},
		{[]string{"--from", january, "--to", february, "--rules", "/no/such/file"}, "--rules: open /no/such/file"},
		{[]string{"--from", january, "--to", february, "--sweep", "colour=1:2:1"}, "--sweep: sweep \"colour=1:2:1\""},
	} {
		code, _, faults := cli(t, append([]string{"alerts", "backtest"}, c.args...)...)
		if code != exitUsage || !strings.Contains(faults, c.want) {
			t.Errorf("%q: %d %s, want %s", c.args, code, faults, c.want)
		}
	}
}
