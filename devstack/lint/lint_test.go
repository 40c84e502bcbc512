// Package lint tests .golangci.yaml: each of its rules finds the place that
// breaks it, and nothing else, in the small project of testdata/house.txtar.
package lint

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"
)

// finding matches one line of the linter: file, line, words, linter.
var finding = regexp.MustCompile(`(?m)^([\w./-]+:\d+):(?:\d+:)? .*\((\w+)\)$`)

func TestConfig_FindsExactlyWhatBreaksIt(t *testing.T) {
	archive, err := txtar.ParseFile("testdata/house.txtar")
	if err != nil {
		t.Fatal(err)
	}
	root := t.TempDir()
	for _, f := range archive.Files {
		write(t, filepath.Join(root, f.Name), f.Data)
	}
	config, err := os.ReadFile("../../.golangci.yaml")
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(root, ".golangci.yaml"), config)
	// What is long stays out of the archive. A call of two lines is one statement.
	const call, calls = "\tstep(\n\t)\n", 34
	write(t, filepath.Join(root, "services/ingress/long.go"), []byte("package ingress\n\nfunc long() {\n\n"+strings.Repeat(call, calls)+
		"}\n\nfunc enough() {\n"+strings.Repeat(call, calls)+"}\n"))
	write(t, filepath.Join(root, "services/ingress/long_test.go"), []byte("package ingress\n\nfunc testLong() {\n"+strings.Repeat("\tstep()\n", 61)+
		"}\n\nfunc testTable() {\n\t_ = []int{\n"+strings.Repeat("\t\t0,\n", 90)+"\t}\n}\n\nvar _, _ = testLong, testTable\n"))
	write(t, filepath.Join(root, "services/ingress/file.go"), []byte("package ingress\n"+strings.Repeat("\n// A line.\n", 250)))
	write(t, filepath.Join(root, "services/ingress/enough.go"), []byte("package ingress\n\n"+strings.Repeat("// A line.\n", 498)))

	program, err := exec.Command("go", "tool", "-n", "golangci-lint").Output()
	if err != nil {
		t.Fatal("build golangci-lint:", err)
	}
	run := exec.Command(strings.TrimSpace(string(program)), "run", "--show-stats=false", "./...")
	run.Dir = root
	run.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=-mod=mod", "GOLANGCI_LINT_CACHE="+filepath.Join(root, ".cache"))
	out, _ := run.CombinedOutput() // it fails, since it finds something
	var got []string
	for _, m := range finding.FindAllStringSubmatch(string(out), -1) {
		got = append(got, m[1]+" "+m[2])
	}
	want := strings.Split(strings.TrimSpace(string(archive.Comment)), "\n")
	slices.Sort(got)
	slices.Sort(want)
	for _, line := range want {
		if !slices.Contains(got, line) {
			t.Errorf("not found: %s", line)
		}
	}
	for _, line := range got {
		if !slices.Contains(want, line) {
			t.Errorf("found, and should not be: %s", line)
		}
	}
	if t.Failed() {
		t.Logf("golangci-lint wrote:\n%s", out)
	}
}

func write(t *testing.T, name string, data []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, data, 0o644); err != nil {
		t.Fatal(err)
	}
}
