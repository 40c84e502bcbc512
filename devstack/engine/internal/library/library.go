// Package library keeps the engine's shared library in a cache directory of the
// user. It fetches the npm package that carries it with the user's own npm, so
// that a company's registry, proxy and credentials are honoured.
//
// It guarantees that a library it returns is the pinned one, byte for byte, and
// complete, however many processes fetch at once and whenever one is killed. It
// does not update, and it does not choose among versions.
package library

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"sort"
	"strings"
)

// ErrUnsupported says that there is no library for this platform.
var ErrUnsupported = errors.New("no embedded ClickHouse engine for this platform")

// pin is one npm package and what is in it.
type pin struct {
	name, version string
	packed        int64  // bytes of the tarball
	integrity     string // SHA-512 of the tarball as npm writes it, base64
	size          int64  // bytes of the library
	sha256        string // of the library, hex
}

// fileName is the library within the package and in the cache.
const fileName = "libchdb.so"

// pins are the packages by GOOS/GOARCH. The registry has no 26.5.3 for others.
var pins = map[string]pin{
	"linux/amd64": {
		name: "@chdb/lib-linux-x64-gnu", version: "26.5.3",
		packed:    166_572_008,
		integrity: "fPrLmRt5Moor9yGz4mazbrNje4t7X9KB2mTGkXFWRxRBs2iKy8yh6jx11xsa0Qr3iDFMU/yHqd+bVdYJXu3QaQ==",
		size:      559_044_752,
		sha256:    "4330da79405733f7572f27c1442f46c03a08301f00859dce0368645731b1e1dc",
	},
}

// Supported returns nil when there is a library for this platform, and otherwise
// an ErrUnsupported that names the platforms that have one.
func Supported() error {
	return supported(runtime.GOOS + "/" + runtime.GOARCH)
}

func supported(platform string) error {
	if _, ok := pins[platform]; ok {
		return nil
	}
	var names []string
	for name := range pins {
		names = append(names, name)
	}
	sort.Strings(names)
	return fmt.Errorf("%w: this is %s, there is one for %s (glibc); use a ClickHouse server instead",
		ErrUnsupported, platform, strings.Join(names, ", "))
}

// Ensure returns the path of the library, which it fetches into dir when it is
// not there. progress gets a line now and then, also while it waits for another
// process that fetches.
func Ensure(ctx context.Context, dir string, progress func(string)) (string, error) {
	if err := Supported(); err != nil {
		return "", err
	}
	return pins[runtime.GOOS+"/"+runtime.GOARCH].ensure(ctx, dir, progress)
}

func (p pin) ensure(ctx context.Context, dir string, progress func(string)) (string, error) {
	home := filepath.Join(dir, strings.TrimPrefix(p.name, "@chdb/")+"-"+p.version)
	path := filepath.Join(home, fileName)
	if p.present(path) {
		return path, nil
	}
	if err := os.MkdirAll(home, 0o755); err != nil {
		return "", fmt.Errorf("make library cache: %w", err)
	}
	unlock, err := lock(ctx, filepath.Join(home, "fetch.lock"), progress)
	if err != nil {
		return "", fmt.Errorf("lock library cache %s: %w", home, err)
	}
	defer unlock()
	if p.present(path) { // another process was faster
		return path, nil
	}
	if err := p.install(ctx, home, path, progress); err != nil {
		return "", fmt.Errorf("fetch ClickHouse engine %s@%s: %w", p.name, p.version, err)
	}
	return path, nil
}

// install fetches, checks and unpacks p. What a killed process left is removed first.
func (p pin) install(ctx context.Context, home, path string, progress func(string)) error {
	if left, err := filepath.Glob(filepath.Join(home, "fetch-*")); err == nil {
		for _, dir := range left {
			_ = os.RemoveAll(dir) // only costs space
		}
	}
	work, err := os.MkdirTemp(home, "fetch-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	progress(fmt.Sprintf("fetching the ClickHouse engine: npm package %s@%s, %s (once, into %s)", p.name, p.version, megabytes(p.packed), home))
	tarball, err := p.pack(ctx, work, progress)
	if err != nil {
		return err
	}
	progress("checking and unpacking " + megabytes(p.size))
	if err := p.verify(tarball); err != nil {
		return err
	}
	fresh := filepath.Join(work, fileName)
	if err := p.unpack(tarball, fresh); err != nil {
		return err
	}
	// The digest before the library: one without it counts as absent. And no other
	// file in its place, which the digest would vouch for.
	if err := os.RemoveAll(path); err != nil {
		return err
	}
	if err := os.WriteFile(digestPath(path), []byte(p.sha256+"\n"), 0o644); err != nil {
		return err
	}
	if err := os.Rename(fresh, path); err != nil {
		return err
	}
	progress("the ClickHouse engine is ready")
	return nil
}

// present reports cheaply whether the pinned library is at path: its size, and
// the digest that was recorded when its bytes were checked.
func (p pin) present(path string) bool {
	info, err := os.Stat(path)
	if err != nil || info.Size() != p.size || info.Mode().Type() != fs.FileMode(0) {
		return false
	}
	recorded, err := os.ReadFile(digestPath(path))
	return err == nil && strings.TrimSpace(string(recorded)) == p.sha256
}

func digestPath(path string) string { return path + ".sha256" }

func megabytes(n int64) string { return fmt.Sprintf("%d MB", (n+500_000)/1_000_000) }
