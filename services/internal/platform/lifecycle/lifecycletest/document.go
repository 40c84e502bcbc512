package lifecycletest

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mailstream/mailstream/services/internal/platform/lifecycle"
)

var numbered = regexp.MustCompile("(?m)^\\d+\\. `([^`]+)`")

// Documented compares the tasks of a service with its numbered list in a document.
func Documented(t *testing.T, document, service string, tasks []lifecycle.Task) {
	t.Helper()
	text, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	_, list, found := strings.Cut(string(text), "\n**"+service+"** starts")
	if !found {
		t.Fatalf("%s has no list of what %s starts", document, service)
	}
	list, _, _ = strings.Cut(list, "\n**")
	list, _, _ = strings.Cut(list, "\n## ")
	var want, names []string
	for _, line := range numbered.FindAllStringSubmatch(list, -1) {
		want = append(want, line[1])
	}
	for _, task := range tasks {
		names = append(names, task.Name)
	}
	if diff := cmp.Diff(want, names); diff != "" {
		t.Errorf("tasks of %s (-%s +code):\n%s", service, document, diff)
	}
}
