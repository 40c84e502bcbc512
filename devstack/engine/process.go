package engine

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"
)

// childArgument makes a program the engine's child. It is not an argument a person
// would give.
const childArgument = "chdb-engine-child"

// stopMore is how much longer than the child itself the parent waits before it kills it.
const stopMore = 8 * time.Second

// tailBytes is how much of what the child wrote is kept to explain its end.
const tailBytes = 16 << 10

// The files of the child, by number; see childFiles.
const (
	fdSpec = 3 + iota
	fdStatus
	fdLifeline
	fdListener
	fdLock
)

// childSpec is what the child reads from the pipe fdSpec.
type childSpec struct {
	Library      string              `json:"library"`
	DataDir      string              `json:"data_dir"`
	Users        map[string]userSpec `json:"users"`
	LoopbackOnly bool                `json:"loopback_only"`
	DiskFull     bool                `json:"disk_full,omitempty"`
	MemoryMax    int64               `json:"memory_max"`
	StopMax      time.Duration       `json:"stop_max"`
}

// userSpec is one account.
type userSpec struct {
	Password string `json:"password"`
	ReadOnly bool   `json:"read_only"`
}

// childStatus is what the child says through the pipe fdStatus, once.
type childStatus struct {
	Error string `json:"error,omitempty"` // why it could not start
}

// child is the running process.
type child struct {
	cmd      *exec.Cmd
	output   *tail
	status   *os.File // read end
	lifeline *os.File // write end; the child dies when it closes
	stopMax  time.Duration
	exited   chan struct{}
	exit     error // of Wait, set before exited is closed
}

// startChild starts this program as the engine's child.
func startChild(spec childSpec, listener, lock *os.File) (*child, error) {
	if isMisused() {
		return nil, errors.New("main does not call engine.ChildMain: this process was itself started as an engine's child")
	}
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	c := &child{output: &tail{}, stopMax: spec.StopMax, exited: make(chan struct{})}
	var pipes pipeSet
	specRead, specWrite := pipes.open()
	statusRead, statusWrite := pipes.open()
	lifeRead, lifeWrite := pipes.open()
	if pipes.err != nil {
		pipes.closeAll()
		return nil, fmt.Errorf("make pipes: %w", pipes.err)
	}
	c.status, c.lifeline = statusRead, lifeWrite
	c.cmd = exec.Command(program, childArgument)
	c.cmd.Dir = spec.DataDir
	c.cmd.Stdout, c.cmd.Stderr = c.output, c.output
	c.cmd.ExtraFiles = []*os.File{specRead, statusWrite, lifeRead, listener, lock}
	c.cmd.SysProcAttr = ownGroup()
	// The engine's system calls need not survive Go's preemption signals, and its
	// time zone is a server's, whatever the laptop's is.
	c.cmd.Env = append(c.cmd.Environ(), "GODEBUG=asyncpreemptoff=1", "TZ=UTC")
	if err := c.cmd.Start(); err != nil {
		pipes.closeAll()
		return nil, err
	}
	specRead.Close()
	statusWrite.Close()
	lifeRead.Close()
	go func() {
		c.exit = c.cmd.Wait()
		close(c.exited)
	}()
	err = json.NewEncoder(specWrite).Encode(spec)
	specWrite.Close()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("send specification to child: %w", err), c.stop())
	}
	return c, nil
}

// pipeSet opens pipes and remembers the first error.
type pipeSet struct {
	files []*os.File
	err   error
}

func (p *pipeSet) open() (read, write *os.File) {
	if p.err != nil {
		return nil, nil
	}
	read, write, p.err = os.Pipe()
	p.files = append(p.files, read, write)
	return read, write
}

func (p *pipeSet) closeAll() {
	for _, f := range p.files {
		f.Close() // after an error f is nil, and the error of Close does not matter
	}
}

// waitReady waits for the child's word that it answers queries.
func (c *child) waitReady(ctx context.Context) error {
	// Closing the pipe ends the read below.
	defer context.AfterFunc(ctx, func() { c.status.Close() })()
	var status childStatus
	err := json.NewDecoder(c.status).Decode(&status)
	c.status.Close()
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil:
		<-c.exited // it closed the pipe without a word
		return c.failure()
	case status.Error != "":
		return fmt.Errorf("start engine: %s%s", status.Error, c.output.quote())
	}
	return nil
}

// stop ends the child in order: it finishes what it answers and closes the tables.
// A child that does not is killed.
func (c *child) stop() error {
	// A child that is gone needs no signal.
	_ = c.cmd.Process.Signal(syscall.SIGTERM)
	deadline := time.NewTimer(c.stopMax + stopMore)
	defer deadline.Stop()
	defer c.lifeline.Close()
	select {
	case <-c.exited:
	case <-deadline.C:
		_ = c.cmd.Process.Kill() // as above
		<-c.exited
	}
	if state, ok := c.cmd.ProcessState.Sys().(syscall.WaitStatus); ok && state.Signal() == syscall.SIGKILL {
		return fmt.Errorf("stop engine: it was not closed within %s and killed; what it acknowledged is stored", c.stopMax)
	}
	if c.exit != nil {
		return c.failure()
	}
	return nil
}

// failure says how the child ended.
func (c *child) failure() error {
	c.lifeline.Close()
	if c.exit == nil {
		return fmt.Errorf("engine ended unexpectedly%s", c.output.quote())
	}
	return fmt.Errorf("engine ended: %w%s", c.exit, c.output.quote())
}

// tail keeps the end of what is written to it.
type tail struct {
	mu   sync.Mutex
	text []byte
}

// Write implements io.Writer.
func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text = append(t.text, p...)
	if excess := len(t.text) - tailBytes; excess > 0 {
		t.text = append(t.text[:0], t.text[excess:]...)
	}
	return len(p), nil
}

// quote returns the text as the end of an error message.
func (t *tail) quote() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	text := strings.TrimSpace(string(bytes.ToValidUTF8(t.text, nil)))
	if text == "" {
		return ""
	}
	return "; it wrote: " + text
}
