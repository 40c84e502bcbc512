package engine_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"

	"github.com/mailstream/mailstream/devstack/engine"
)

// parentArgument makes the test binary a program that runs an engine, to be killed.
const parentArgument = "engine-test-parent"

// parentMain runs an engine on dir, says where, and waits for its end.
func parentMain(dir string) int {
	r, err := launch(func(c *engine.Config) { c.DataDir = dir })
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	select {
	case <-r.Ready():
		fmt.Println(r.URL(), r.Process())
	case err := <-r.ended:
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	<-r.ended
	return 0
}

// startParent starts a parent on dir and returns it with its child.
func startParent(t *testing.T, dir string) (cmd *exec.Cmd, address string, process int) {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd = exec.Command(program, parentArgument, dir)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("parent said %q: %v", line, err)
	}
	if _, err := fmt.Sscan(line, &address, &process); err != nil {
		t.Fatalf("parent said %q: %v", line, err)
	}
	return cmd, address, process
}

// alive reports whether a process runs. A zombie does not.
func alive(process int) bool {
	stat, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(process), "stat"))
	if err != nil {
		return false
	}
	_, state, _ := strings.Cut(string(stat), ") ")
	return !strings.HasPrefix(state, "Z")
}

func inDir(dir string) func(*engine.Config) {
	return func(c *engine.Config) { c.DataDir = dir }
}

func TestRun_FindsItsDataAgain(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "with space & <quotes>'")
	first := run(t, inDir(dir))
	query(t, first.URL(), "CREATE DATABASE d ENGINE = Atomic")
	query(t, first.URL(), "CREATE TABLE d.t (n UInt64) ENGINE = MergeTree ORDER BY n")
	query(t, first.URL(), "CREATE TABLE t (n UInt64) ENGINE = MergeTree ORDER BY n")
	query(t, first.URL(), "INSERT INTO d.t SELECT number FROM numbers(1000)")
	query(t, first.URL(), "INSERT INTO t VALUES (7)")
	if err := first.stop(t); err != nil {
		t.Fatalf("stop: %v", err)
	}
	if _, err := http.Get(first.URL() + "/ping"); err == nil {
		t.Error("something still listens")
	}
	second := run(t, inDir(dir))
	if got := query(t, second.URL(), "SELECT count(), sum(n) FROM d.t"); got != "1000\t499500" {
		t.Errorf("rows and sum after restart = %q", got)
	}
	if got := query(t, second.URL(), "SELECT n FROM t"); got != "7" {
		t.Errorf("row in the default database after restart = %q", got)
	}
}

// TestRun_EndsAnEngineThatDoesNotClose gives one no time, says so, and finds its data again.
func TestRun_EndsAnEngineThatDoesNotClose(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first := run(t, func(c *engine.Config) { c.DataDir, c.StopMax = dir, time.Nanosecond })
	query(t, first.URL(), "CREATE TABLE t (n UInt64) ENGINE = MergeTree ORDER BY n")
	query(t, first.URL(), "INSERT INTO t VALUES (7)")
	if err := first.stop(t); err == nil || !strings.Contains(err.Error(), "not closed within 1ns") {
		t.Errorf("stop: %v", err)
	}
	if alive(first.Process()) {
		t.Error("it still runs")
	}
	if got := query(t, run(t, inDir(dir)).URL(), "SELECT n FROM t"); got != "7" {
		t.Errorf("row after restart = %q", got)
	}
}

func TestRun_KeepsWhatItAcknowledgedWhenKilled(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	victim := run(t, inDir(dir))
	query(t, victim.URL(), "CREATE TABLE t (n UInt64, s String) ENGINE = MergeTree ORDER BY n")
	var mu sync.Mutex
	acknowledged := 0
	count := func() int { mu.Lock(); defer mu.Unlock(); return acknowledged }
	var writers sync.WaitGroup
	for w := range 3 {
		conn := connect(t, victim.URL(), "default", nil)
		writers.Go(func() {
			for n := w; insertOne(t.Context(), conn, n) == nil; n += 3 {
				mu.Lock()
				acknowledged++
				mu.Unlock()
			}
		})
	}
	eventually(t, "100 inserts", func() bool { return count() >= 100 })
	if err := syscall.Kill(victim.Process(), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	writers.Wait()
	err := <-victim.ended
	victim.ended <- nil
	if err == nil || !strings.Contains(err.Error(), "killed") {
		t.Errorf("Run() = %v, want that it was killed", err)
	}
	next := run(t, inDir(dir))
	got, err := strconv.Atoi(query(t, next.URL(), "SELECT uniqExact(n) FROM t"))
	if err != nil {
		t.Fatal(err)
	}
	// One more insert of each writer may have been stored without being acknowledged.
	if acked := count(); got < acked || got > acked+3 {
		t.Errorf("%d rows are stored, %d inserts were acknowledged", got, acked)
	}
}

func insertOne(ctx context.Context, conn clickhouse.Conn, n int) error {
	batch, err := conn.PrepareBatch(ctx, "INSERT INTO t")
	if err != nil {
		return err
	}
	if err := batch.Append(uint64(n), strings.Repeat("x", 1000)); err != nil {
		return err
	}
	return batch.Send()
}

func TestRun_LeavesNoOrphanWhenTheParentIsKilled(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name          string
		busy, stopped bool
	}{
		{name: "idle"},
		{name: "busy", busy: true},
		{name: "hanging", stopped: true}, // as if no thread of it could run any more
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			parent, address, process := startParent(t, dir)
			if !alive(process) {
				t.Fatal("child does not run")
			}
			if tt.busy {
				go http.Post(address, "text/plain", strings.NewReader("SELECT count() FROM numbers(10000000000000) WHERE cityHash64(number) = 1"))
				eventually(t, "start of the query", func() bool {
					return query(t, address, "SELECT count() FROM system.processes") == "2"
				})
			}
			if tt.stopped {
				if err := syscall.Kill(process, syscall.SIGSTOP); err != nil {
					t.Fatal(err)
				}
			}
			if err := parent.Process.Kill(); err != nil {
				t.Fatal(err)
			}
			eventually(t, "end of the child", func() bool { return !alive(process) })
			next := run(t, inDir(dir)) // and the directory is free
			query(t, next.URL(), "SELECT 1")
		})
	}
}

