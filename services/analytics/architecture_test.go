package analytics

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The last stage, settle, is the consumer's: it follows when the others are done.
func TestPath_IsTheListOfTheArchitecture(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../ARCHITECTURE.md")
	if err != nil {
		t.Fatal(err)
	}
	_, list, _ := strings.Cut(string(text), "**analytics**")
	list, _, _ = strings.Cut(list, "\n**")
	var names, want []string
	for _, s := range new(path).stages() {
		names = append(names, s.name)
	}
	for _, line := range regexp.MustCompile(`(?m)^\d+\. (\w+):`).FindAllStringSubmatch(list, -1) {
		want = append(want, line[1])
	}
	if diff := cmp.Diff(want, append(names, "settle")); diff != "" {
		t.Errorf("stages (-documented +path):\n%s", diff)
	}
}
