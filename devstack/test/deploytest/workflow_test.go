package deploytest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
)

// workflow is the part of a workflow of GitHub Actions that is run by a shell.
type workflow struct {
	Jobs map[string]struct {
		Steps []struct {
			Run string `yaml:"run"`
		} `yaml:"steps"`
	} `yaml:"jobs"`
}

// expression is what GitHub replaces before a shell reads the step.
var expression = regexp.MustCompile(`\$\{\{.*?\}\}`)

// stepFault reads one step as bash does, and looks for the targets of make and the
// scripts that it runs. It returns "" where there is nothing to say against it.
func stepFault(run string, targets []string) string {
	check := exec.Command("bash", "-n")
	check.Stdin = strings.NewReader(expression.ReplaceAllString(run, "x"))
	if out, err := check.CombinedOutput(); err != nil {
		return fmt.Sprintf("bash -n: %v: %s", err, out)
	}
	for line := range strings.Lines(run) {
		words := strings.Fields(line)
		switch {
		case len(words) == 0:
		case words[0] == "make" && (len(words) < 2 || !slices.Contains(targets, words[1])):
			return fmt.Sprintf("%q: no such target", line)
		case strings.Contains(words[0], "/"):
			info, err := os.Stat(filepath.Join(root, words[0]))
			if err != nil || info.Mode()&0o111 == 0 {
				return fmt.Sprintf("%q: %s is no program", line, words[0])
			}
		}
	}
	return ""
}

// TestWorkflows_StepsAreOnesThatAShellCanRun is what can be held without GitHub;
// `make lint` has actionlint for the rest.
func TestWorkflows_StepsAreOnesThatAShellCanRun(t *testing.T) {
	t.Parallel()
	var targets []string
	for _, m := range regexp.MustCompile(`(?m)^([a-z-]+):`).FindAllStringSubmatch(readFile(t, "Makefile"), -1) {
		targets = append(targets, m[1])
	}
	for run, fine := range map[string]bool{
		"make test": true, "make fuzz FUZZTIME=3m\n.ci/run": true, "docker login ${{ vars.IMAGE_REGISTRY }}": true,
		"make tests": false, ".ci/ran": false, "for x in a; do\n": false, `echo "a`: false,
	} {
		if fault := stepFault(run, targets); (fault == "") != fine {
			t.Errorf("%q: fault %q", run, fault)
		}
	}
	files, err := filepath.Glob(filepath.Join(root, ".github/workflows/*.yml"))
	if err != nil || len(files) == 0 {
		t.Fatalf("%d workflows, %v", len(files), err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var w workflow
		if err := yaml.Unmarshal(text, &w); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		for job, j := range w.Jobs {
			for n, step := range j.Steps {
				if fault := stepFault(step.Run, targets); fault != "" {
					t.Errorf("%s: job %s, step %d: %s", filepath.Base(file), job, n+1, fault)
				}
			}
		}
	}
}
