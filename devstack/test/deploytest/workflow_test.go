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

// TestMake_TakesKeptResultsOnlyWhereTheyStillHold looks at what `make test` would run. Go
// does not see files outside the module of a package: such packages get an argument that
// no two states of the checkout share. CI takes no kept result.
func TestMake_TakesKeptResultsOnlyWhereTheyStillHold(t *testing.T) {
	t.Parallel()
	plan := func(args ...string) (text string, runs []string) {
		cmd := exec.Command("make", append([]string{"-C", root, "--no-print-directory", "--dry-run", "test"}, args...)...)
		cmd.Env = slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "FRESH=") || strings.HasPrefix(v, "MAKE") })
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("make %q: %v", args, err)
		}
		return string(out), regexp.MustCompile(`go test [^;]*`).FindAllString(string(out), -1)
	}
	text, kept := plan()
	_, fresh := plan("FRESH=1")
	if len(kept) != 3 || len(fresh) != 3 {
		t.Fatalf("%d and %d runs of tests, want 3: those that read other modules, the others, attacktest", len(kept), len(fresh))
	}
	for i, whole := range []bool{true, false, true} {
		if strings.Contains(kept[i], "-skip checkout-") != whole || strings.Contains(kept[i], "-count") || strings.Contains(kept[i], "-shuffle") {
			t.Errorf("run %d keeps results by: %s", i+1, kept[i])
		}
		if !strings.Contains(fresh[i], "-shuffle=on") || !strings.Contains(fresh[i], "-count=1") {
			t.Errorf("run %d is not fresh: %s", i+1, fresh[i])
		}
	}
	if !strings.Contains(readFile(t, ".ci/run"), "export FRESH=1") {
		t.Error(".ci/run takes kept results")
	}
	outside := regexp.MustCompile(`outside=[^;]*`).FindString(text)
	for _, folder := range []string{"devstack/test/deploytest", "devstack/test/e2e", "devstack/test/attacktest", "services/alerting", "services/ingress", "services/internal/provider/registry", "devstack/tidy"} {
		if !strings.Contains(outside, "./"+folder+" ") {
			t.Errorf("%s reads files of other modules, and its result is kept although they change", folder)
		}
	}
}

// TestMake_QuickComparesWithBase runs the first lines of `make quick`, which choose the
// commit that packages are compared with, in a checkout of two commits.
func TestMake_QuickComparesWithBase(t *testing.T) {
	t.Parallel()
	plan, err := exec.Command("make", "-C", root, "--no-print-directory", "--dry-run", "quick").Output()
	if err != nil {
		t.Fatal(err)
	}
	choose, _, found := strings.Cut(string(plan), "packages=")
	if !found {
		t.Fatalf("make quick chooses no packages: %s", plan)
	}
	checkout := t.TempDir()
	bash := func(script string, env ...string) (string, error) {
		cmd := exec.Command("bash", "-euc", script)
		cmd.Dir, cmd.Env = checkout, append(os.Environ(), env...)
		out, err := cmd.Output()
		return strings.TrimSpace(string(out)), err
	}
	commits, err := bash(`git init -q
		for n in 1 2; do git -c user.name=n -c user.email=n@example.com commit -q --allow-empty -m "$n"; done
		git rev-parse HEAD~1 HEAD`)
	if err != nil {
		t.Fatal(err)
	}
	first, last, _ := strings.Cut(commits, "\n")
	for value, want := range map[string]string{"": last, "HEAD~1": first, "no-such-branch": "BASE=no-such-branch is not a commit or branch here"} {
		got, err := bash(choose+` echo "$base"`, "BASE="+value)
		if got != want || (err != nil) != strings.Contains(want, "not a commit") {
			t.Errorf("BASE=%s: %q, %v, want %q", value, got, err, want)
		}
	}
}
