package analyticstest

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"testing"

	_ "embed"

	"github.com/mailstream/mailstream/schemas"
)

// manySQL fills event_log as a month of two accounts leaves it: each day several
// parts, a tenth of the events repeated.
//
//go:embed sql/many_events.sql
var manySQL string

// granule is how many rows ClickHouse reads at least; index_granularity.
const granule = 8192

// manyRows is how many rows manySQL makes, repeats included.
const manyRows = 660_000

// readRows asks and returns the answer and how many rows were read for it, as
// the server counts them.
func (w *world) readRows(t *testing.T, query string) (answer string, rows int) {
	t.Helper()
	values := url.Values{"database": {w.database}, "wait_end_of_query": {"1"}}
	res, err := http.Post(w.engine.URL()+"/?"+values.Encode(), "text/plain", strings.NewReader(query))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s, %v: %s", query, res.Status, err, body)
	}
	var summary struct {
		ReadRows string `json:"read_rows"`
	}
	if err := json.Unmarshal([]byte(res.Header.Get("X-ClickHouse-Summary")), &summary); err != nil {
		t.Fatalf("summary %q: %v", res.Header.Get("X-ClickHouse-Summary"), err)
	}
	if rows, err = strconv.Atoi(summary.ReadRows); err != nil {
		t.Fatal(err)
	}
	return strings.TrimSuffix(string(body), "\n"), rows
}

// lookups are the columns that a comment says are looked up, each with a
// condition and how many of some 90 granules it may read: up to four events and
// their repeats a message, two messages a person, and what the bloom filters find
// falsely.
func lookups() map[string]map[string]lookup {
	const some = "12345"
	return map[string]map[string]lookup{
		"events": {
			"id":             {"id = (SELECT id FROM event_log WHERE message_id = '" + some + "' LIMIT 1)", 12},
			"message_id":     {"message_id = '" + some + "'", 12},
			"recipient":      {"recipient = 'person" + some + "@example.com'", 20},
			"recipient_hash": {"recipient_hash = lower(hex(MD5('" + some + "')))", 20},
		},
		"messages": {
			"message_id":     {"message_id = '" + some + "'", 4},
			"recipient_hash": {"recipient_hash = lower(hex(MD5('" + some + "')))", 8},
		},
		"person_messages":   {"recipient_hash": {"recipient_hash = lower(hex(MD5('" + some + "')))", 3}},
		"engagement":        {"recipient_hash": {"recipient_hash = lower(hex(MD5('" + some + "')))", 3}},
		"campaign_messages": {"campaign": {"campaign = 'campaign7'", 2}},
		"messages_by_day": { // an empty provider is that of all: a day is a fifth of the rows
			"first_event":      {"first_event >= '2026-10-02' AND first_event < '2026-10-03' AND toSecond(first_event) = 7", 20},
			"mailbox_provider": {"first_event >= '2026-10-02' AND first_event < '2026-10-03' AND mailbox_provider = '' AND toSecond(first_event) = 7", 20},
		},
	}
}

type lookup struct {
	where    string
	granules int
}

// TestManyRows_AreAnsweredByFew fills the tables once for what only reads them. The guide
// states what some of it reads.
func TestManyRows_AreAnsweredByFew(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.stopMerges(t)
	for _, statement := range strings.Split(manySQL, ";\n") {
		w.sql(t, statement)
	}
	if got := w.sql(t, "SELECT count() FROM event_log"); got != fmt.Sprint(manyRows) {
		t.Fatalf("%s rows, want %d", got, manyRows)
	}
	t.Run("comments promise only indexes that work", w.commentsPromiseOnlyIndexesThatWork)
	t.Run("stories are those of events", w.storiesAreThoseOfEvents) // and merges a table at its end
}

