package e2e

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/mailstream/mailstream/services/pipeline"
	"github.com/mailstream/mailstream/services/servicetest"
)

// TestConsole_WorksOnDeadLetters has the console plan, redrive and discard what analytics
// keeps, and show how far it is.
func TestConsole_WorksOnDeadLetters(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.call(http.MethodPost, w.stack.URL(pipeline.Ingress)+"/v1/webhooks/mailjet", "[17]", func(r *http.Request) { r.SetBasicAuth("dev", "dev") })
	w.wantSQL("SELECT count() FROM dead_letters WHERE state = 'open'", "1")
	form := func(path, body string) (int, string) {
		return w.call(http.MethodPost, w.stack.URL(pipeline.Console)+path, body, func(r *http.Request) {
			r.Header.Set("Content-Type", "application/json")
			r.Header.Set("Accept", "application/json")
		})
	}
	which := `"service":"ingress","reason":"not_an_object","provider":"mailjet","source":"mailjet"`
	if status, text := form("/dead-letters/redrive", `{`+which+`,"dry_run":"true"}`); status != http.StatusOK || !strings.Contains(text, `"plan":{"kind":"redrive","letters":1,"passed":0`) {
		t.Errorf("plan: %d %s", status, text)
	}
	for path, body := range map[string]string{"/dead-letters/redrive": `{}`, "/dead-letters/discard": `{` + which + `}`} {
		if status, text := form(path, body); status != http.StatusBadRequest {
			t.Errorf("%s %s: %d %s", path, body, status, text)
		}
	}
	for _, kind := range []string{"redrive", "discard"} {
		if status, text := form("/dead-letters/"+kind, `{`+which+`,"note":"a test"}`); status != http.StatusOK {
			t.Fatalf("%s: %d %s", kind, status, text)
		}
		servicetest.Eventually(t, "the page shows the end of it", func() bool {
			_, text := w.call(http.MethodGet, w.stack.URL(pipeline.Console)+"/dead-letters", "", func(r *http.Request) { r.Header.Set("Accept", "application/json") })
			var page struct {
				Data struct {
					Operations []struct{ Kind, State, By string }
				}
			}
			if err := json.Unmarshal([]byte(text), &page); err != nil {
				t.Fatal(err)
			}
			ops := page.Data.Operations
			return len(ops) > 0 && ops[0].Kind == kind && ops[0].State == "done" && ops[0].By == "local"
		})
	}
	w.wantSQL("SELECT state, note FROM dead_letters", "discarded\ta test")
	w.wantSQL("SELECT action, by, role FROM audit_log WHERE role = 'admin' AND action != 'dead_letters.view' ORDER BY time", "dead_letters.redrive\tlocal\tadmin", "dead_letters.discard\tlocal\tadmin")
	if status, text := w.call(http.MethodGet, w.stack.URL(pipeline.Console)+"/dead-letters", "", func(*http.Request) {}); status != http.StatusOK || !strings.Contains(text, `id="operations"`) || !strings.Contains(text, "No dead letter") {
		t.Errorf("page: %d %.2000s", status, text)
	}
}
