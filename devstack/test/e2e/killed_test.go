package e2e

import (
	"bufio"
	"fmt"
	"net/http"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/mailstream/mailstream/services/servicetest"
)

// devstack is `make dev`'s program as its own process.
type devstack struct {
	t                                *testing.T
	cmd                              *exec.Cmd
	ingress, suppression, clickhouse string
}

// startDevstack runs the program until it says where everything listens.
func startDevstack(t *testing.T, binary, dir string) *devstack {
	t.Helper()
	d := &devstack{t: t, cmd: exec.Command(binary, "--free-ports", "--data-dir", dir)}
	stderr, err := d.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := d.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.kill)
	said := make(chan string, 1)
	go func() {
		scanner := bufio.NewScanner(stderr)
		var text strings.Builder
		for scanner.Scan() {
			fmt.Fprintln(&text, scanner.Text())
			if strings.Contains(scanner.Text(), "Slack messages") {
				said <- text.String()
			}
		}
		close(said)
	}()
	select {
	case text, ok := <-said:
		if !ok {
			t.Fatal("devstack ended before it was ready")
		}
		d.ingress, d.suppression, d.clickhouse = strings.Replace(row(t, text, "webhooks"), "<source>", "mailjet", 1), row(t, text, "suppression API"), row(t, text, "ClickHouse")
	case <-time.After(patience):
		t.Fatal("devstack does not get ready")
	}
	return d
}

// row returns the URL that the table of the welcome has for name.
func row(t *testing.T, text, name string) string {
	t.Helper()
	m := regexp.MustCompile(name + ` +(http://\S+)`).FindStringSubmatch(text)
	if m == nil {
		t.Fatalf("no %s in:\n%s", name, text)
	}
	return m[1]
}

func (d *devstack) kill() {
	_ = d.cmd.Process.Kill() // SIGKILL; it may have ended
	_ = d.cmd.Wait()         // killed, which is no fault
}

func TestDevstack_KilledTheHardWayFindsEverythingAgain(t *testing.T) {
	t.Parallel()
	binary, dir := build(t, "../../cmd/devstack"), t.TempDir()+"/with space"
	w := &world{t: t}
	for round := 1; round <= 3; round++ {
		d := startDevstack(t, binary, dir)
		query := func() string {
			_, text := w.call(http.MethodPost, d.clickhouse, "SELECT count() FROM mailstream.events", func(*http.Request) {})
			return strings.TrimSpace(text)
		}
		if got, want := query(), fmt.Sprint(round-1); got != want {
			t.Fatalf("round %d starts with %s events, want %s", round, got, want)
		}
		body := fmt.Sprintf(`{"event":"bounce","time":%d,"MessageID":%d,"email":"dead%d@example.com","hard_bounce":true,"error":"user unknown"}`, time.Now().Unix(), messageID+round, round)
		if status, text := w.call(http.MethodPost, d.ingress, body, func(r *http.Request) { r.SetBasicAuth("dev", "dev") }); status != http.StatusOK {
			t.Fatalf("webhook answered %d %s", status, text)
		}
		var suppressed string
		servicetest.EventuallyOr(w.t, func() bool {
			addresses := `{"addresses":["dead1@example.com","dead` + fmt.Sprint(round) + `@example.com"]}`
			_, suppressed = w.call(http.MethodPost, d.suppression+"/check", addresses, bearer)
			return strings.Count(suppressed, `"hard_bounce"`) == 2
		}, func() string { return suppressed })
		servicetest.EventuallyOr(w.t, func() bool { return query() == fmt.Sprint(round) }, query)
		d.kill()
	}
}