func TestRun_CtrlCReachesTheParentOnly(t *testing.T) {
	t.Parallel()
	_, _, process := startParent(t, t.TempDir())
	group, err := syscall.Getpgid(process)
	if err != nil {
		t.Fatal(err)
	}
	if group != process {
		t.Errorf("child %d is in process group %d", process, group)
	}
}

func TestRun_RefusesADirectoryInUse(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	run(t, inDir(dir))
	second, err := launch(inDir(dir))
	if err != nil {
		t.Fatal(err)
	}
	defer second.cancel()
	err = <-second.ended
	if !errors.Is(err, engine.ErrBusy) || !strings.Contains(err.Error(), dir) || !strings.Contains(err.Error(), strconv.Itoa(os.Getpid())) {
		t.Errorf("Run() = %v, want ErrBusy with the directory and the process", err)
	}
}

func TestRun_NamesThePortThatIsTaken(t *testing.T) {
	t.Parallel()
	other, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	_, port, err := net.SplitHostPort(other.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	e, err := launch(func(c *engine.Config) { c.Listen = other.Addr().String() })
	if err != nil {
		t.Fatal(err)
	}
	defer e.cancel()
	if err := <-e.ended; !errors.Is(err, engine.ErrPortTaken) || !strings.Contains(err.Error(), "port "+port) {
		t.Errorf("Run() = %v, want ErrPortTaken with port %s", err, port)
	}
}

func TestRun_RemovesItsTemporaryDirectory(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	e := run(t, nil)
	query(t, e.URL(), "CREATE TABLE t (n UInt64) ENGINE = MergeTree ORDER BY n")
	if err := e.stop(t); err != nil {
		t.Fatal(err)
	}
	left, err := os.ReadDir(os.TempDir())
	if err != nil || len(left) != 0 {
		t.Errorf("left %v, %v", left, err)
	}
}

func TestRun_StopsWhileQueriesRun(t *testing.T) {
	t.Parallel()
	e := run(t, nil)
	done := make(chan reply, 1)
	go func() {
		done <- do(t, e.URL(), call{body: "SELECT count() FROM numbers(10000000000000) WHERE cityHash64(number) = 1", params: url.Values{"max_execution_time": {"0"}}})
	}()
	eventually(t, "start of the query", func() bool {
		return query(t, e.URL(), "SELECT count() FROM system.processes") == "2"
	})
	if err := e.stop(t); err != nil {
		t.Errorf("stop: %v", err)
	}
	if got := <-done; got.status == http.StatusOK {
		t.Errorf("the query was answered %d %s", got.status, got.body)
	}
}

func TestRun_StopsWhileClientsHaveNotAsked(t *testing.T) {
	t.Parallel()
	for name, said := range map[string]string{
		"nothing":       "",
		"half a header": "POST / HTTP/1.1\r\nHost: x\r\n",
		"half a body":   "POST /?query=SELECT+1 HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nSELECT",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := run(t, nil)
			client, err := net.Dial("tcp", strings.TrimPrefix(e.URL(), "http://"))
			if err != nil {
				t.Fatal(err)
			}
			defer client.Close()
			if _, err := io.WriteString(client, said); err != nil {
				t.Fatal(err)
			}
			if query(t, e.URL(), "SELECT 1") != "1" { // accepted after the client
				t.Fatal("no answer")
			}
			if err := e.stop(t); err != nil {
				t.Errorf("stop: %v", err)
			}
		})
	}
}

func TestRun_StopsBeforeItIsReady(t *testing.T) {
	t.Parallel()
	e, err := launch(nil)
	if err != nil {
		t.Fatal(err)
	}
	e.cancel()
	if err := <-e.ended; err != nil {
		t.Errorf("Run() = %v", err)
	}
}

func TestRun_StartsNoChildrenWithoutEndWhenMainForgetsChildMain(t *testing.T) {
	t.Parallel()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	// What such a main would do with the arguments of a child: run an engine.
	out, err := exec.Command(program, parentArgument, t.TempDir(), "chdb-engine-child").CombinedOutput()
	if err == nil || !strings.Contains(string(out), "main does not call engine.ChildMain") {
		t.Errorf("parent said %q, %v", out, err)
	}
}

func TestNew_RefusesNonsense(t *testing.T) {
	tests := []struct {
		name   string
		change func(*engine.Config)
	}{
		{"no port", func(c *engine.Config) { c.Listen = "127.0.0.1" }},
		{"equal accounts", func(c *engine.Config) { c.Reader = "default" }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := launch(tt.change); err == nil {
				t.Error("New() = nil")
			}
		})
	}
}
