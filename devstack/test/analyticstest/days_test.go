package analyticstest

import (
	"fmt"
	"net/http"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	_ "embed"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/replay"
	"github.com/mailstream/mailstream/services/servicetest"
	"github.com/mailstream/mailstream/services/subject"
)

// daysSQL fills event_log with messages of many days, of which some have late events.
//
//go:embed sql/days_messages.sql
var daysSQL string

// byDay are the columns of messages_by_day, all of which messages has, too.
const byDay = `source, provider, mailbox_provider, recipient_domain, campaign, sending_ip, first_event, last_event, processed, deferred,
	delivered, bounced, blocked, failed, first_open, first_open_by_person, first_click, first_click_by_person, complained, unsubscribed,
	outcome, outcome_at, weights`

// gather does what analytics does every judge_interval, in slices.
func (w *world) gather(t *testing.T) {
	t.Helper()
	for step := range gatherSteps {
		w.gatherStep(t, 0, step)
	}
}

const gatherSlices = 2

// gatherSteps is how many statements a look has before it is noted.
const gatherSteps = 2 * gatherSlices

// gatherStep runs a statement of a look at what was stored after since, in Unix seconds.
func (w *world) gatherStep(t *testing.T, since, step int) {
	t.Helper()
	text := readSQL(t, []string{"gather_home.sql", "gather_late.sql"}[step%2])
	for parameter, value := range map[string]string{
		"{since:DateTime('UTC')}": fmt.Sprintf("toDateTime(%d, 'UTC')", since), "{slices:UInt64}": fmt.Sprint(gatherSlices), "{slice:UInt64}": fmt.Sprint(step / 2),
	} {
		text = strings.ReplaceAll(text, parameter, value)
	}
	w.sql(t, text)
}

var comment = regexp.MustCompile(`(?m)^--.*\n`)

func readSQL(t *testing.T, name string) string {
	t.Helper()
	text := readFile(t, filepath.Join(sqlDir, "query", name))
	return comment.ReplaceAllString(text, "")
}

// sameByDay holds messages_by_day to messages. It waits, for analytics may write to both
// between the two questions; where it does not run, nothing changes any more.
func (w *world) sameByDay(t testing.TB, when string) {
	t.Helper()
	var got, want string
	servicetest.EventuallyOr(t, func() bool {
		want = w.sql(t, "SELECT "+byDay+" FROM messages ORDER BY ALL")
		got = w.sql(t, "SELECT "+byDay+" FROM messages_by_day ORDER BY ALL")
		return got == want && got != ""
	}, func() string { return fmt.Sprintf("%s: messages_by_day has\n%s\nmessages has\n%s", when, got, want) })
}

// TestMessagesByDay_ReadsTheDaysThatAreAskedFor counts the rows that are read of a day, of
// a day and a mailbox provider and of ten days, and holds the answers to the events.
func TestMessagesByDay_ReadsTheDaysThatAreAskedFor(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.sql(t, daysSQL)
	w.gather(t)
	const scan = `SELECT count(), countIf(opened), countIf(delivered) FROM
		(SELECT min(time) AS first, max(mailbox_provider) AS at, countIf(type = 'opened') > 0 AS opened, countIf(type = 'delivered') > 0 AS delivered FROM event_log GROUP BY message_id, source, recipient_hash)
		WHERE first >= '%s' AND first < '%s' AND at LIKE '%s'`
	for _, tt := range []struct {
		name, from, to, at string
		rows               int
	}{
		{"a day", "2026-09-20 00:00:00", "2026-09-21 00:00:00", "%", 16_000},
		{"a day and a mailbox provider", "2026-09-20 00:00:00", "2026-09-21 00:00:00", "yahoo", 12_000},
		{"an hour", "2026-09-20 10:00:00", "2026-09-20 11:00:00", "%", 16_000},
		{"the last day of an open range", "2026-10-20 00:00:00", "2027-10-21 00:00:00", "google", 12_000},
		{"ten days", "2026-09-01 00:00:00", "2026-09-11 00:00:00", "%", 75_000},
	} {
		where := fmt.Sprintf(" FROM %%s WHERE first_event >= '%s' AND first_event < '%s'", tt.from, tt.to)
		if tt.at != "%" {
			where += " AND mailbox_provider = '" + tt.at + "'"
		}
		const counts = "SELECT count(), countIf(first_open IS NOT NULL), countIf(delivered IS NOT NULL)"
		got, read := w.readRows(t, counts+fmt.Sprintf(where, "messages_by_day"))
		same, before := w.readRows(t, counts+fmt.Sprintf(where, "messages"))
		want := w.sql(t, fmt.Sprintf(scan, tt.from, tt.to, tt.at))
		if got != want || same != want || strings.HasPrefix(got, "0\t") {
			t.Errorf("%s: %q, messages has %q, events have %q", tt.name, got, same, want)
		}
		if read > tt.rows {
			t.Errorf("%s: %d rows read, want at most %d", tt.name, read, tt.rows)
		}
		t.Logf("%s: %s: %d rows read, %d of messages", tt.name, got, read, before)
	}
	w.sql(t, "OPTIMIZE TABLE day_state FINAL")
	_, read := w.readRows(t, "SELECT count() FROM messages_by_day WHERE first_event >= '2026-09-20' AND first_event < '2026-09-21' AND mailbox_provider = 'yahoo'")
	if t.Logf("merged: %d rows read of a day and a mailbox provider", read); read > 4_000 {
		t.Errorf("of some 400 merged messages %d rows are read", read)
	}
}

