package engine

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// The data directory's files that are ours, not the engine's.
const (
	lockName   = "engine.lock"
	configName = "engine.xml"
	tempPrefix = "chdb-engine-"
)

// lockWaitMax is how long a lock is waited for: an engine that is being killed
// holds it for some milliseconds more.
const lockWaitMax = 3 * time.Second

// lockPoll is how often it is tried.
const lockPoll = 50 * time.Millisecond

// sweepAgeMin spares a temporary directory that another process has just made and
// not yet locked.
const sweepAgeMin = time.Minute

// openDataDir makes the data directory, or a temporary one if dir is empty, and
// returns its absolute path.
func openDataDir(dir string) (path string, release func(), err error) {
	if dir == "" {
		sweepTemp()
		dir, err = os.MkdirTemp("", tempPrefix)
		if err != nil {
			return "", nil, fmt.Errorf("make engine data directory: %w", err)
		}
		return dir, func() { os.RemoveAll(dir) }, nil
	}
	if path, err = filepath.Abs(dir); err != nil {
		return "", nil, fmt.Errorf("find engine data directory: %w", err)
	}
	if err := os.MkdirAll(path, 0o755); err != nil {
		return "", nil, fmt.Errorf("make engine data directory: %w", err)
	}
	return path, func() {}, nil
}

// sweepTemp removes the temporary directories of engines that were killed. What
// cannot be removed is left to the next one.
func sweepTemp() {
	found, err := filepath.Glob(filepath.Join(os.TempDir(), tempPrefix+"*"))
	if err != nil {
		return
	}
	for _, dir := range found {
		file, err := os.OpenFile(filepath.Join(dir, lockName), os.O_RDWR, 0)
		if err != nil {
			continue
		}
		if info, err := file.Stat(); err != nil || time.Since(info.ModTime()) < sweepAgeMin {
			file.Close()
			continue
		}
		if tryLock(file) == nil {
			_ = os.RemoveAll(dir) // see above
		}
		file.Close()
	}
}

// lockDir takes the lock of a data directory. The lock ends with the last process
// that has the file, so the child keeps it when the parent is killed.
func lockDir(ctx context.Context, dir string) (*os.File, error) {
	file, err := os.OpenFile(filepath.Join(dir, lockName), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, fmt.Errorf("open engine data directory: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, lockWaitMax)
	defer cancel()
	poll := time.NewTicker(lockPoll)
	defer poll.Stop()
	for tryLock(file) != nil {
		select {
		case <-poll.C:
		case <-ctx.Done():
			file.Close()
			return nil, fmt.Errorf("%w: %s (process %s)", ErrBusy, dir, lockHolder(dir))
		}
	}
	if err := file.Truncate(0); err == nil {
		_, _ = file.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0) // only serves the message above
	}
	return file, nil
}

func lockHolder(dir string) string {
	text, err := os.ReadFile(filepath.Join(dir, lockName))
	if holder := strings.TrimSpace(string(text)); err == nil && holder != "" {
		return holder
	}
	return "unknown"
}

// listen opens the listener of the HTTP interface and returns it as a file that a
// child can inherit, with the address it got.
func listen(ctx context.Context, address string) (*os.File, string, error) {
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", address)
	if errors.Is(err, syscall.EADDRINUSE) {
		_, port, _ := net.SplitHostPort(address) // New has seen that it splits
		return nil, "", fmt.Errorf("ClickHouse HTTP on %s: port %s: %w", address, port, ErrPortTaken)
	}
	if err != nil {
		return nil, "", fmt.Errorf("listen for ClickHouse HTTP: %w", err)
	}
	defer listener.Close()
	tcp, ok := listener.(*net.TCPListener)
	if !ok {
		return nil, "", fmt.Errorf("listen for ClickHouse HTTP: %T is no TCP listener", listener)
	}
	file, err := tcp.File()
	if err != nil {
		return nil, "", fmt.Errorf("listen for ClickHouse HTTP: %w", err)
	}
	return file, listener.Addr().String(), nil
}
