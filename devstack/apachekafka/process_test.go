package apachekafka

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// deadline bounds every wait in these tests, on a machine busy with others.
const deadline = 2 * time.Minute

// The test binary, started with this variable, starts something, prints
// its process id and hangs, so that a test can kill it as a parent.
const holdVariable = "APACHEKAFKA_TEST_HOLD"

func TestMain(m *testing.M) {
	if what := os.Getenv(holdVariable); what != "" {
		if err := hold(what); err != nil {
			fmt.Fprintln(os.Stderr, "hold:", err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// hold starts a sleeping shell, or a broker in the folder `what`, prints the
// id of what must not outlive us, and waits to be killed.
func hold(what string) error {
	if what != "sleep" {
		b, err := Start(context.Background(), Options{DataDir: what, Log: os.Stderr})
		if err != nil {
			return err
		}
		fmt.Println(b.process.cmd.Process.Pid)
		select {}
	}
	_, err := startProcess(".", os.Stdout, "sh", "-c", "echo $$; exec sleep 600")
	if err != nil {
		return err
	}
	select {}
}

// startHolder runs hold in a process of its own and returns it with the id it
// printed. The test ends it.
func startHolder(t *testing.T, what string) (parent *exec.Cmd, id int) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	parent = exec.Command(self)
	parent.Env = append(os.Environ(), holdVariable+"="+what)
	parent.Stderr = t.Output()
	out, err := parent.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if parent.ProcessState == nil {
			_ = parent.Process.Kill() // it may have ended already
			_ = parent.Wait()
		}
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("read id of the held process: %v", err)
	}
	id, err = strconv.Atoi(strings.TrimSpace(line))
	if err != nil {
		t.Fatal(err)
	}
	return parent, id
}

// awaitGone fails the test unless the process (a group when negative) ends.
func awaitGone(t *testing.T, id int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	defer cancel()
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for !gone(id) {
		select {
		case <-ctx.Done():
			t.Fatalf("process %d is still there after %s", id, deadline)
		case <-ticker.C:
		}
	}
}

// gone reports whether no process has the id, or only a dead one that nobody
// has collected yet.
func gone(id int) bool {
	if errors.Is(syscall.Kill(id, 0), syscall.ESRCH) {
		return true
	}
	out, err := exec.Command("ps", "-A", "-o", "pid=,pgid=,stat=").Output()
	if err != nil {
		return false
	}
	for line := range strings.Lines(string(out)) {
		f := strings.Fields(line)
		if len(f) == 3 && (f[0] == strconv.Itoa(id) || f[1] == strconv.Itoa(-id)) && !strings.HasPrefix(f[2], "Z") {
			return false
		}
	}
	return true
}

func TestProcess_DiesWithItsParent(t *testing.T) {
	t.Parallel()
	parent, id := startHolder(t, "sleep")
	if gone(id) {
		t.Fatal("the held process did not run")
	}
	if err := parent.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	awaitGone(t, id)
}

func TestProcess_KillEndsTheWholeGroup(t *testing.T) {
	t.Parallel()
	p, id := startShell(t, "trap '' TERM; echo $$; while :; do sleep 1; done")
	if err := p.kill(); err != nil {
		t.Fatal(err)
	}
	awaitGone(t, id)
	awaitGone(t, -p.cmd.Process.Pid)
	if err := p.kill(); err != nil {
		t.Errorf("second kill = %v, want nil", err)
	}
}

func TestProcess_StopPassesTheSignalOnAndWaits(t *testing.T) {
	t.Parallel()
	p, id := startShell(t, "trap 'echo stopped; exit 0' TERM; echo $$; while :; do sleep 0.1; done")
	if err := p.stop(deadline); err != nil {
		t.Fatal(err)
	}
	if p.err != nil {
		t.Errorf("exit = %v, want the child's own exit code 0", p.err)
	}
	awaitGone(t, id)
	awaitGone(t, -p.cmd.Process.Pid)
	if err := p.stop(deadline); err != nil {
		t.Errorf("second stop = %v, want nil", err)
	}
}

// Stopping a process the moment it starts must not leave its child behind.
func TestProcess_StopAtAnyMomentEndsTheChild(t *testing.T) {
	t.Parallel()
	const tries = 100
	for try := range tries {
		dir := t.TempDir()
		p, err := startProcess(dir, io.Discard, "sh", "-c", "echo $$ > id; exec sleep 600")
		if err != nil {
			t.Fatal(err)
		}
		// A different moment of the start each time, up to some milliseconds.
		for began := time.Now(); time.Since(began) < time.Duration(try)*50*time.Microsecond; {
		}
		if err := p.stop(deadline); err != nil {
			t.Fatal(err)
		}
		if text, err := os.ReadFile(filepath.Join(dir, "id")); err == nil {
			if id, err := strconv.Atoi(strings.TrimSpace(string(text))); err == nil {
				awaitGone(t, id)
			}
		}
		awaitGone(t, -p.cmd.Process.Pid)
	}
}

func TestProcess_StopKillsWhatDoesNotListen(t *testing.T) {
	t.Parallel()
	p, id := startShell(t, "trap '' TERM; echo $$; while :; do sleep 1; done")
	err := p.stop(50 * time.Millisecond)
	if err == nil || !strings.Contains(err.Error(), "still running") {
		t.Errorf("stop = %v, want an error that says it had to kill", err)
	}
	awaitGone(t, id)
}

func TestProcess_EndsWithTheExitCodeOfTheCommand(t *testing.T) {
	t.Parallel()
	p, err := startProcess(t.TempDir(), io.Discard, "sh", "-c", "exit 7")
	if err != nil {
		t.Fatal(err)
	}
	<-p.exited
	var exit *exec.ExitError
	if !errors.As(p.err, &exit) || exit.ExitCode() != 7 {
		t.Errorf("exit = %v, want code 7", p.err)
	}
}

// startShell starts a script that prints its id first, and returns it then.
func startShell(t *testing.T, script string) (*process, int) {
	t.Helper()
	out, in, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	p, err := startProcess(t.TempDir(), in, "sh", "-c", script)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(p.kill(), in.Close(), out.Close()); err != nil {
			t.Error(err)
		}
	})
	var id int
	if _, err := fmt.Fscan(out, &id); err != nil {
		t.Fatalf("read id: %v", err)
	}
	return p, id
}
