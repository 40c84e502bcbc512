package analyticstest

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/mailstream/mailstream/schemas"
)

// again is e as the ingress took it after another time.
func again(e schemas.Event, after time.Duration) schemas.Event {
	e.ReceivedAt = e.ReceivedAt.Add(after)
	return e
}

// TestReceipts_OutliveMerges counts how often each event came and when first: on the page
// of its person and of its message, before merges and when they have left one row of each
// event. What came again from Kafka alone, or was judged, is no receipt.
func TestReceipts_OutliveMerges(t *testing.T) {
	t.Parallel()
	w := newWorld(t, `analytics: {listen: "127.0.0.1:0", flush_interval: 20ms, judge_interval: 1s}`)
	w.analytics(t)
	delivered, opened, clicked := eventAt(1, schemas.Delivered, base()), eventAt(1, schemas.Opened, base().Add(time.Second)), eventAt(1, schemas.Clicked, base().Add(time.Hour))
	nobody := eventAt(2, schemas.Bounced, base())
	nobody.Recipient, nobody.RecipientHash, nobody.RecipientDomain = "", "", ""
	w.publish(t, again(delivered, 2*time.Hour), again(nobody, time.Minute), clicked) // a repeat may come first
	w.publish(t, delivered, opened, nobody, again(delivered, time.Millisecond))
	w.publish(t, opened, opened, clicked) // from Kafka alone
	w.wantSQL(t, "SELECT sum(rows), (SELECT count() FROM events WHERE machine_reason != '') FROM hour_rows", "11\t1")
	const columns = "SELECT event_type, seen, dateDiff('millisecond', at, received) FROM ("
	ofPerson := columns + pageSQL(t, "person_events", map[string]string{"hash": delivered.RecipientHash}) + ") ORDER BY ALL"
	ofMessage := columns + pageSQL(t, "message_events", map[string]string{"message": delivered.MessageID}) + ") ORDER BY ALL"
	ofNobody := columns + pageSQL(t, "message_events", map[string]string{"message": nobody.MessageID}) + ") ORDER BY ALL"
	wants := func() {
		t.Helper()
		const story = "clicked\t1\t1000\ndelivered\t3\t1000\nopened\t1\t1000"
		w.wantSQL(t, ofPerson, story)
		w.wantSQL(t, ofMessage, story)
		w.wantSQL(t, ofNobody, "bounced\t2\t1000")
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
	w.wantSQL(t, "SELECT sum(rows) FROM hour_rows", fmt.Sprint(len(events)))
	const all = "SELECT * FROM receipt_log FINAL ORDER BY ALL"
	before := w.sql(t, all)
	w.sql(t, "TRUNCATE TABLE receipt_log")
	w.sql(t, backfill.FindString(comment.ReplaceAllString(readFile(t, filepath.Join(sqlDir, "schema", "0030_receipt_log.sql")), "")))
	if after := w.sql(t, all); after != before || before == "" {
		t.Errorf("filled\n%s\nwas\n%s", after, before)
	}
}
