package providertest

import (
	"bytes"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/mailstream/mailstream/services/internal/platform/config"
	"github.com/mailstream/mailstream/services/internal/provider"
)

// defaultsFile holds, once in a folder, what its cases have in common.
const defaultsFile = "provider.yaml"

// The endings of the files of a case beside CASE.in.*.
const (
	metaEnding = ".meta.yaml"
	wantEnding = ".want.json"
)

// meta is provider.yaml, whose source and items are required. CASE.meta.yaml has
// the same keys: only those, and there only, where the case differs.
type meta struct {
	// Source says where the bytes are from: documentation with its date, or a
	// capture with what was replaced.
	Source string `yaml:"source"`
	// Items is how many entries the request has, each recipient for itself where
	// an entry is about several.
	Items *int `yaml:"items"`
	// Headers of the request, where they matter. Those of a case replace the
	// default ones.
	Headers map[string]string `yaml:"headers"`
}

// fixture is one case.
type fixture struct {
	name string
	path string // without ending
	in   []byte
	meta meta
}

func (s Suite) load(tb testing.TB) []fixture {
	tb.Helper()
	fixtures, err := readFixtures(os.DirFS(s.Dir), s.Dir)
	if err != nil {
		tb.Fatal(err)
	}
	return fixtures
}

// readFixtures reads the cases of a folder; dir is its name on the disk.
func readFixtures(folder fs.FS, dir string) ([]fixture, error) {
	inputs, err := fs.Glob(folder, "*.in.*")
	if err != nil {
		return nil, err
	}
	if len(inputs) == 0 {
		return nil, fmt.Errorf("read fixtures of %s: there is no CASE.in.* in it", dir)
	}
	defaults, err := readDefaults(folder, dir)
	if err != nil {
		return nil, err
	}
	out := make([]fixture, 0, len(inputs))
	for _, input := range inputs {
		name := input[:strings.LastIndex(input, ".in.")]
		f := fixture{name: name, path: filepath.Join(dir, name)}
		if f.in, err = fs.ReadFile(folder, input); err != nil {
			return nil, err
		}
		if f.meta, err = readMeta(folder, f.path, defaults); err != nil {
			return nil, err
		}
		out = append(out, f)
	}
	return out, withoutOrphans(folder, dir, out)
}

func readDefaults(folder fs.FS, dir string) (meta, error) {
	var m meta
	name := filepath.Join(dir, defaultsFile)
	text, err := fs.ReadFile(folder, defaultsFile)
	if err != nil {
		return m, fmt.Errorf("read %s: %w; write into it the source, items and headers that most cases of the folder have", name, err)
	}
	if err := config.Decode(name, text, &m); err != nil {
		return m, err
	}
	if m.Source == "" || m.Items == nil {
		return m, fmt.Errorf("read %s: it needs a source and items, the defaults of every case of the folder", name)
	}
	return m, nil
}

// readMeta lays what a case says of itself over the defaults. A case that differs
// in nothing has no file: what a file repeats would be left behind when the
// default changes.
func readMeta(folder fs.FS, path string, m meta) (meta, error) {
	name := filepath.Base(path) + metaEnding
	text, err := fs.ReadFile(folder, name)
	if os.IsNotExist(err) {
		return m, nil
	}
	var own meta
	if err == nil {
		err = config.Decode(path+metaEnding, text, &own)
	}
	if err != nil {
		return m, err
	}
	var repeated []string
	if own.Source == m.Source {
		repeated = append(repeated, "source")
	}
	if own.Items != nil && *own.Items == *m.Items {
		repeated = append(repeated, "items")
	}
	if own.Headers != nil && reflect.DeepEqual(own.Headers, m.Headers) {
		repeated = append(repeated, "headers")
	}
	if len(repeated) > 0 || reflect.DeepEqual(own, meta{}) {
		return m, fmt.Errorf("read %s: it repeats %q of %s; keep only what differs, and no file where nothing does", path+metaEnding, repeated, defaultsFile)
	}
	if own.Source != "" {
		m.Source = own.Source
	}
	if own.Items != nil {
		m.Items = own.Items
	}
	if own.Headers != nil {
		m.Headers = own.Headers
	}
	return m, nil
}

// withoutOrphans finds files that no case reads: a case that was renamed in part
// would silently lose its golden file or its headers.
func withoutOrphans(folder fs.FS, dir string, fixtures []fixture) error {
	for _, ending := range []string{metaEnding, wantEnding} {
		files, err := fs.Glob(folder, "*"+ending)
		if err != nil {
			return err
		}
		for _, file := range files {
			name := strings.TrimSuffix(file, ending)
			if !slices.ContainsFunc(fixtures, func(f fixture) bool { return f.name == name }) {
				return fmt.Errorf("read %s: there is no %s.in.* that it belongs to; rename or remove it", filepath.Join(dir, file), name)
			}
		}
	}
	return nil
}

// request returns the case as a request to p.
func (f fixture) request(p provider.Provider) *provider.Request {
	req := requestOf(p, slices.Clone(f.in))
	for k, v := range f.meta.Headers {
		req.Header.Set(k, v)
	}
	return req
}

// requestOf returns in as a request to p. It is the body; a provider that reads the
// parameters of the URL gets what begins with "?" as these.
func requestOf(p provider.Provider, in []byte) *provider.Request {
	req := &provider.Request{Header: http.Header{}, Body: in, Limits: limits}
	q, ok := p.(interface{ ReadsQuery() bool })
	if query, found := bytes.CutPrefix(in, []byte("?")); found && ok && q.ReadsQuery() {
		req.Query, req.Body = string(query), nil
	}
	return req
}
