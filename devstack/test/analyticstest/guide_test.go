package analyticstest

import (
	"flag"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mailstream/mailstream/schemas"
)

// update writes the lists of columns into the SQL guide.
var update = flag.Bool("update", false, "write the columns of docs/sql.md")

const guidePath = "../../../docs/sql.md"

// columnsHeading begins the part of the guide that is the engine's.
const columnsHeading = "## Views and columns\n"

func readGuide(t *testing.T) string { t.Helper(); return readFile(t, guidePath) }

func readFile(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestGuide_ListsTheColumnsThatAreThere compares the guide with what the engine
// says of the views; -update writes it.
func TestGuide_ListsTheColumnsThatAreThere(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var b strings.Builder
	b.WriteString(columnsHeading)
	for _, view := range contractViews() {
		fmt.Fprintf(&b, "\n### %s\n\n| column | type | meaning |\n|---|---|---|\n", view)
		b.WriteString(w.sql(t, "SELECT concat('| `', name, '` | `', type, '` | ', comment, ' |') FROM system.columns WHERE database = currentDatabase() AND table = '"+view+"' ORDER BY position FORMAT TSVRaw") + "\n")
	}
	text := readGuide(t)
	head, _, found := strings.Cut(text, columnsHeading)
	if !found {
		t.Fatalf("no %q", columnsHeading)
	}
	if *update {
		if err := os.WriteFile(guidePath, []byte(head+b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(head+b.String(), text); diff != "" {
		t.Errorf("%s; run go test ./devstack/test/analyticstest -run Guide -update\n%s", guidePath, diff)
	}
}

// guideEvents are what the guide's queries are asked of: a delivered and opened
// message, a block, a bounce.
func guideEvents() []schemas.Event {
	event := func(n int, typ schemas.Type, after time.Duration, change func(*schemas.Event)) schemas.Event {
		e := eventAt(n, typ, base().Add(after))
		e.Recipient = "ana@example.com"
		if change != nil {
			change(&e)
		}
		return e
	}
	failed := func(reason, cause, reply string) func(*schemas.Event) {
		return func(e *schemas.Event) {
			e.Reason, e.Cause, e.SMTPReply = schemas.Reason(reason), schemas.Cause(cause), reply
			e.Recipient, e.MailboxProvider, e.Campaign = "bo@example.com", "microsoft", "summer"
		}
	}
	return []schemas.Event{
		event(10, schemas.Processed, 0, nil), event(10, schemas.Delivered, 2*time.Second, nil), event(10, schemas.Opened, time.Minute, nil),
		event(11, schemas.Blocked, time.Second, failed("reputation", "sender", "550 5.7.1 blocked")),
		event(12, schemas.Bounced, time.Second, failed("invalid_recipient", "recipient", "550 5.1.1 unknown")),
	}
}

var guideQuery = regexp.MustCompile("(?s)```sql\n(.*?)```")

// TestGuide_QueriesAnswer runs every query of the guide.
func TestGuide_QueriesAnswer(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.sql(t, "SYSTEM STOP MERGES event_log") // which would remove the repeats
	w.analytics(t)
	for range 2 { // repeats change no answer
		w.publish(t, guideEvents()...)
	}
	w.wantSQL(t, "SELECT count() FROM event_log", "10")
	answers := []string{
		"2026-11-20 10:00:00.000\tprocessed\tana@example.com\t\t\n2026-11-20 10:00:02.000\tdelivered\tana@example.com\t\t\n2026-11-20 10:01:00.000\topened\tana@example.com\t\t",
		"2026-11-20 10:01:00.000\topened\tmailjet\t\n2026-11-20 10:00:02.000\tdelivered\tmailjet\t\n2026-11-20 10:00:00.000\tprocessed\tmailjet\t",
		"2026-11-20\tblocked\t1\n2026-11-20\tbounced\t1\n2026-11-20\tdelivered\t1\n2026-11-20\topened\t1\n2026-11-20\tprocessed\t1",
		"microsoft\t1\t2\t0.5\ngoogle\t0\t1\t0",
		"recipient\tinvalid_recipient\t1\t550 5.1.1 unknown\nsender\treputation\t1\t550 5.7.1 blocked",
		"summer\t2\t0\t0\t0\nspring\t1\t1\t1\t0",
		"google\t2",
		"", "", "", "",
	}
	queries := guideQuery.FindAllStringSubmatch(readGuide(t), -1)
	if len(queries) != len(answers) {
		t.Fatalf("%d queries, %d answers", len(queries), len(answers))
	}
	for i, q := range queries {
		w.wantSQL(t, q[1], answers[i])
	}
}
