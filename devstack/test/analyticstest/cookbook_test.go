package analyticstest

import (
	_ "embed"
	"math"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/mailstream/mailstream/services/servicetest"
)

// cookbookSQL makes the events of cookbook.
//
//go:embed sql/cookbook.sql
var cookbookSQL string

const cookbookPath = "../../../docs/cookbook.md"

// recipe is a question of the cookbook: its number, its query and what the document
// says that it reads.
var recipe = regexp.MustCompile("(?s)\n### (\\d+)\\. [^\n]*\n.*?```sql\n(.*?)```\n\nRows read: ([0-9,]+)\n")

// TestCookbook_AnswersAndReadsWhatItSays asks every query of the cookbook and holds
// the answer to one that Go worked out, in the time zone of whoever asks, and the rows
// read to those that the document states; -update writes those.
func TestCookbook_AnswersAndReadsWhatItSays(t *testing.T) {
	t.Parallel()
	w := cookbookWorld(t)
	text := readFile(t, cookbookPath)
	recipes := recipe.FindAllStringSubmatch(text, -1)
	answers := cookbookAnswers(cookbookMail())
	if len(recipes) != len(answers) || strings.Count(text, "```sql") != len(recipes) {
		t.Fatalf("%d questions, %d answers, %d queries", len(recipes), len(answers), strings.Count(text, "```sql"))
	}
	changed := text
	for i, r := range recipes {
		t.Run(r[1], func(t *testing.T) {
			if r[1] != strconv.Itoa(i+1) {
				t.Errorf("question %s is the %dth", r[1], i+1)
			}
			got, read := w.readRows(t, r[2])
			if want := answers[i]; got != want || want == "" {
				t.Errorf("%s\ngot\n%s\nwant\n%s", r[2], got, want)
			}
			if there := w.sql(t, r[2]+"SETTINGS session_timezone = 'Asia/Kolkata'"); there != strings.TrimSpace(got) {
				t.Errorf("%s\nin a session of another time zone\ngot\n%s\nwant\n%s", r[2], there, got)
			}
			stated, truth := "Rows read: "+r[3]+"\n", "Rows read: "+thousands(read)+"\n"
			if stated != truth && !*update {
				t.Errorf("it reads %d rows, the document says %s; run go test ./devstack/test/analyticstest -run Cookbook -update", read, r[3])
			}
			changed = strings.Replace(changed, r[0], strings.Replace(r[0], stated, truth, 1), 1)
		})
	}
	if all := "the whole table has " + thousands(cookbookRows(t, w)) + " rows"; !strings.Contains(changed, all) {
		t.Errorf("the document does not say that %s", all)
	}
	if *update {
		if err := os.WriteFile(cookbookPath, []byte(changed), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// oddMail is what no answer may stumble over: an account that reports opens alone, a
// message that was refused and nothing else, one without an outcome, one that somebody
// complained of and nobody delivered, and all of it without a campaign.
const oddMail = `INSERT INTO event_log (id, type, time, received_at, provider, source, message_id, recipient_hash, recipient_domain, mailbox_provider)
SELECT reinterpretAsUUID(MD5(concat(message, typ))), typ, toDateTime64('2026-10-20 09:00:00', 3, 'UTC'), now64(3), 'odd', source, message, 'hash', 'example.com', mailbox
FROM values('typ String, source String, message String, mailbox String',
    ('opened', 'lists', '1', 'other'), ('clicked', 'lists', '2', 'other'), ('complained', 'mails', '3', 'yahoo'), ('unsubscribed', 'mails', '3', 'yahoo'),
    ('blocked', 'mails', '4', 'tiny'), ('processed', 'mails', '5', 'apple'), ('failed', 'mails', '6', 'google'))`

// rounded finds the columns of a query that are shares of something.
var rounded = regexp.MustCompile(`, 4\) AS (\w+)`)

// TestCookbook_DividesByNothing asks every query of no mail and of odd mail: each has an
// answer, in which shares are from 0 to 1 and nobody opened what did not arrive.
func TestCookbook_DividesByNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ask := func() {
		t.Helper()
		for _, r := range recipe.FindAllStringSubmatch(readFile(t, cookbookPath), -1) {
			lines := strings.Split(w.sql(t, r[2]+"FORMAT TSVWithNames"), "\n")
			shares := rounded.FindAllStringSubmatch(r[2], -1)
			for _, line := range lines[1:] {
				for i, name := range strings.Split(lines[0], "\t") {
					text := strings.Split(line, "\t")[i]
					value, err := strconv.ParseFloat(text, 64)
					isShare := slices.ContainsFunc(shares, func(s []string) bool { return s[1] == name })
					if err == nil && (math.IsNaN(value) || math.IsInf(value, 0) || isShare && (value < 0 || value > 1)) {
						t.Errorf("question %s: %s is %s", r[1], name, text)
					}
				}
			}
		}
	}
	ask()
	w.sql(t, oddMail)
	w.gather(t)
	ask()
	if got := w.sql(t, recipe.FindAllStringSubmatch(readFile(t, cookbookPath), -1)[15][2]); got != "mails\t1\t0" {
		t.Errorf("without an outcome are %q, want the one that was taken", got)
	}
}

func cookbookRows(t *testing.T, w *world) int {
	t.Helper()
	rows, err := strconv.Atoi(w.sql(t, "SELECT count() FROM event_log"))
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

// thousands writes n with commas.
func thousands(n int) string {
	text := strconv.Itoa(n)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}

// stopMerges lets the tables keep what is inserted as it is, so that each run reads the
// same rows.
func (w *world) stopMerges(t *testing.T) {
	t.Helper()
	for _, table := range strings.Fields(w.sql(t, "SELECT name FROM system.tables WHERE database = currentDatabase() AND engine LIKE '%MergeTree'")) {
		w.sql(t, "SYSTEM STOP MERGES "+table)
	}
}

// cookbookWorld has the events of the cookbook in tables that nothing merges, and the
// counts of all hours sealed, and messages by day gathered.
func cookbookWorld(t *testing.T) *world {
	t.Helper()
	w := newWorld(t, `analytics: {listen: "127.0.0.1:0", seal_interval: 1s, seal_rest: 2s}`)
	w.stopMerges(t)
	for _, statement := range strings.Split(cookbookSQL, ";\n") {
		w.sql(t, statement)
	}
	_, stop := w.analytics(t)
	servicetest.Eventually(t, "past hours are sealed", func() bool {
		return w.sql(t, "SELECT (SELECT count() FROM sealed_hours) = (SELECT uniqExact(hour) FROM hour_rows)") == "1"
	})
	stop()
	w.gather(t)
	return w
}
