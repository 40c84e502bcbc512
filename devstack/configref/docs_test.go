package configref

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// documents are what people read: prose, manifests and compose files.
func documents(t *testing.T) map[string]string {
	t.Helper()
	found := map[string]string{}
	for _, top := range []string{"README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md", "compose.yaml", "compose.production.yaml", ".env.example", "docs", "deploy", "services", "examples"} {
		err := filepath.WalkDir(filepath.Join(root, top), func(path string, entry fs.DirEntry, err error) error {
			prose := strings.HasSuffix(path, ".md") || !strings.Contains(path, "/services/") && !strings.HasSuffix(path, ".go") && !strings.HasSuffix(path, ".json")
			if err != nil || entry.IsDir() || !prose || strings.Contains(path, "/decisions/") {
				return err // decisions speak of what was
			}
			text, err := os.ReadFile(path)
			found[path] = string(text)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return found
}

// keyForm is a field in backticks, with or without a value behind it.
var keyForm = regexp.MustCompile("`([a-z]+(?:\\.[a-z_]+)+)(?:[:=] ?[^`]*)?`")

// Every field that a document names is one.
func TestDocuments_NameFieldsThatExist(t *testing.T) {
	t.Parallel()
	known := map[string]bool{}
	var sections []string
	for _, e := range read(t) {
		known[strings.ReplaceAll(e.Path, "[]", "")] = true
		if !strings.Contains(e.Path, ".") {
			sections = append(sections, e.Path)
		}
	}
	seen := 0
	for path, text := range documents(t) {
		for _, m := range keyForm.FindAllStringSubmatch(text, -1) {
			section, _, _ := strings.Cut(m[1], ".")
			if !slices.Contains(sections, section) || filepath.Base(path) == m[1] || strings.HasSuffix(m[1], ".yaml") || strings.HasSuffix(m[1], ".go") {
				continue
			}
			seen++
			if !known[m[1]] {
				t.Errorf("%s names %s, which is no field of the configuration", path, m[1])
			}
		}
	}
	if seen < 20 {
		t.Errorf("%d fields are named", seen)
	}
}

// variableForm is a variable with our prefix.
var variableForm = regexp.MustCompile(`\bMAILSTREAM_[A-Z0-9_]*[A-Z0-9]\b`)

// Every variable that a document names sets a field, or is one of those that the
// deployment or a command itself reads.
func TestDocuments_NameVariablesThatExist(t *testing.T) {
	t.Parallel()
	known := map[string]bool{"MAILSTREAM_PEPPER": true, "MAILSTREAM_VERSION": true, "MAILSTREAM_ALERTING_TOKEN": true, "MAILSTREAM_SUPPRESSION_TOKEN": true}
	for _, e := range read(t) {
		known[e.Variable] = true
	}
	for path, text := range documents(t) {
		for _, name := range variableForm.FindAllString(text, -1) {
			if !known[name] {
				t.Errorf("%s names %s, which sets nothing", path, name)
			}
		}
	}
}