// commentsPromiseOnlyIndexesThatWork asks by every column whose comment says that it is
// looked up, and holds the answer to the one without any index.
func (w *world) commentsPromiseOnlyIndexesThatWork(t *testing.T) {
	promised := strings.Fields(w.sql(t, "SELECT table || '.' || name FROM system.columns WHERE database = currentDatabase() AND lower(comment) LIKE '%looked up%' ORDER BY ALL"))
	for _, name := range promised {
		view, column, _ := strings.Cut(name, ".")
		q, known := lookups()[view][column]
		if !known {
			t.Errorf("the comment of %s promises an index that this test does not know", name)
			continue
		}
		t.Run(name, func(t *testing.T) {
			columns := "*"
			if view == "engagement" { // whose score is of the moment
				columns = "* EXCEPT (score, because)"
			}
			got, read := w.readRows(t, "SELECT "+columns+" FROM "+view+" WHERE "+q.where+" ORDER BY ALL")
			if read > q.granules*granule {
				t.Errorf("read %d rows, want at most %d granules, %d", read, q.granules, q.granules*granule)
			}
			if question := map[string]string{"events.id": "one event with `raw`", "messages.message_id": "one message: outcome"}[name]; question != "" {
				guideStates(t, question, read)
			}
			want := w.sql(t, "SELECT "+columns+" FROM "+view+" WHERE "+q.where+" ORDER BY ALL SETTINGS use_skip_indexes = 0")
			if got != want || got == "" {
				t.Errorf("got\n%s\nwithout indexes\n%s", got, want)
			}
			_, exact := w.readRows(t, "SELECT * FROM "+strings.Replace(view, "events", "event_log FINAL", 1)+" WHERE "+q.where+" SETTINGS do_not_merge_across_partitions_select_final = 1, use_skip_indexes_if_final_exact_mode = 1")
			t.Logf("%d rows read, %d in the exact mode", read, exact)
		})
	}
	n := 0
	for _, columns := range lookups() {
		n += len(columns)
	}
	if len(promised) != n {
		t.Errorf("%d columns promise an index, the test knows %d", len(promised), n)
	}
	for _, index := range strings.Fields(w.sql(t, "SELECT table || '.' || expr FROM system.data_skipping_indices WHERE database = currentDatabase()")) {
		table, column, _ := strings.Cut(index, ".")
		if _, known := lookups()[map[string]string{"event_log": "events", "messages_state": "messages"}[table]][column]; !known {
			t.Errorf("the index %s is promised nowhere", index)
		}
	}
}

// guideStates holds the guide's line of a question to the rows that were read for it.
func guideStates(t *testing.T, question string, read int) {
	t.Helper()
	line := regexp.MustCompile(`(?m)^\| ` + regexp.QuoteMeta(question) + `.*$`).FindString(readGuide(t))
	if stated := "| " + thousands(read) + " |"; !strings.Contains(line, stated) {
		t.Errorf("the guide does not state %q of this: %s", stated, line)
	}
}

// TestEvents_FindsARepeatByAnySpelling shows what the view gives up for its speed:
// versions of one event agree in all indexed columns but the spelling of the
// address, and until they merge each spelling finds the event, once.
func TestEvents_FindsARepeatByAnySpelling(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.sql(t, "SYSTEM STOP MERGES event_log") // which would leave one
	for _, recipient := range []string{"Jane@example.com", "jane@example.com"} {
		e := eventAt(1, schemas.Delivered, base())
		w.sql(t, fmt.Sprintf("INSERT INTO event_log (id, type, time, received_at, source, recipient, recipient_hash) SELECT '%s', 'delivered', '2026-11-20 10:00:00', now(), 'acme', '%s', '%s'", e.ID, recipient, e.RecipientHash))
	}
	w.wantSQL(t, "SELECT count() FROM event_log", "2")
	for _, where := range []string{"1", "recipient = 'jane@example.com'", "lower(recipient) = 'jane@example.com'", "recipient IN ('Jane@example.com', 'jane@example.com')"} {
		if got := w.sql(t, "SELECT count() FROM events WHERE "+where); got != "1" {
			t.Errorf("WHERE %s: %s events, want 1", where, got)
		}
	}
	w.sql(t, "SYSTEM START MERGES event_log")
	w.sql(t, "OPTIMIZE TABLE event_log FINAL")
	if got := w.sql(t, "SELECT groupArray(recipient) FROM events"); got != "['jane@example.com']" {
		t.Errorf("after the merge: %s", got)
	}
}
