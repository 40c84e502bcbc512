package analyticstest

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mailstream/mailstream/schemas"
)

// again is e as the ingress took it after another time.
func again(e schemas.Event, after time.Duration) schemas.Event {
	e.ReceivedAt = e.ReceivedAt.Add(after)
	return e
}

// story is what pages say of events: how often each was received, and how long after it
// happened for the first time.
func story(t *testing.T, url string) string {
	t.Helper()
	var page struct {
		Events []struct {
			Type          string
			Seen          int
			ReceivedAfter float64 `json:"received_after_seconds"`
		}
	}
	pageJSON(t, url, &page)
	var lines []string
	for _, e := range page.Events {
		lines = append(lines, fmt.Sprint(e.Type, " ", e.Seen, " ", e.ReceivedAfter))
	}
	slices.Sort(lines)
	return strings.Join(lines, ", ")
}

// arrivals is what the page of a source says of its events.
func arrivals(t *testing.T, url string) string {
	t.Helper()
	var page struct {
		Repeats  int
		Arrivals []struct {
			Type             string
			Events, Receipts int
			Late             float64 `json:"late_p99_seconds"`
		}
	}
	pageJSON(t, url, &page)
	var lines []string
	for _, a := range page.Arrivals {
		lines = append(lines, fmt.Sprintf("%s %d/%d %.3f", a.Type, a.Events, a.Receipts, a.Late))
	}
	slices.Sort(lines)
	return fmt.Sprint(strings.Join(lines, ", "), ", repeats ", page.Repeats)
}

// TestReceipts_OutliveMerges counts how often each event came and when first: on the page
// of its person, its message and its source, before merges and when they have left one row
// of each event. What came again from Kafka alone, or was judged, is no receipt.
func TestReceipts_OutliveMerges(t *testing.T) {
	t.Parallel()
	w := newWorld(t, `analytics: {listen: "127.0.0.1:0", flush_interval: 20ms, judge_interval: 1s}`)
	w.analytics(t)
	at := time.Now().UTC().Truncate(time.Hour).Add(-3 * time.Hour)
	delivered, opened, clicked := eventAt(1, schemas.Delivered, at), eventAt(1, schemas.Opened, at.Add(time.Second)), eventAt(1, schemas.Clicked, at.Add(time.Hour))
	nobody := eventAt(2, schemas.Bounced, at)
	nobody.Recipient, nobody.RecipientHash, nobody.RecipientDomain = "", "", ""
	w.publish(t, again(delivered, 2*time.Hour), again(nobody, time.Minute), clicked) // a repeat may come first
	w.publish(t, delivered, opened, nobody, again(delivered, time.Millisecond))
	w.publish(t, opened, opened, clicked) // from Kafka alone
	w.wantSQL(t, "SELECT sum(rows), (SELECT count() FROM person_messages WHERE machine_reason != ''), (SELECT count() FROM receipt_log FINAL) FROM hour_rows", "11\t1\t7")
	w.stored(t)
	wants := func() {
		t.Helper()
		console := w.console(t) // which keeps no answer of before
		const ofPerson = "clicked 1 1, delivered 3 1, opened 1 1"
		for path, want := range map[string]string{
			"/people/" + delivered.RecipientHash:                        ofPerson,
			"/messages/" + delivered.Source + "/" + delivered.MessageID: ofPerson,
			"/messages/" + nobody.Source + "/" + nobody.MessageID:       "bounced 2 1",
		} {
			if got := story(t, console+path); got != want {
				t.Errorf("%s: %s, want %s", path, got, want)
			}
		}
		const ofSource = "bounced 1/2 1.000, clicked 1/1 1.000, delivered 1/3 1.000, opened 1/1 1.000, repeats 3"
		if got := arrivals(t, console+"/sources/"+delivered.Source); got != ofSource {
			t.Errorf("the source: %s, want %s", got, ofSource)
		}
	}
	wants()
	for _, table := range []string{"event_log", "person_log", "receipt_log"} {
		w.sql(t, "OPTIMIZE TABLE "+table+" FINAL")
	}
	w.wantSQL(t, "SELECT count(), (SELECT count() FROM receipt_log) FROM event_log", "4\t7")
	wants()
}

// TestReceipts_AreOfWhatWasStoredBefore fills the table from the events that are there.
func TestReceipts_AreOfWhatWasStoredBefore(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.analytics(t)
	var events []schemas.Event
	for n := range 50 {
		e := eventAt(n, schemas.Delivered, base().Add(time.Duration(n)*time.Hour))
		events = append(events, e, again(e, time.Hour))
	}
	w.sql(t, "SYSTEM STOP MERGES event_log")
	w.publish(t, events...)
	w.wantSQL(t, "SELECT count() FROM receipt_log FINAL", fmt.Sprint(len(events)))
	const all = "SELECT * FROM receipt_log FINAL ORDER BY ALL"
	before := w.sql(t, all)
	w.sql(t, "TRUNCATE TABLE receipt_log")
	w.sql(t, backfill.FindString(comment.ReplaceAllString(readFile(t, filepath.Join(sqlDir, "schema", "0030_receipt_log.sql")), "")))
	if after := w.sql(t, all); after != before || before == "" {
		t.Errorf("filled\n%s\nwas\n%s", after, before)
	}
}
