//go:build alertmanager

package alertmanager

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/alerting/internal/outbox"
	"github.com/mailstream/mailstream/services/alerting/internal/wording"
	"github.com/mailstream/mailstream/services/servicetest"
)

// patience bounds every wait for the real Alertmanager.
const patience = servicetest.Patience

// program starts the Alertmanager that the variable ALERTMANAGER names and returns its
// base URL. It sends its notifications to hook.
func program(t *testing.T, hook string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "alertmanager.yml")
	text := fmt.Sprintf("route: {receiver: hook, group_wait: 10ms, group_interval: 10ms, group_by: [...]}\nreceivers: [{name: hook, webhook_configs: [{url: %q, send_resolved: true}]}]\n", hook)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	addr := servicetest.FreePort(t).Addr
	cmd := exec.Command(os.Getenv("ALERTMANAGER"), "--config.file="+file, "--web.listen-address="+addr, "--storage.path="+t.TempDir(), "--cluster.listen-address=")
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatalf("start alertmanager: %v", err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // it keeps nothing that matters
		_ = cmd.Wait()         // killed
	})
	await(t, "alertmanager", func() bool {
		resp, err := http.Get("http://" + addr + "/-/ready")
		if err != nil {
			return false
		}
		_ = resp.Body.Close() // the status was all
		return resp.StatusCode == http.StatusOK
	})
	return "http://" + addr
}

func await(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-deadline.C:
			t.Fatalf("no %s within %s", what, patience)
		case <-tick.C:
		}
	}
}

// posted is an alert as Alertmanager tells its receivers, or its API.
type posted struct {
	Status      any               `json:"status"`
	Labels      map[string]string `json:"labels"`
	Fingerprint string            `json:"fingerprint"`
	StartsAt    time.Time         `json:"startsAt"`
	EndsAt      time.Time         `json:"endsAt"`
}

func known(t *testing.T, base string) (alerts []posted) {
	t.Helper()
	resp, err := http.Get(base + "/api/v2/alerts")
	if err != nil {
		t.Fatalf("get alerts: %v", err)
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(resp.Body).Decode(&alerts); err != nil {
		t.Fatalf("read alerts: %v", err)
	}
	return alerts
}

func TestRealAlertmanager_SeesOneAlertGoOnAndEnd(t *testing.T) {
	t.Parallel()
	const notificationsMax = 16
	heard := make(chan posted, notificationsMax)
	hook := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var n struct {
			Alerts []posted `json:"alerts"`
		}
		if err := json.NewDecoder(r.Body).Decode(&n); err != nil {
			t.Errorf("read notification: %v", err)
		}
		for _, a := range n.Alerts {
			heard <- a
		}
	}))
	t.Cleanup(hook.Close)
	base := program(t, hook.URL)
	c := New(Config{URLs: []string{base}}, wording.Links{Console: "https://console.example.com/incidents", Runbook: "https://docs.example.com"}, nil, zap.NewNop())
	deliver := func(n outbox.Notice) {
		t.Helper()
		if err := c.Deliver(context.Background(), []outbox.Notice{n}); err != nil {
			t.Fatalf("deliver: %v", err)
		}
	}
	next := func(status string) {
		t.Helper()
		select {
		case a := <-heard:
			if a.Status != status || a.Labels["alertname"] != "test" {
				t.Errorf("heard %+v, want %s", a, status)
			}
		case <-time.After(patience):
			t.Fatalf("nothing heard, want %s", status)
		}
	}
	n := wording.Example(schemas.NotifyFiring, time.Now())
	deliver(n)
	next("firing")
	first := known(t, base)
	n.Facts.Value, n.Facts.Counts.Blocked = 0.9, 200 // other numbers are no other alert
	c.now = func() time.Time { return time.Now().Add(time.Minute) }
	deliver(n)
	await(t, "later end", func() bool {
		again := known(t, base)
		return len(first) == 1 && len(again) == 1 && again[0].Fingerprint == first[0].Fingerprint && again[0].EndsAt.After(first[0].EndsAt)
	})
	n.Kind, n.At, n.Facts.Ended = schemas.NotifyResolved, time.Now(), schemas.EndRecovered
	deliver(n)
	next("resolved")
}
