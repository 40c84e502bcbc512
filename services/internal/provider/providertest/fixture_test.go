package providertest

import (
	"maps"
	"strings"
	"testing"
	"testing/fstest"
)

// folder returns one case and its defaults, changed by pairs of a file's name and
// its text; a file with the text "-" is left out.
func folder(pairs ...string) fstest.MapFS {
	files := map[string]string{
		"provider.yaml":   "source: documentation\nitems: 1\nheaders: {Content-Type: application/json}\n",
		"sent.in.json":    "{}",
		"sent.want.json":  "{}",
		"batch.in.json":   "[]",
		"batch.want.json": "{}",
		"batch.meta.yaml": "items: 2\n",
	}
	for i := 0; i < len(pairs); i += 2 {
		files[pairs[i]] = pairs[i+1]
	}
	maps.DeleteFunc(files, func(_, text string) bool { return text == "-" })
	out := fstest.MapFS{}
	for name, text := range files {
		out[name] = &fstest.MapFile{Data: []byte(text)}
	}
	return out
}

func TestReadFixtures_ACaseSaysOnlyWhereItDiffers(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, meta, source, contentType string
		items                           int
	}{
		{"nothing", "-", "documentation", "application/json", 1},
		{"items", "items: 0", "documentation", "application/json", 0},
		{"source", "source: own", "own", "application/json", 1},
		{"headers", "headers: {Content-Type: text/plain}", "documentation", "text/plain", 1},
		{"no headers", "headers: {}", "documentation", "", 1},
	} {
		fixtures, err := readFixtures(folder("sent.meta.yaml", tt.meta), "d")
		if err != nil || len(fixtures) != 2 {
			t.Fatalf("%s: %d cases, %v", tt.name, len(fixtures), err)
		}
		f := fixtures[1]
		if f.name != "sent" || f.meta.Source != tt.source || *f.meta.Items != tt.items || f.request(nil).Header.Get("Content-Type") != tt.contentType {
			t.Errorf("%s: case %s: source %q, %d items, headers %v", tt.name, f.name, f.meta.Source, *f.meta.Items, f.meta.Headers)
		}
	}
}

func TestReadFixtures_NamesTheFileThatIsWrong(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, file, text, want string }{
		{"no defaults", "provider.yaml", "-", "read d/provider.yaml: open provider.yaml: file does not exist; write into it"},
		{"defaults without a source", "provider.yaml", "items: 1", "d/provider.yaml: it needs a source and items"},
		{"defaults without items", "provider.yaml", "source: documentation", "d/provider.yaml: it needs a source and items"},
		{"an unknown default", "provider.yaml", "source: documentation\nitems: 1\nitem: 1", "item"},
		{"the default source", "sent.meta.yaml", "source: documentation\nitems: 2", `d/sent.meta.yaml: it repeats ["source"]`},
		{"the default items", "sent.meta.yaml", "source: own\nitems: 1", `d/sent.meta.yaml: it repeats ["items"]`},
		{"the default headers", "sent.meta.yaml", "source: own\nheaders: {Content-Type: application/json}", `it repeats ["headers"]`},
		{"nothing of its own", "sent.meta.yaml", "", "d/sent.meta.yaml: it repeats []"},
		{"an unknown key", "sent.meta.yaml", "header: {}", "header"},
		{"metadata of no case", "snet.meta.yaml", "items: 2", "d/snet.meta.yaml: there is no snet.in.*"},
		{"a golden file of no case", "snet.want.json", "{}", "d/snet.want.json: there is no snet.in.*"},
	} {
		_, err := readFixtures(folder(tt.file, tt.text), "d")
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.want)
		}
	}
	if _, err := readFixtures(fstest.MapFS{}, "d"); err == nil {
		t.Error("a folder without cases is read")
	}
}
