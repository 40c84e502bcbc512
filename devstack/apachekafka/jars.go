package apachekafka

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// Version of Apache Kafka, the one compose.yaml pins.
const Version = "4.3.1"

// lockPoll is how often a process looks whether another one has finished
// fetching; a fetch takes 5 to 20 seconds.
const lockPoll = 200 * time.Millisecond

// pom is the Maven project whose dependencies are the server.
//
//go:embed pom.xml
var pom []byte

// logConfig makes the server log to its standard output.
//
//go:embed log4j2.properties
var logConfig []byte

// completeMarker is written last into the folder of jars. It holds the pom the
// jars were fetched for.
const completeMarker = "complete.xml"

// fetchJars returns the folder that holds the server's jars, below cacheDir
// (the user's cache folder when empty). The first call on a machine fetches
// them, 54 MB, and says so on log; calls at the same time wait for one another.
func fetchJars(ctx context.Context, cacheDir string, log io.Writer) (string, error) {
	if cacheDir == "" {
		user, err := os.UserCacheDir()
		if err != nil {
			return "", fmt.Errorf("find cache folder: %w", err)
		}
		cacheDir = filepath.Join(user, "mailstream")
	}
	dir := filepath.Join(cacheDir, "kafka-"+Version)
	if jarsComplete(dir) {
		return dir, nil
	}
	if err := os.MkdirAll(cacheDir, 0o755); err != nil {
		return "", fmt.Errorf("make cache folder: %w", err)
	}
	unlock, err := lockFile(ctx, dir+".lock")
	if err != nil {
		return "", err
	}
	defer unlock()
	if jarsComplete(dir) { // another process fetched them meanwhile
		return dir, nil
	}
	if err := fetchInto(ctx, dir, log); err != nil {
		return "", err
	}
	return dir, nil
}

// jarsComplete reports whether dir holds all jars of today's pom.
func jarsComplete(dir string) bool {
	fetched, err := os.ReadFile(filepath.Join(dir, completeMarker))
	return err == nil && string(fetched) == string(pom)
}

// fetchInto fills dir by way of a temporary folder beside it, so that dir
// never exists half filled.
func fetchInto(ctx context.Context, dir string, log io.Writer) error {
	maven, err := exec.LookPath("mvn")
	if err != nil {
		return fmt.Errorf("find Maven, which fetches Apache Kafka %s (or give a running broker's address): %w", Version, err)
	}
	temporary, err := os.MkdirTemp(filepath.Dir(dir), filepath.Base(dir)+".tmp-")
	if err != nil {
		return fmt.Errorf("make temporary folder: %w", err)
	}
	// On success the folder has moved and there is nothing to remove; what a
	// failure leaves is only disk space of a cache.
	defer func() { _ = os.RemoveAll(temporary) }()
	project := filepath.Join(temporary, completeMarker)
	if err := os.WriteFile(project, pom, 0o644); err != nil {
		return fmt.Errorf("write pom: %w", err)
	}
	say(log, "fetching Apache Kafka %s through Maven (54 MB, once) into %s", Version, dir)
	start := time.Now()
	cmd := exec.CommandContext(ctx, maven, "--batch-mode", "--quiet", "--strict-checksums",
		"--no-transfer-progress", "--file", project,
		"dependency:copy-dependencies", "-DincludeScope=runtime", "-DoutputDirectory="+temporary)
	var tail tailBuffer
	cmd.Stdout = &tail
	cmd.Stderr = &tail
	cmd.WaitDelay = time.Second
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("fetch jars of Apache Kafka %s: %w\n%s", Version, err, tail.String())
	}
	if err := os.WriteFile(filepath.Join(temporary, "log4j2.properties"), logConfig, 0o644); err != nil {
		return fmt.Errorf("write log configuration: %w", err)
	}
	if err := os.Chmod(temporary, 0o755); err != nil {
		return fmt.Errorf("open folder of jars to its readers: %w", err)
	}
	if err := os.RemoveAll(dir); err != nil {
		return fmt.Errorf("remove jars of an earlier pom: %w", err)
	}
	if err := os.Rename(temporary, dir); err != nil {
		return fmt.Errorf("move jars into place: %w", err)
	}
	say(log, "fetched Apache Kafka %s in %s", Version, time.Since(start).Round(100*time.Millisecond))
	return nil
}

// lockFile takes the exclusive lock on path or gives up with ctx. The returned
// function lets it go; so does the end of the process.
func lockFile(ctx context.Context, path string) (func(), error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, fmt.Errorf("open lock: %w", err)
	}
	ticker := time.NewTicker(lockPoll)
	defer ticker.Stop()
	for {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			// Closing lets the lock go; there is nothing to do about an error.
			return func() { _ = f.Close() }, nil
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR) {
			return nil, errors.Join(fmt.Errorf("lock %s: %w", path, err), f.Close())
		}
		select {
		case <-ctx.Done():
			return nil, errors.Join(fmt.Errorf("wait for lock %s: %w", path, ctx.Err()), f.Close())
		case <-ticker.C:
		}
	}
}

// say writes one line for the person who waits.
func say(log io.Writer, format string, args ...any) {
	// A failed write of the progress is no reason to stop.
	_, _ = fmt.Fprintf(log, "apachekafka: "+format+"\n", args...)
}
