//go:build unix

package engine

import (
	"bytes"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// ownGroup puts a child into a separate process group, out of reach of the
// terminal's Ctrl-C.
func ownGroup() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

// tryLock takes the lock on file or fails at once.
func tryLock(file *os.File) error {
	return unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB)
}

// isMisused reports whether this process was started as an engine's child but runs
// something else: it would start children without end.
func isMisused() bool {
	line, err := os.ReadFile("/proc/self/cmdline")
	return err == nil && bytes.HasSuffix(line, []byte("\x00"+childArgument+"\x00"))
}
