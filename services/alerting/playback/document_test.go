package playback

import (
	"os"
	"strings"
	"testing"
)

// TestDocument_CasesPass runs the cases that docs/backtest.md shows.
func TestDocument_CasesPass(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../../docs/backtest.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "```yaml\n")
	example, _, ok := strings.Cut(rest, "```")
	if !ok {
		t.Fatal("docs/backtest.md shows no cases")
	}
	c, rules, err := ReadCases("docs/backtest.md", []byte(example), Rules{})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range c.Test(rules) {
		if !r.OK {
			t.Errorf("%s: %q", r.Case, r.Faults)
		}
	}
}
