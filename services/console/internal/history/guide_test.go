package history

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/mailstream/mailstream/services/internal/platform/config"
)

// TestGuide_HasTheLimits holds what docs/console.md says of questions and answers to the
// code.
func TestGuide_HasTheLimits(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../../../docs/console.md")
	if err != nil {
		t.Fatal(err)
	}
	lasts := config.FormatDuration
	for _, said := range []string{
		fmt.Sprintf("\n| entries of the list about a person | %d |\n", suppressionsMax),
		fmt.Sprintf("\n| incidents of a page | %d,%03d |\n", rowsMax/1_000, rowsMax%1_000),
		fmt.Sprintf("\n| a question to ClickHouse | %s, %d,000,000 rows, %d GiB, %d thread |\n", lasts(queryTimeMax), queryRowsMax/1_000_000, queryMemoryMax>>30, queryThreads),
		fmt.Sprintf("\n| questions to ClickHouse at once | %d |\n", queriesMax),
		fmt.Sprintf("an answer serves everybody for %s to %s, longer the longer it took, and for %s more", lasts(freshMin), lasts(freshMax), lasts(staleMax)),
	} {
		if !strings.Contains(string(text), said) {
			t.Errorf("the guide has no %q", said)
		}
	}
}