// TestMessagesByDay_IsMessagesWhateverTheOrder follows messages whose events are on several
// days and come in any order, twice, with another mailbox provider, and are corrected.
func TestMessagesByDay_IsMessagesWhateverTheOrder(t *testing.T) {
	t.Parallel()
	w := newWorld(t, `analytics: {listen: "127.0.0.1:0", flush_interval: 20ms, judge_interval: 1s}`)
	w.analytics(t)
	var events []schemas.Event
	for n := range 60 {
		at := base().Add(time.Duration(n) * time.Minute)
		events = append(events, eventAt(n, schemas.Processed, at), eventAt(n, schemas.Delivered, at.Add(14*time.Hour)), // after midnight
			eventAt(n, schemas.Opened, at.AddDate(0, 0, n%4)), eventAt(n, schemas.Clicked, at.AddDate(0, 4, n%3)))
		if n%7 == 0 {
			events[len(events)-1].MailboxProvider = "microsoft"
		}
		if n%5 == 0 {
			events = append(events, eventAt(n, schemas.Bounced, at.AddDate(0, 0, 2)))
		}
	}
	shuffle(events, 3)
	same := func(when string) {
		t.Helper()
		w.stored(t) // or what is compared grows meanwhile
		w.wantSQL(t, "SELECT ("+hashSQL("messages_by_day", byDay)+") = ("+hashSQL("messages", byDay)+"), (SELECT count() FROM messages)", "1\t60")
		w.sameByDay(t, when)
	}
	for i := 0; i < len(events); i += 90 { // each in a look of its own
		w.publish(t, events[i:min(i+90, len(events))]...)
		if i == 0 {
			w.wantSQL(t, "SELECT count() > 0 FROM day_gathers", "1")
		}
	}
	same("in any order")
	w.publish(t, events[:150]...)
	w.wantSQL(t, "SELECT sum(rows) FROM hour_rows", fmt.Sprint(len(events)+150))
	same("repeated")
	w.sql(t, "OPTIMIZE TABLE day_state FINAL")
	same("merged")
	early := eventAt(3, schemas.Deferred, base().AddDate(0, 0, -5)) // the first is the last to come
	w.publish(t, early)
	w.wantSQL(t, "SELECT count() FROM messages_by_day WHERE first_event < '2026-11-16'", "1")
	same("an earlier event")
	if late := w.sql(t, "SELECT count() > 100 FROM day_state FINAL WHERE late"); late != "1" {
		t.Error("few rows are late: the test proves nothing")
	}
}

