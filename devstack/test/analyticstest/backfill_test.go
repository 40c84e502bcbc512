package analyticstest

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// backfill is a statement of a migration that fills a table from what is stored.
var backfill = regexp.MustCompile(`(?s)INSERT INTO (\w+)\s*\([^)]*\)\s*SELECT\b[^;]*\bFROM (?:event_log|messages_state)\b[^;]*`)

// backfillBytesMax is what a backfill may take: three quarters of what a query may on the
// embedded engine, half of it on a server. Those of these rows take 320 to 512 MiB.
const backfillBytesMax = 768 << 20

// TestMigrate_BackfillsWithinLittleMemory gives every backfill once more, of more rows than
// a block has, and finds that it changes nothing: one that ended may be begun anew.
func TestMigrate_BackfillsWithinLittleMemory(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, statement := range strings.Split(manySQL, ";\n") {
		w.sql(t, statement)
	}
	w.gather(t) // messages of two days
	views := map[string]string{}
	for _, view := range []string{"messages", "campaign_messages", "messages_by_day", "person_messages"} {
		views[view] = w.sql(t, hashSQL(view, "*"))
	}
	files, err := filepath.Glob(filepath.Join(sqlDir, "schema", "*.sql"))
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, found := range backfill.FindAllStringSubmatch(comment.ReplaceAllString(string(text), ""), -1) {
			n++
			if !strings.Contains(found[0], "SETTINGS max_threads") {
				t.Errorf("%s: the backfill of %s has no bound on its threads and blocks", filepath.Base(name), found[1])
				continue
			}
			if _, err := w.ask(strings.TrimSpace(found[0]) + fmt.Sprintf(", max_memory_usage = %d", backfillBytesMax)); err != nil {
				t.Errorf("%s: backfill of %s: %v", filepath.Base(name), found[1], err)
			}
		}
	}
	if n < 5 {
		t.Errorf("%d backfills found: the test looks for another form", n)
	}
	w.gather(t)
	for view, before := range views {
		if after := w.sql(t, hashSQL(view, "*")); after != before {
			t.Errorf("%s had %q, has %q", view, before, after)
		}
	}
}
