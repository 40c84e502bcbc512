package main

import (
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// commandForm is a command in backticks or at the start of a line of a code
// block, with all that follows it.
var commandForm = regexp.MustCompile("(?:`|(?m)^\\s*(?:\\$ )?)(?:bin/)?mailstream ([a-z][^`\\n]*)")

// Every command and flag that a document names is one.
func TestDocuments_NameCommandsThatExist(t *testing.T) {
	t.Parallel()
	seen := 0
	for _, top := range []string{"README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md", "docs", "deploy", "services"} {
		err := filepath.WalkDir(filepath.Join("../../..", top), func(path string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() || !strings.HasSuffix(path, ".md") || strings.Contains(path, "/decisions/") {
				return err
			}
			text, err := os.ReadFile(path)
			for _, m := range commandForm.FindAllStringSubmatch(string(text), -1) {
				seen++
				checkCommand(t, path, m[1])
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if seen < 10 {
		t.Errorf("%d commands are named", seen)
	}
}

func checkCommand(t *testing.T, path, line string) {
	t.Helper()
	line, _, _ = strings.Cut(line, " #")
	command := newRoot(process{stdout: io.Discard, stderr: io.Discard})
	words := strings.Fields(line)
	for len(words) > 0 && command.HasSubCommands() {
		next, _, err := command.Find(words[:1])
		if err != nil || next == command {
			t.Errorf("%s: `mailstream %s`: there is no command %s", path, line, words[0])
			return
		}
		command, words = next, words[1:]
	}
	for _, word := range words {
		name, isFlag := strings.CutPrefix(word, "--")
		name, _, _ = strings.Cut(strings.Trim(name, "[],.;)"), "=")
		if isFlag && name != "help" && command.Flags().Lookup(name) == nil && inherited(command, name) == nil {
			t.Errorf("%s: `mailstream %s`: %s has no flag --%s", path, line, command.CommandPath(), name)
		}
	}
}

func inherited(command *cobra.Command, name string) any {
	for c := command; c != nil; c = c.Parent() {
		if f := c.PersistentFlags().Lookup(name); f != nil {
			return f
		}
	}
	return nil
}
