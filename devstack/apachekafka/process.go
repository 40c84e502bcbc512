package apachekafka

import (
	_ "embed"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"sync"
	"syscall"
	"time"
)

// watchdog is the shell script that ends a child with its parent.
//
//go:embed watchdog.sh
var watchdog string

// pipeDelay is how long the copy of a process's output may go on after its end.
const pipeDelay = time.Second

// askAgain is the pause between two requests to end.
const askAgain = 100 * time.Millisecond

// process is a command in a separate process group, which ends when this
// process does. The zero value is not usable; startProcess makes one.
type process struct {
	cmd    *exec.Cmd
	exited chan struct{}
	err    error // written before exited is closed, read after
}

// startProcess runs the command line in dir with its output on log.
func startProcess(dir string, log io.Writer, line ...string) (*process, error) {
	cmd := exec.Command("sh", append([]string{"-c", watchdog, "watchdog"}, line...)...)
	cmd.Dir = dir
	cmd.Stdout = log
	cmd.Stderr = log
	cmd.WaitDelay = pipeDelay
	// A separate group keeps the terminal's Ctrl-C away from the broker (its owner
	// decides when it stops) and lets kill reach all of its processes.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	// cmd keeps our end of the pipe open until the command has ended; the
	// operating system closes it when we end first, and the watchdog sees that.
	if _, err := cmd.StdinPipe(); err != nil {
		return nil, fmt.Errorf("make pipe: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", line[0], err)
	}
	p := &process{cmd: cmd, exited: make(chan struct{})}
	go func() {
		p.err = cmd.Wait()
		close(p.exited)
	}()
	return p, nil
}

// kill ends the whole group at once, as the operating system would, and waits
// for the end.
func (p *process) kill() error {
	err := syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
	<-p.exited
	if err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("kill process group %d: %w", p.cmd.Process.Pid, err)
	}
	return nil
}

// stop asks the command to end, and kills it when it has not after patience. It
// repeats the signal, because one that meets a shell between fork and exec is
// lost.
func (p *process) stop(patience time.Duration) error {
	late := time.NewTimer(patience)
	defer late.Stop()
	again := time.NewTicker(askAgain)
	defer again.Stop()
	for {
		if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
			// It has ended already, which is what was wanted.
			<-p.exited
			return nil
		}
		select {
		case <-p.exited:
			return nil
		case <-again.C:
		case <-late.C:
			return errors.Join(fmt.Errorf("stop process group %d: still running after %s", p.cmd.Process.Pid, patience), p.kill())
		}
	}
}

// tailBytes is how much of a log an error shows: some twenty lines.
const tailBytes = 4 << 10

// tailBuffer keeps the last tailBytes of what is written to it, and passes
// everything on. Safe for concurrent use.
type tailBuffer struct {
	next io.Writer // may be nil

	mu   sync.Mutex
	tail []byte // guarded by mu
}

// Write implements io.Writer; it never fails, a log is no reason to stop.
func (t *tailBuffer) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.tail = append(t.tail, p...)
	if excess := len(t.tail) - tailBytes; excess > 0 {
		t.tail = append(t.tail[:0], t.tail[excess:]...)
	}
	if t.next != nil {
		_, _ = t.next.Write(p) // see above
	}
	return len(p), nil
}

// String returns the tail.
func (t *tailBuffer) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.tail)
}
