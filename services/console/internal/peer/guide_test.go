package peer

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/mailstream/mailstream/services/internal/platform/config"
)

// TestGuide_HasTheLimits holds what docs/console.md says of calls to the code.
func TestGuide_HasTheLimits(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../../../docs/console.md")
	if err != nil {
		t.Fatal(err)
	}
	lasts := config.FormatDuration
	for _, line := range []string{
		fmt.Sprintf("\n| the list as CSV, and any other answer of a service | %d MiB |\n", answerBytesMax>>20),
		fmt.Sprintf("\n| wait for a service: an answer; a plan or check; a file | %s, %s, %s |\n", lasts(callTimeout), lasts(lookTimeout), lasts(fileTimeout)),
	} {
		if !strings.Contains(string(text), line) {
			t.Errorf("the guide has no %q", line)
		}
	}
}
