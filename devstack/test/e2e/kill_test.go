package e2e

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mailstream/mailstream/services/pipeline"
	"github.com/mailstream/mailstream/services/servicetest"
)

// process is one service as its own process, killed and started again by the
// test.
type process struct {
	w      *world
	name   pipeline.Name
	binary string
	config string

	mu   sync.Mutex
	cmd  *exec.Cmd
	addr atomic.Pointer[string]

	lines lines
}

// linesKept is how much of what a process said is shown when its test fails.
const linesKept = 40

// lines keeps the last things said.
type lines struct {
	mu   sync.Mutex
	kept []string
}

func (l *lines) add(line string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.kept = append(l.kept, line); len(l.kept) > linesKept {
		l.kept = l.kept[1:]
	}
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Join(l.kept, "\n")
}

// start runs the service and waits until it listens. Its lines go to the test's
// log when it ends by itself.
func (p *process) start() {
	p.mu.Lock()
	defer p.mu.Unlock()
	cmd := exec.Command(p.binary, string(p.name), "--config", p.config)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "MAILSTREAM_" + strings.ToUpper(string(p.name)) + "_LISTEN=127.0.0.1:0"}
	stderr, err := cmd.StderrPipe()
	if err != nil {
		p.w.t.Error(err)
		return
	}
	if err := cmd.Start(); err != nil {
		p.w.t.Error(err)
		return
	}
	p.cmd = cmd
	listening := make(chan string, 1)
	go func() {
		scanner := bufio.NewScanner(stderr)
		for scanner.Scan() {
			p.lines.add(scanner.Text())
			var line struct{ Msg, Addr string }
			if json.Unmarshal(scanner.Bytes(), &line) == nil && line.Msg == "listening" {
				listening <- line.Addr
			}
		}
		close(listening)
	}()
	select {
	case addr, ok := <-listening:
		if !ok {
			p.w.t.Errorf("%s ended before it listened", p.name)
			return
		}
		p.addr.Store(&addr)
	case <-time.After(patience):
		p.w.t.Errorf("%s does not listen", p.name)
	}
}

// kill ends the process the hard way.
func (p *process) kill() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd != nil {
		_ = p.cmd.Process.Kill() // SIGKILL; it may have ended
		_ = p.cmd.Wait()         // killed, which is no fault
	}
}

func (p *process) url() string { return "http://" + *p.addr.Load() }

// startProcesses runs all services of w as processes of their own.
func startProcesses(t *testing.T, w *world) map[pipeline.Name]*process {
	t.Helper()
	binary := build(t, "../../../services/cmd/mailstream")
	config := filepath.Join(t.TempDir(), "mailstream.yaml")
	text := fmt.Sprintf(`
kafka: {brokers: [%q], topic_prefix: %q, group_prefix: %q, instance_id: here}
clickhouse: {url: %q}
privacy: {pepper: development-pepper-not-a-secret}
state: {dir: %q}
ingress:
  sources: [{name: mailjet, provider: mailjet, auth: {basic: {username: dev, password: dev}}}]
suppression: {tokens: [dev]}
alerting: {tokens: [dev], slack: {webhook_url: %q}}
`, w.stack.Kafka(), w.prefix, w.prefix, w.stack.ClickHouse(), t.TempDir(), w.stack.Slack().WebhookURL())
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	processes := map[pipeline.Name]*process{}
	for _, name := range pipeline.Names() {
		p := &process{w: w, name: name, binary: binary, config: config}
		p.start()
		t.Cleanup(func() {
			p.kill()
			if t.Failed() {
				t.Logf("the last of %s:\n%s", name, &p.lines)
			}
		})
		processes[name] = p
	}
	if t.Failed() {
		t.FailNow()
	}
	return processes
}

// sender posts events until it is stopped and keeps what was acknowledged.
type sender struct {
	ingress *process
	mu      sync.Mutex
	acked   []string // message ids
	dead    []string // addresses of acknowledged hard bounces
	posted  int
}

