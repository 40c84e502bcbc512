package engine_test

import (
	"os"
	"strings"
	"testing"
)

// The start in the README is the program that is built.
func TestReadme_StartsAsTheCommandDoes(t *testing.T) {
	t.Parallel()
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	program, err := os.ReadFile("cmd/chdbserver/main.go")
	if err != nil {
		t.Fatal(err)
	}
	_, start, _ := strings.Cut(string(readme), "```go\n")
	start, _, _ = strings.Cut(start, "```")
	if start == "" || !strings.HasSuffix(string(program), "\n"+start) {
		t.Errorf("the first code of README.md is not that of cmd/chdbserver:\n%s", start)
	}
}
