package lint

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestActionlint_FindsWhatIsWrongInAWorkflow breaks one in three ways: a job that is
// not there, an input that the action does not have, an expression of no meaning.
func TestActionlint_FindsWhatIsWrongInAWorkflow(t *testing.T) {
	const broken = `on: push
jobs:
  test:
    runs-on: ubuntu-24.04
    needs: build
    steps:
      - uses: actions/checkout@v4
        with: {dept: 1}
      - run: echo ${{ github.reff }}
`
	root := t.TempDir()
	write(t, filepath.Join(root, ".github/workflows/broken.yml"), []byte(broken))
	program, err := exec.Command("go", "tool", "-n", "actionlint").Output()
	if err != nil {
		t.Fatal("build actionlint:", err)
	}
	run := exec.Command(strings.TrimSpace(string(program)), "-shellcheck=", "-pyflakes=", ".github/workflows/broken.yml")
	run.Dir = root
	out, err := run.CombinedOutput()
	if err == nil {
		t.Error("it passes")
	}
	for _, want := range []string{`broken.yml:3:3: job "test" needs job "build"`, `broken.yml:8:16: input "dept"`, `broken.yml:9:23: property "reff"`} {
		if !strings.Contains(string(out), want) {
			t.Errorf("not found: %s", want)
		}
	}
	if t.Failed() {
		t.Logf("actionlint wrote:\n%s", out)
	}
}