// run posts groups of events; a request that is not answered 200 is sent again
// until it is, as a provider would.
func (s *sender) run(ctx context.Context, t *testing.T, worker int) {
	rng := rand.New(rand.NewPCG(uint64(worker), 7))
	tick := time.NewTicker(sendInterval)
	defer tick.Stop()
	for n := 0; ctx.Err() == nil; n++ {
		<-tick.C
		var items []item
		var ids, dead []string
		for i := range 1 + rng.IntN(20) {
			id := messageID + worker*10_000_000 + n*100 + i
			fields := map[string]any{"event": "sent", "time": time.Now().Unix(), "MessageID": id, "email": fmt.Sprintf("p%d@example.org", id), "smtp_reply": "sent (250 OK)"}
			if rng.IntN(10) == 0 {
				fields["event"], fields["hard_bounce"], fields["error_related_to"], fields["error"] = "bounce", true, "recipient", "user unknown"
				dead = append(dead, fields["email"].(string))
			}
			items = append(items, item{fields: fields})
			ids = append(ids, fmt.Sprint(id))
		}
		s.mu.Lock()
		s.posted += len(ids)
		s.mu.Unlock()
		body := bodies(t, items, false)[0]
		for !s.post(body) {
			select {
			case <-ctx.Done():
				return
			case <-time.After(sendInterval):
			}
		}
		s.mu.Lock()
		s.acked, s.dead = append(s.acked, ids...), append(s.dead, dead...)
		s.mu.Unlock()
	}
}

func (s *sender) post(body string) bool {
	req, err := http.NewRequest(http.MethodPost, s.ingress.url()+"/v1/webhooks/mailjet", strings.NewReader(body))
	if err != nil {
		return false
	}
	req.SetBasicAuth("dev", "dev")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return false
	}
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, resp.Body)
	return err == nil && resp.StatusCode == http.StatusOK
}

// sendInterval is how long a sender rests between two requests: four of them send
// some 2,000 events a second at most, so that a service that starts finds a
// processor.
const sendInterval = 20 * time.Millisecond

// killRounds is how many services are killed under load; each comes back at
// once.
const killRounds = 16

func TestKill_AcknowledgedIsStoredOnce(t *testing.T) {
	t.Parallel()
	w := newWorldWithout(t)
	processes := startProcesses(t, w)
	s := &sender{ingress: processes[pipeline.Ingress]}
	ctx, stop := context.WithCancel(t.Context())
	var workers sync.WaitGroup
	for worker := range 4 {
		workers.Go(func() { s.run(ctx, t, worker) })
	}
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 1))
	names := pipeline.Names()
	for range killRounds {
		w.after(time.Duration(200+rng.IntN(600)) * time.Millisecond)
		victim := processes[names[rng.IntN(len(names))]]
		victim.kill()
		victim.start()
	}
	stop()
	workers.Wait()
	t.Logf("%d events posted, %d acknowledged, %d hard bounces, %d kills", s.posted, len(s.acked), len(s.dead), killRounds)
	if len(s.acked) < killRounds {
		t.Fatal("hardly anything was acknowledged: the test says nothing")
	}
	s.balance(w)
	s.suppressed(w, processes[pipeline.Suppression])
}

// balance wants every acknowledged message stored, and none twice.
func (s *sender) balance(w *world) {
	slices.Sort(s.acked)
	var missing []string
	servicetest.EventuallyOr(w.t, func() bool {
		stored := map[string]bool{}
		for _, id := range w.sql("SELECT message_id FROM events") {
			stored[id] = true
		}
		missing = slices.DeleteFunc(slices.Clone(s.acked), func(id string) bool { return stored[id] })
		return len(missing) == 0
	}, func() string {
		return fmt.Sprintf("%d acknowledged events are not stored, %v ...", len(missing), missing[:min(3, len(missing))])
	})
	w.wantSQL("SELECT count() - uniqExact(message_id) FROM events", "0")
	w.wantSQL("SELECT (SELECT sum(events) FROM rates_1m) - (SELECT count() FROM events)", "0")
}

// suppressed wants a check to name every acknowledged hard bounce.
func (s *sender) suppressed(w *world, p *process) {
	body := jsonOf(w.t, map[string]any{"addresses": s.dead, "stream": "marketing"})
	var got struct{ Suppressed []suppressed }
	servicetest.EventuallyOr(w.t, func() bool {
		got.Suppressed = nil
		status, text := w.call(http.MethodPost, p.url()+"/v1/suppressions/check", body, bearer)
		return status == http.StatusOK && json.Unmarshal([]byte(text), &got) == nil && len(got.Suppressed) == len(s.dead)
	}, func() string {
		return fmt.Sprintf("%d of %d hard bounces are suppressed", len(got.Suppressed), len(s.dead))
	})
}

// after waits for d of a test that is about real time: a load that runs.
func (w *world) after(d time.Duration) {
	select {
	case <-time.After(d):
	case <-w.t.Context().Done():
	}
}
