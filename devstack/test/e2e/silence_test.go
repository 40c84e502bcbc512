package e2e

import (
	"fmt"
	"net/http"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/mailstream/mailstream/services/pipeline"
	"github.com/mailstream/mailstream/services/servicetest"
)

// alertsCommand runs `mailstream alerts` against p and returns what it printed.
func alertsCommand(t *testing.T, p *process, args ...string) string {
	t.Helper()
	cmd := exec.Command(p.binary, append(append([]string{"alerts"}, args...), "--url", p.url())...)
	cmd.Env = []string{"MAILSTREAM_ALERTING_TOKEN=dev"}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("alerts %q: %v: %s", args, err, out)
	}
	return string(out)
}

// TestSilence_OutlivesAKill kills alerting right after a silence was answered, and
// once more while it hides an incident.
func TestSilence_OutlivesAKill(t *testing.T) {
	t.Parallel()
	w := newWorldWithout(t)
	processes := startProcesses(t, w)
	alerting, ingress := processes[pipeline.Alerting], processes[pipeline.Ingress]
	get := func(path string) string {
		_, text := w.call(http.MethodGet, alerting.url()+path, "", bearer)
		return text
	}
	ready := func(p *process) {
		t.Helper()
		servicetest.EventuallyOr(w.t, func() bool {
			status, _ := w.call(http.MethodGet, p.url()+"/readyz", "", bearer)
			return status == http.StatusOK
		}, func() string { return fmt.Sprint(p.name, " is not ready") })
	}
	again := func() {
		t.Helper()
		alerting.kill()
		alerting.start()
		ready(alerting)
	}
	spike := func(domain string) {
		t.Helper()
		body := mail{domain, 30, 0, time.Now()}.request(t)
		if status, text := w.call(http.MethodPost, ingress.url()+"/v1/webhooks/mailjet", body, func(r *http.Request) { r.SetBasicAuth("dev", "dev") }); status != http.StatusOK {
			t.Fatalf("webhook answered %d %s", status, text)
		}
	}
	ready(ingress)
	ready(alerting)

	said := alertsCommand(t, alerting, "silence", "--match", "recipient_domain=quiet.example", "--for", "1h", "--by", "ana", "--comment", "tried")
	id := regexp.MustCompile(`sil-[0-9a-f]{10}`).FindString(said)
	again()
	if list := alertsCommand(t, alerting, "silences", "--state", "active"); id == "" || !strings.Contains(list, id) {
		t.Fatalf("silence %q is not in %s", id, list)
	}
	spike("quiet.example")
	servicetest.EventuallyOr(w.t, func() bool {
		return strings.Contains(get("/v1/alerts?state=firing&label.recipient_domain=quiet.example"), id)
	}, func() string { return get("/v1/alerts") })
	again()
	spike("loud.example")
	servicetest.EventuallyOr(w.t, func() bool { return w.messages("loud.example") == 1 }, func() string { return "no message" })
	if n := w.messages("quiet.example"); n != 0 {
		t.Fatalf("%d messages about what is silenced", n)
	}
	alertsCommand(t, alerting, "unsilence", id, "--by", "ben")
	servicetest.EventuallyOr(w.t, func() bool { return w.messages("quiet.example") == 1 }, func() string { return "no message after the silence" })
	if list := alertsCommand(t, alerting, "list", "--label", "recipient_domain=quiet.example"); strings.Contains(list, "silenced") {
		t.Errorf("still silenced: %s", list)
	}
}
