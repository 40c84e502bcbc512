package deploytest

import (
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	// quoted is a path in a document: `services/ingress/path.go`. What has a placeholder
	// or a wildcard is no path.
	quoted = regexp.MustCompile("`([\\w./{},-]+)`")
	// oneOf is the part {a,b} of one.
	oneOf = regexp.MustCompile(`\{([^}]*)\}`)
	// pathOf begins the path of a service in ARCHITECTURE.md, whose files are named below it.
	pathOf = regexp.MustCompile(`^\*\*(\w+)\*\* \(`)
	// anchored is a link to a heading.
	anchored = regexp.MustCompile(`\]\(([^)\s#:]*)#([^)\s]+)\)`)
	heading  = regexp.MustCompile(`(?m)^#+ (.*)$`)
	code     = regexp.MustCompile("(?ms)^```.*?^```")
)

// documents returns the Markdown files of the project by their path below its top.
func documents(t *testing.T) map[string]string {
	t.Helper()
	found := map[string]string{}
	for _, pattern := range []string{"*.md", "*/*.md", "*/*/*.md"} {
		names, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			name, err = filepath.Rel(root, name)
			if err != nil {
				t.Fatal(err)
			}
			found[filepath.ToSlash(name)] = code.ReplaceAllString(readFile(t, name), "")
		}
	}
	if len(found) < 50 {
		t.Fatalf("%d documents were found", len(found))
	}
	return found
}

// pathsIn returns the paths of files and folders that a line names; service is the one
// whose path it is about, "" for none.
func pathsIn(line, service string) []string {
	var paths []string
	for _, m := range quoted.FindAllStringSubmatch(line, -1) {
		name := m[1]
		top, _, inside := strings.Cut(name, "/")
		switch _, err := os.Stat(filepath.Join(root, top)); {
		case top == "" || top == "bin" || strings.Contains(name, "..") || strings.Contains(name, "vX.Y.Z"): // bin is built
			continue
		case service != "" && (top == "internal" || !inside && path.Ext(name) == ".go"):
			name = path.Join("services", service, name)
		case err != nil || !inside:
			continue
		}
		alternatives := oneOf.FindStringSubmatch(name)
		if alternatives == nil {
			paths = append(paths, name)
			continue
		}
		for one := range strings.SplitSeq(alternatives[1], ",") {
			paths = append(paths, strings.Replace(name, alternatives[0], one, 1))
		}
	}
	return paths
}

func TestDocuments_NameFilesThatExist(t *testing.T) {
	t.Parallel()
	seen := 0
	for name, text := range documents(t) {
		if strings.HasPrefix(name, "docs/decisions/") {
			continue // they speak of what was there at the time
		}
		service := ""
		for line := range strings.Lines(text) {
			if m := pathOf.FindStringSubmatch(line); m != nil && name == "ARCHITECTURE.md" {
				service = m[1]
			} else if strings.HasPrefix(line, "## ") {
				service = ""
			}
			for _, p := range pathsIn(line, service) {
				seen++
				if _, err := os.Stat(filepath.Join(root, p)); err != nil {
					t.Errorf("%s names %s, which does not exist", name, p)
				}
			}
		}
	}
	if seen < 100 {
		t.Errorf("%d paths were found", seen)
	}
}

func TestDocuments_LinkToHeadingsThatExist(t *testing.T) {
	t.Parallel()
	all := documents(t)
	anchors := map[string]bool{}
	for name, text := range all {
		for _, m := range heading.FindAllStringSubmatch(text, -1) {
			anchors[name+"#"+anchor(m[1])] = true
		}
	}
	for name, text := range all {
		for _, m := range anchored.FindAllStringSubmatch(text, -1) {
			to := name
			if m[1] != "" {
				to = path.Join(path.Dir(name), m[1])
			}
			if _, known := all[to]; known && !anchors[to+"#"+m[2]] {
				t.Errorf("%s links to #%s of %s, which has no such heading", name, m[2], to)
			}
		}
	}
}

// anchor returns what GitHub makes of the text of a heading.
func anchor(text string) string {
	text = regexp.MustCompile(`\[([^\]]*)\]\([^)]*\)`).ReplaceAllString(text, "$1")
	text = regexp.MustCompile(`[^\w\- ]`).ReplaceAllString(strings.ToLower(strings.TrimSpace(text)), "")
	return strings.ReplaceAll(text, " ", "-")
}