// TestMessagesByDay_FollowsACorrection replays messages: what was counted anew is so by
// day, too.
func TestMessagesByDay_FollowsACorrection(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.analytics(t)
	h := w.history(t)
	var events []schemas.Event
	for n := range 6 {
		was, _ := asOld(t, h, n)
		open := was
		open.ID, open.Type, open.Time, open.ProviderEvent = eventAt(n, schemas.Opened, was.Time).ID, schemas.Opened, was.Time.AddDate(0, 0, 3), "open"
		events = append(events, was, open)
	}
	w.publish(t, events...)
	w.wantSQL(t, "SELECT sum(rows) FROM hour_rows", "12")
	w.gather(t)
	w.wantSQL(t, "SELECT count(), countIf(first_open IS NOT NULL) FROM messages_by_day WHERE first_event < '2026-03-06'", w.sql(t, "SELECT uniqExact(message_id, recipient_hash), uniqExact(message_id, recipient_hash) FROM events"))
	request := stretch
	request.ChangedOnly = true
	w.settled(t, h, request)
	r, err := h.Replay(t.Context(), request)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Run(t.Context(), replay.Progress{Operation: "op", Request: request}, w.replayOptions(h, filepath.Join(t.TempDir(), "replay.json"))); err != nil {
		t.Fatal(err)
	}
	w.wantSQL(t, "SELECT countIf(type = 'blocked'), countIf(type = 'bounced') FROM events", "0\t6")
	servicetest.Eventually(t, "the same by day", func() bool {
		w.gather(t)
		return w.sql(t, "SELECT count(), countIf(outcome = 'bounced'), countIf(blocked IS NOT NULL), countIf(first_open IS NOT NULL) FROM messages_by_day") == "6\t6\t0\t6"
	})
	w.sameByDay(t, "after a replay")
}

// insertBytesMax is what an insert of a whole batch may take: seven eighths of what a query
// may on the embedded engine. It takes some 690 MiB, on however many days its events are.
const insertBytesMax = 896 << 20

// TestInsert_OfAWholeBatchFitsIntoAQuery has as many rows as batch_rows_max, of fifty days,
// in one block: each view makes one of it, too, and holds it to the end.
func TestInsert_OfAWholeBatchFitsIntoAQuery(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	rows := w.cfg.Analytics.BatchRowsMax
	body := w.sql(t, fmt.Sprintf(`SELECT generateUUIDv4() AS id, ['processed', 'delivered', 'opened', 'delivered'][number %% 4 + 1] AS type,
		toDateTime64('2026-09-01 00:00:00', 3, 'UTC') + toIntervalSecond(intDiv(number * 86400 * 50, %[1]d)) AS time, now64(3) AS received_at, 'mailjet' AS provider, 'acme' AS source,
		lower(hex(MD5(concat('m', toString(number))))) AS message_id, concat('person', toString(number), '@example.com') AS recipient, 'example.com' AS recipient_domain, lower(hex(MD5(toString(number)))) AS recipient_hash,
		['google', 'microsoft', 'yahoo', 'apple', 'other'][number %% 5 + 1] AS mailbox_provider, concat('campaign', toString(number %% 100)) AS campaign, repeat('x', 400) AS raw
		FROM numbers(%[1]d) SETTINGS max_block_size = %[1]d FORMAT Native`, rows))
	status := w.insertNative(t, fmt.Sprintf(`INSERT INTO event_log (id, type, time, received_at, provider, source, message_id, recipient, recipient_domain, recipient_hash, mailbox_provider, campaign, raw)
		SETTINGS max_memory_usage = %d FORMAT Native`, insertBytesMax), []byte(body))
	if status != http.StatusOK {
		t.Fatalf("an insert of %d rows: %d", rows, status)
	}
	w.wantSQL(t, "SELECT count(), uniqExact(toDate(time)) FROM event_log", fmt.Sprintf("%d\t50", rows))
}

// TestMessagesByDay_StaysWhenAPersonIsForgotten: it leads to nobody, so counts stay.
func TestMessagesByDay_StaysWhenAPersonIsForgotten(t *testing.T) {
	t.Parallel()
	w, hash := forgetWorld(t)
	w.analytics(t)
	w.settle(t, hash, 6)
	w.gather(t)
	before := w.sql(t, "SELECT "+byDay+" FROM messages_by_day ORDER BY ALL")
	w.forget(t, subject.Forget{Addresses: []string{resident(1), resident(2)}, Reason: "asked"})
	w.gather(t)
	if after := w.sql(t, "SELECT "+byDay+" FROM messages_by_day ORDER BY ALL"); after != before || before == "" {
		t.Errorf("was\n%s\nis\n%s", before, after)
	}
}
