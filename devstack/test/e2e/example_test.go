package e2e

import (
	"bufio"
	"net/http"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// TestExample_AnotherTeamReadsClicks runs the example consumer as its own
// process: a client we did not write the producer with reads the stream.
func TestExample_AnotherTeamReadsClicks(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.post(http.StatusOK, bodies(t, sheet("reader", time.Now()), false)[0])
	binary := build(t, "../../../examples/clicked")
	cmd := exec.CommandContext(t.Context(), binary, "--brokers", w.stack.Kafka(), "--prefix", w.prefix, "--group", w.prefix+"clicked")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // it may have ended
		_ = cmd.Wait()         // killed, which is no fault
	})
	lines := make(chan string, 1)
	go func() {
		scanner := bufio.NewScanner(out)
		if scanner.Scan() {
			lines <- scanner.Text()
		}
		close(lines)
	}()
	select {
	case line := <-lines:
		if !strings.Contains(line, "https://shop.example.com/o/7781?ref=mail") {
			t.Errorf("printed %q", line)
		}
	case <-time.After(patience):
		t.Fatal("nothing printed")
	}
}

// build compiles the command in dir and returns its path.
func build(t *testing.T, dir string) string {
	t.Helper()
	path := t.TempDir() + "/command"
	cmd := exec.Command("go", "build", "-ldflags=-s -w", "-o", path, ".")
	cmd.Dir = dir
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build %s: %v\n%s", dir, err, text)
	}
	return path
}
