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
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// world is a machine with an npm that we wrote, and a package for it.
type world struct {
	pin   pin
	cache string
	calls string // file with a line for each npm pack
	want  []byte // the library
}

// newWorld installs an npm as the only program in PATH. It runs body after it has
// noted its call; $TARBALL is the package.
func newWorld(t *testing.T, body string) *world {
	t.Helper()
	dir := t.TempDir()
	want := bytes.Repeat([]byte("library"), 10_000)
	var tarball bytes.Buffer
	zipped := gzip.NewWriter(&tarball)
	archive := tar.NewWriter(zipped)
	for name, content := range map[string][]byte{"package/index.js": []byte("x"), "package/" + fileName: want} {
		if err := archive.WriteHeader(&tar.Header{Name: name, Size: int64(len(content)), Mode: 0o755}); err != nil {
			t.Fatal(err)
		}
		if _, err := archive.Write(content); err != nil {
			t.Fatal(err)
		}
	}
	archive.Close()
	zipped.Close()
	packed := filepath.Join(dir, "packed.bin")
	calls := filepath.Join(dir, "calls")
	script := fmt.Sprintf("#!/bin/sh\nPATH=/bin:/usr/bin\nif [ \"$1\" = config ]; then echo %q; exit 0; fi\necho \"$@\" >> %q\nTARBALL=%q\n%s\n", dir, calls, packed, body)
	bin := filepath.Join(dir, "bin")
	for path, content := range map[string]string{packed: tarball.String(), filepath.Join(bin, "npm"): script} {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", bin)
	integrity, digest := sha512.Sum512(tarball.Bytes()), sha256.Sum256(want)
	return &world{
		pin: pin{
			name: "@chdb/lib-test", version: "1.2.3", packed: int64(tarball.Len()), size: int64(len(want)),
			integrity: base64.StdEncoding.EncodeToString(integrity[:]), sha256: hex.EncodeToString(digest[:]),
		},
		cache: filepath.Join(dir, "cache"), calls: calls, want: want,
	}
}

// delivers is an npm that works.
const delivers = `cp "$TARBALL" ./chdb-lib-test-1.2.3.tgz`

func (w *world) ensure(ctx context.Context) (string, error) {
	return w.pin.ensure(ctx, w.cache, func(string) {})
}

// packs returns how often npm pack was run.
func (w *world) packs() int {
	text, err := os.ReadFile(w.calls)
	if err != nil {
		return 0
	}
	return strings.Count(string(text), "\n")
}

func TestEnsure_FetchesOnceAndForAll(t *testing.T) {
	w := newWorld(t, delivers)
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			path, err := w.ensure(t.Context())
			if err != nil {
				t.Error(err)
				return
			}
			if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, w.want) {
				t.Errorf("library has %d bytes, %v", len(got), err)
			}
		})
	}
	group.Wait()
	if got := w.packs(); got != 1 {
		t.Errorf("npm pack ran %d times", got)
	}
	if text, err := os.ReadFile(w.calls); err != nil || !strings.HasPrefix(string(text), "pack @chdb/lib-test@1.2.3 ") {
		t.Errorf("npm was called with %q, %v", text, err)
	}
	left, err := filepath.Glob(filepath.Join(w.cache, "*", "*"))
	if err != nil || len(left) != 3 { // library, digest, lock
		t.Errorf("cache holds %v, %v", left, err)
	}
}

func TestEnsure_FetchesAgainWhatIsDamaged(t *testing.T) {
	tests := []struct {
		name   string
		damage func(path string) error
	}{
		{"shorter", func(path string) error { return os.Truncate(path, 10) }},
		{"no digest", func(path string) error { return os.Remove(digestPath(path)) }},
		{"digest of another version", func(path string) error { return os.WriteFile(digestPath(path), []byte("00\n"), 0o644) }},
		{"gone", os.Remove},
		{"a directory", func(path string) error {
			return errors.Join(os.Remove(path), os.MkdirAll(filepath.Join(path, "x"), 0o755))
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, delivers)
			path, err := w.ensure(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if err := tt.damage(path); err != nil {
				t.Fatal(err)
			}
			if path, err = w.ensure(t.Context()); err != nil {
				t.Fatal(err)
			}
			if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, w.want) || w.packs() != 2 {
				t.Errorf("library has %d bytes after %d fetches, %v", len(got), w.packs(), err)
			}
		})
	}
}

func TestEnsure_InstallsNothingItDoesNotTrust(t *testing.T) {
	tests := []struct {
		name, npm string
		change    func(*pin)
		want      string
	}{
		{"another tarball", delivers, func(p *pin) { p.integrity = "AAAA" }, "integrity sha512-"},
		{"another library", delivers, func(p *pin) { p.sha256 = "00" }, "SHA-256"},
		{"library of another size", delivers, func(p *pin) { p.size-- }, "bytes"},
		{"npm fails", "echo 'npm error code E404' >&2; exit 1", func(*pin) {}, "npm error code E404"},
		{"npm delivers nothing", "exit 0", func(*pin) {}, "left 0 tarballs"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, tt.npm)
			tt.change(&w.pin)
			_, err := w.ensure(t.Context())
			if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), "@chdb/lib-test@1.2.3") {
				t.Errorf("Ensure() = %v, want %q and the package", err, tt.want)
			}
			left, err := filepath.Glob(filepath.Join(w.cache, "*", "*"))
			if err != nil || len(left) != 1 { // lock
				t.Errorf("cache holds %v, %v", left, err)
			}
		})
	}
}

func TestEnsure_SaysThatNpmIsMissing(t *testing.T) {
	w := newWorld(t, delivers)
	t.Setenv("PATH", t.TempDir())
	if _, err := w.ensure(t.Context()); err == nil || !strings.Contains(err.Error(), "npm is not installed") || !strings.Contains(err.Error(), "use a ClickHouse server") {
		t.Errorf("Ensure() = %v", err)
	}
}

func TestEnsure_CleansUpAfterAKilledFetch(t *testing.T) {
	w := newWorld(t, delivers)
	left := filepath.Join(w.cache, "lib-test-1.2.3", "fetch-123")
	if err := os.MkdirAll(left, 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := w.ensure(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(left); !os.IsNotExist(err) {
		t.Errorf("%s is still there: %v", left, err)
	}
}

func TestEnsure_GivesUpWithItsContext(t *testing.T) {
	w := newWorld(t, "sleep 60")
	ctx, cancel := context.WithCancel(t.Context())
	started := make(chan struct{})
	var once sync.Once
	ended := make(chan error, 2)
	for range 2 { // one fetches, one waits for it
		go func() {
			_, err := w.pin.ensure(ctx, w.cache, func(line string) {
				if strings.Contains(line, "waiting") {
					once.Do(func() { close(started) })
				}
			})
			ended <- err
		}()
	}
	<-started
	cancel()
	for range 2 {
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("Ensure() = %v", err)
		}
	}
}

func TestSupported_NamesTheAlternative(t *testing.T) {
	if err := supported("linux/amd64"); err != nil {
		t.Error(err)
	}
	err := supported("plan9/386")
	if !errors.Is(err, ErrUnsupported) || !strings.Contains(err.Error(), "linux/amd64") || !strings.Contains(err.Error(), "use a ClickHouse server") {
		t.Errorf("supported(plan9/386) = %v", err)
	}
}
