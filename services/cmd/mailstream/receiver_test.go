package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mailstream/mailstream/services/alerting"
)

func TestAlertsTestReceiver_SaysWhatCameOfIt(t *testing.T) {
	t.Parallel()
	var posts []string
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil || strings.Contains(r.URL.Path, "gone") {
			http.Error(w, "no_service", http.StatusNotFound)
			return
		}
		posts = append(posts, string(body))
		_, _ = io.WriteString(w, "ok") // a gone client fails its own test
	}))
	t.Cleanup(srv.Close)
	file := filepath.Join(t.TempDir(), "config.yaml")
	text := fmt.Sprintf("alerting:\n  receivers:\n  - {name: good, slack: {webhook_url: %[1]s/good}}\n  - {name: gone, slack: {webhook_url: %[1]s/gone}}\n", srv.URL)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	try := func(args ...string) (int, string, string) {
		return cli(t, append([]string{"alerts", "test-receiver", "--config", file}, args...)...)
	}
	if code, out, faults := try("good"); code != exitDone || out != "good: delivered\n" || len(posts) != 2 {
		t.Errorf("good: %d %q %s, %d posts", code, out, faults, len(posts))
	}
	if !strings.Contains(posts[0], "this is a test of Mailstream") || !strings.Contains(posts[1], "back to normal") {
		t.Errorf("posts: %q", posts)
	}
	code, out, faults := try("--json", "gone")
	var trial alerting.Trial
	if err := json.Unmarshal([]byte(out), &trial); err != nil || trial.Outcome != "refused" || trial.Answer != "no_service" || code != exitFailed {
		t.Errorf("gone: %d %q %s %v", code, out, faults, err)
	}
	if strings.Contains(out+faults, srv.URL) {
		t.Errorf("shows the address: %s %s", out, faults)
	}
	if code, _, faults := try("nobody"); code != exitUsage || !strings.Contains(faults, "there are good, gone") {
		t.Errorf("nobody: %d %s", code, faults)
	}
	if code, _, _ := try(); code != exitUsage {
		t.Errorf("without a name: %d", code)
	}
}

// TestAlertsTestReceiver_AsksTheServiceForWhatItDoesNotKnow is how the development stack
// is tried: nothing is configured here, everything there.
func TestAlertsTestReceiver_AsksTheServiceForWhatItDoesNotKnow(t *testing.T) {
	t.Parallel()
	s := newAlertingStub(t, map[string]string{"POST /v1/receivers/slack/test": `{"receiver":"slack","outcome":"delivered"}`, "POST /v1/receivers/gone/test": `{"receiver":"gone","outcome":"refused","answer":"no_service","detail":"post to slack: no_service"}`})
	if code, out, faults := s.alerts(t, "test-receiver", "slack"); code != exitDone || out != "slack: delivered\n" || s.body != "" {
		t.Errorf("delivered: %d %q %s, body %q", code, out, faults, s.body)
	}
	if code, out, faults := s.alerts(t, "test-receiver", "gone", "--json"); code != exitFailed || !strings.Contains(out, `"refused"`) || !strings.Contains(faults, "no_service") {
		t.Errorf("refused: %d %q %s", code, out, faults)
	}
	if code, _, faults := s.alerts(t, "test-receiver", "no/body"); code != exitUsage || !strings.Contains(faults, "there is nothing with this id") {
		t.Errorf("unknown: %d %s", code, faults)
	}
}
