package tidy

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"
)

// TestTidy holds the repository to its rules.
func TestTidy(t *testing.T) {
	problems, err := Check(filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Error(p)
	}
}

// TestCheck_ReportsExactlyTheBreaches runs the checks on small trees. Each
// archive under testdata starts with the problems its tree must have, one a
// line; a tree with none before its files is one that must pass.
func TestCheck_ReportsExactlyTheBreaches(t *testing.T) {
	t.Parallel()
	archives, err := filepath.Glob(filepath.Join("testdata", "*.txtar"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range archives {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			t.Parallel()
			archive, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(wanted(archive), checked(t, archive)); diff != "" {
				t.Errorf("problems (-want +got):\n%s", diff)
			}
		})
	}
}

// TestCheck_EveryRuleHasItsTrees keeps a rule from going blind: a program rule
// without a tree that breaks it would pass whatever it does.
func TestCheck_EveryRuleHasItsTrees(t *testing.T) {
	t.Parallel()
	archives, err := filepath.Glob(filepath.Join("testdata", "*.txtar"))
	if err != nil {
		t.Fatal(err)
	}
	broken := map[string]bool{}
	for _, file := range archives {
		archive, err := txtar.ParseFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, problem := range wanted(archive) {
			_, number, _ := strings.Cut(problem, "(rule ")
			broken[strings.TrimSuffix(number, ")")] = true
		}
	}
	list, err := os.ReadFile("RULES.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range rules() {
		number := strconv.Itoa(r.number)
		if !broken[number] {
			t.Errorf("no tree under testdata breaks rule %s", number)
		}
		if !strings.Contains(string(list), "\n"+number+". ") {
			t.Errorf("RULES.md does not list rule %s", number)
		}
	}
}

// wanted reads the problems an archive must have from its first lines.
func wanted(a *txtar.Archive) []string {
	var lines []string
	for line := range strings.Lines(string(a.Comment)) {
		if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
			lines = append(lines, line)
		}
	}
	slices.Sort(lines)
	return lines
}

// checked writes the files of an archive to disk and checks them.
func checked(t *testing.T, a *txtar.Archive) []string {
	t.Helper()
	root := t.TempDir()
	for _, f := range a.Files {
		full := filepath.Join(root, filepath.FromSlash(f.Name))
		if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(full, f.Data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	problems, err := Check(root)
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, p := range problems {
		lines = append(lines, p.String())
	}
	slices.Sort(lines)
	return lines
}
