package library

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

const (
	// progressEvery is how often a running download is reported.
	progressEvery = 2 * time.Second
	// outputBytesMax bounds what is kept of npm's messages.
	outputBytesMax = 4 << 10
	// npmStopMax is how long npm may take to end after the signal.
	npmStopMax = 5 * time.Second
)

// pack runs npm pack in dir and returns the path of the tarball.
func (p pin) pack(ctx context.Context, dir string, progress func(string)) (string, error) {
	npm, err := exec.LookPath("npm")
	if err != nil {
		return "", errors.New("npm is not installed or not in PATH; install Node.js with npm, or use a ClickHouse server instead")
	}
	var output bytes.Buffer
	cmd := exec.CommandContext(ctx, npm, "pack", p.name+"@"+p.version, "--ignore-scripts", "--loglevel=error")
	cmd.Dir = dir
	cmd.Stdout, cmd.Stderr = &output, &output
	cmd.WaitDelay = npmStopMax
	killsGroup(cmd)
	cache := npmCache(ctx, npm)
	if err := cmd.Start(); err != nil {
		return "", fmt.Errorf("start npm: %w", err)
	}
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		p.report(cache, progress, stop)
	}()
	err = cmd.Wait()
	close(stop)
	<-stopped
	if ctx.Err() != nil {
		return "", ctx.Err()
	}
	if err != nil {
		text := strings.TrimSpace(output.String())
		return "", fmt.Errorf("npm pack: %w: %s", err, text[:min(len(text), outputBytesMax)])
	}
	found, err := filepath.Glob(filepath.Join(dir, "*.tgz"))
	if err != nil || len(found) != 1 {
		return "", fmt.Errorf("npm pack left %d tarballs", len(found))
	}
	return found[0], nil
}

// npmCache returns where npm writes what it downloads, or "" when it does not say.
func npmCache(ctx context.Context, npm string) string {
	out, err := exec.CommandContext(ctx, npm, "config", "get", "cache", "--loglevel=silent").Output()
	if err != nil {
		return ""
	}
	return filepath.Join(strings.TrimSpace(string(out)), "_cacache", "tmp")
}

// report prints the progress of the download. npm itself is silent about one
// package, but the file it downloads into grows.
func (p pin) report(cache string, progress func(string), stop <-chan struct{}) {
	began := time.Now()
	tick := time.NewTicker(progressEvery)
	defer tick.Stop()
	for {
		select {
		case <-stop:
			return
		case now := <-tick.C:
			if n := newestSize(cache, began); n > 0 {
				progress(fmt.Sprintf("fetched %s of %s (%d %%)", megabytes(n), megabytes(p.packed), min(n*100/p.packed, 100)))
				continue
			}
			progress(fmt.Sprintf("npm is at work, %d s", int(now.Sub(began).Seconds())))
		}
	}
}

// newestSize returns the size of the largest file in dir that was written since began.
func newestSize(dir string, began time.Time) int64 {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return 0
	}
	var size int64
	for _, entry := range entries {
		if info, err := entry.Info(); err == nil && info.ModTime().After(began) {
			size = max(size, info.Size())
		}
	}
	return size
}

// verify compares the tarball with the pinned integrity.
func (p pin) verify(tarball string) error {
	file, err := os.Open(tarball)
	if err != nil {
		return err
	}
	defer file.Close()
	hash := sha512.New()
	if _, err := io.Copy(hash, file); err != nil {
		return fmt.Errorf("read tarball: %w", err)
	}
	if got := base64.StdEncoding.EncodeToString(hash.Sum(nil)); got != p.integrity {
		return fmt.Errorf("tarball has integrity sha512-%s, want sha512-%s", got, p.integrity)
	}
	return nil
}

// unpack writes the library within the tarball to path and compares it with the
// pinned digest.
func (p pin) unpack(tarball, path string) error {
	file, err := os.Open(tarball)
	if err != nil {
		return err
	}
	defer file.Close()
	plain, err := gzip.NewReader(file)
	if err != nil {
		return fmt.Errorf("read tarball: %w", err)
	}
	for archive := tar.NewReader(plain); ; {
		entry, err := archive.Next()
		if err != nil {
			return fmt.Errorf("find %s in tarball: %w", fileName, err)
		}
		if entry.Name == "package/"+fileName {
			return p.write(archive, path)
		}
	}
}

// write copies the library to path, which must not exist.
func (p pin) write(from io.Reader, path string) error {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o755)
	if err != nil {
		return err
	}
	defer file.Close()
	hash := sha256.New()
	n, err := io.Copy(io.MultiWriter(file, hash), io.LimitReader(from, p.size+1))
	if err != nil {
		return fmt.Errorf("unpack %s: %w", fileName, err)
	}
	if got := hex.EncodeToString(hash.Sum(nil)); n != p.size || got != p.sha256 {
		return fmt.Errorf("%s has %d bytes and SHA-256 %s, want %d and %s", fileName, n, got, p.size, p.sha256)
	}
	return file.Close()
}
