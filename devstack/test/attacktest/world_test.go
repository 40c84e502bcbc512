package attacktest

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/mailstream/mailstream/devstack/broker"
	"github.com/mailstream/mailstream/services/servicetest"
)

const (
	// patience bounds every wait.
	patience = servicetest.Patience
	// memoryLimit is the container's that compose.yaml and Kubernetes give an
	// ingress; softLimit is the GOMEMLIMIT they set for it.
	memoryLimit = 512 << 20
	softLimit   = "450MiB"

	signingKey = "key-of-the-attacked"
	topicARN   = "arn:aws:sns:eu-west-1:123456789012:ses-events"
)

// configuration has the sources of all tests: two that are attacked in most of
// them, SES, and two that are not, proven by a header and by the body.
const configuration = `
kafka: {brokers: [%q], topic_prefix: attack.}
privacy: {pepper: development-pepper-not-a-secret}
ingress:
  allow_unauthenticated: true
  sources:
    - {name: by-header, provider: mailjet, auth: {basic: {username: hook, password: password-of-the-hook}}}
    - {name: by-body, provider: mailtrap, auth: {signing_keys: [` + signingKey + `]}}
    - {name: attacked, provider: mailgun, auth: {signing_keys: [` + signingKey + `]}}
    - {name: attacked-too, provider: mailersend, auth: {signing_keys: [` + signingKey + `]}}
    - {name: ses, provider: ses, auth: {sns: {topic_arns: ["` + topicARN + `"]}}}
`

// world is a broker and the built program.
type world struct {
	t      *testing.T
	binary string
	config string
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, binary: filepath.Join(t.TempDir(), "mailstream"), config: filepath.Join(t.TempDir(), "mailstream.yaml")}
	build := exec.CommandContext(t.Context(), "go", "build", "-ldflags=-s -w", "-o", w.binary, ".")
	build.Dir = "../../../services/cmd/mailstream"
	if text, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, text)
	}
	if err := os.WriteFile(w.config, fmt.Appendf(nil, configuration, w.broker()), 0o600); err != nil {
		t.Fatal(err)
	}
	topics := exec.CommandContext(t.Context(), w.binary, "topics", "apply", "--config", w.config)
	if text, err := topics.CombinedOutput(); err != nil {
		t.Fatalf("topics apply: %v\n%s", err, text)
	}
	return w
}

func (w *world) broker() string {
	w.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	b := broker.New(broker.Config{Listen: "127.0.0.1:0"}, zap.NewNop())
	done := make(chan error, 1)
	go func() { done <- b.Run(ctx) }()
	w.t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			w.t.Error(err)
		}
	})
	select {
	case <-b.Ready():
	case err := <-done:
		w.t.Fatal(err)
	}
	return b.Addr()
}

// ingress is one running process.
type ingress struct {
	t         *testing.T
	cmd       *exec.Cmd
	addr      string        // set when ready
	listening chan string   // gets the address
	ended     chan struct{} // closed when the process has ended
}

// startTwo runs two ingresses until the test ends; neither waits for the other.
func (w *world) startTwo(t *testing.T) (first, second *ingress) {
	t.Helper()
	first, second = w.start(t), w.start(t)
	first.awaitReady()
	second.awaitReady()
	return first, second
}

// start runs an ingress until the test ends.
func (w *world) start(t *testing.T) *ingress {
	t.Helper()
	p := &ingress{
		t: t, cmd: exec.Command(w.binary, "ingress", "--config", w.config),
		listening: make(chan string, 1), ended: make(chan struct{}),
	}
	p.cmd.Env = []string{"MAILSTREAM_INGRESS_LISTEN=127.0.0.1:0", "MAILSTREAM_INGRESS_METRICS_LISTEN=off", "GOMEMLIMIT=" + softLimit}
	stderr, err := p.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(p.ended)
		scanner := bufio.NewScanner(stderr)
		for scanner.Scan() {
			var line struct{ Msg, Addr string }
			if json.Unmarshal(scanner.Bytes(), &line) == nil && line.Msg == "listening" {
				p.listening <- line.Addr
			}
		}
	}()
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill() // it may have ended
		<-p.ended
		_ = p.cmd.Wait() // killed, which is no fault
	})
	return p
}

// awaitReady waits until topics are checked.
func (p *ingress) awaitReady() {
	p.t.Helper()
	select {
	case p.addr = <-p.listening:
	case <-p.ended:
		p.t.Fatal("the ingress ended before it listened")
	case <-time.After(servicetest.Patience):
		p.t.Fatal("the ingress does not listen")
	}
	s := newSender(p, byHeader)
	servicetest.Eventually(p.t, "the ingress takes an event", func() bool { return s.post(0) == 200 })
}

// peakMemory is the largest resident set the process ever had.
func (p *ingress) peakMemory() int {
	p.t.Helper()
	status, err := os.ReadFile("/proc/" + strconv.Itoa(p.cmd.Process.Pid) + "/status")
	if err != nil {
		p.t.Fatal(err)
	}
	for line := range strings.Lines(string(status)) {
		if text, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kib, err := strconv.Atoi(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(text), "kB")))
			if err != nil {
				p.t.Fatal(err)
			}
			return kib << 10
		}
	}
	p.t.Fatal("the system does not say how much memory the process has")
	return 0
}
