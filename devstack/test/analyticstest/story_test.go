package analyticstest

import (
	_ "embed"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mailstream/mailstream/schemas"
)

// storiesAreThoseOfEvents asks for a person, a message and a campaign among 660,000
// rows, reads few of them, and holds the answers to a plain scan of events.
func (w *world) storiesAreThoseOfEvents(t *testing.T) {
	const columns = "id, type, time, source, message_id, recipient"
	for _, tt := range []struct {
		name, query, scan string // the name is that of the guide
		rows              int
	}{
		{"what happened to a person", "SELECT " + columns + " FROM person_messages WHERE recipient_hash = lower(hex(MD5('12345'))) ORDER BY ALL",
			"SELECT " + columns + " FROM event_log FINAL WHERE recipient_hash = lower(hex(MD5('12345'))) ORDER BY ALL SETTINGS use_skip_indexes = 0", 3 * granule},
		{"what happened to a message", "SELECT " + columns + " FROM message_story(message_id = '12345') ORDER BY ALL",
			"SELECT " + columns + " FROM event_log FINAL WHERE message_id = '12345' ORDER BY ALL SETTINGS use_skip_indexes = 0", 12 * granule},
		{"funnel of a campaign", "SELECT count(), countIf(delivered IS NOT NULL), countIf(first_open IS NOT NULL), countIf(first_click IS NOT NULL) FROM campaign_messages WHERE campaign = 'campaign7'",
			"SELECT uniqExact(message_id), uniqExactIf(message_id, type = 'delivered'), uniqExactIf(message_id, type = 'opened'), uniqExactIf(message_id, type = 'clicked') FROM event_log WHERE campaign = 'campaign7'", 3 * 1500 * 4},
	} {
		got, read := w.readRows(t, tt.query)
		want, scanned := w.readRows(t, tt.scan)
		if got != want || got == "" {
			t.Errorf("%s: got\n%s\nby a scan\n%s", tt.name, got, want)
		}
		if read > tt.rows {
			t.Errorf("%s: %d rows read, want at most %d", tt.name, read, tt.rows)
		}
		guideStates(t, tt.name, read)
		t.Logf("%s: %d rows read, %d by a scan", tt.name, read, scanned)
	}
	w.sql(t, "SYSTEM START MERGES campaign_state")
	w.sql(t, "OPTIMIZE TABLE campaign_state FINAL")
	if _, read := w.readRows(t, "SELECT count() FROM campaign_messages WHERE campaign = 'campaign7'"); read > 3*1500 {
		t.Errorf("the funnel of 1,500 merged messages reads %d rows", read)
	}
}

// roleSQL fills event_log with what an address of a role gets in 400 days.
//
//go:embed sql/role_events.sql
var roleSQL string

// TestStories_OfAnAddressOfARole reads few of the 83,000 events of one recipient, whose
// messages a page shows 500 events of, or one message.
func TestStories_OfAnAddressOfARole(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.sql(t, "SYSTEM STOP MERGES person_log") // which would remove repeats that event_log has
	w.sql(t, "SYSTEM STOP MERGES event_log")
	w.sql(t, roleSQL)
	w.sql(t, "INSERT INTO event_log SELECT * REPLACE (received_at + 1 AS received_at) FROM event_log WHERE type = 'bounced' SETTINGS max_partitions_per_insert_block = 1000") // each comes twice
	message := w.sql(t, "SELECT message_id FROM event_log WHERE type = 'bounced' ORDER BY time DESC LIMIT 1 OFFSET 100")
	const columns = "event_id, event_type, at, classifier, blocklist_url"
	const scan = "SELECT id, type, time, any(classifier), any(blocklist_url) FROM event_log WHERE %s GROUP BY id, type, time ORDER BY time DESC, toString(id) LIMIT 500 SETTINGS use_skip_indexes = 0"
	list := func(column string) string {
		return strings.ReplaceAll(w.sql(t, "SELECT groupArray("+column+") FROM ("+fmt.Sprintf(strings.Replace(scan, "SELECT id,", "SELECT id, any(source) AS source,", 1), "1")+")"), "'", `\'`)
	}
	shown := map[string]string{"ids": list("toString(id)"), "sources": list("source"), "types": list("type"), "times": list("toUnixTimestamp64Milli(time)")}
	for _, tt := range []struct {
		name, query, scan string
		rows              int
	}{
		{"how often the events of the page came", "SELECT event_id, seen FROM (" + pageSQL(t, "receipts", shown) + ") ORDER BY ALL",
			"SELECT toString(id), seen FROM (" + fmt.Sprintf(strings.Replace(scan, "SELECT id,", "SELECT id, uniqExact(received_at) AS seen,", 1), "1") + ") ORDER BY ALL", 5_000},
		{"the page of the person", "SELECT " + columns + " FROM (" + pageSQL(t, "person_events", map[string]string{"hash": "role"}) + ")", fmt.Sprintf(scan, "1"), 40_000},
		{"the page of a message", "SELECT " + columns + " FROM (" + pageSQL(t, "message_events", map[string]string{"message": message}) + ")", fmt.Sprintf(scan, "message_id = '"+message+"'"), 12 * granule},
		{"a message", "SELECT id, time FROM message_story(message_id = '" + message + "') ORDER BY ALL", "SELECT id, time FROM event_log FINAL WHERE message_id = '" + message + "' ORDER BY ALL SETTINGS use_skip_indexes = 0", 8 * granule},
	} {
		got, read := w.readRows(t, tt.query)
		want, scanned := w.readRows(t, tt.scan)
		if got != want || got == "" {
			t.Errorf("%s: got\n%s\nby a scan\n%s", tt.name, got, want)
		}
		if read > tt.rows {
			t.Errorf("%s: %d rows read, want at most %d", tt.name, read, tt.rows)
		}
		t.Logf("%s: %d rows read, %d by a scan", tt.name, read, scanned)
	}
}

// TestMessages_SayHowTheyEnded follows messages whose events come late, twice and in
// any order.
func TestMessages_SayHowTheyEnded(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.analytics(t)
	yes := true
	deliveredThenBounced := []schemas.Event{
		eventAt(1, schemas.Delivered, base()), eventAt(1, schemas.Bounced, base().Add(time.Hour)), eventAt(1, schemas.Opened, base().Add(2*time.Hour)),
	}
	opened := []schemas.Event{
		eventAt(2, schemas.Delivered, base()), eventAt(2, schemas.Opened, base().Add(time.Minute)),
		eventAt(2, schemas.Opened, base().Add(2*time.Minute)), eventAt(2, schemas.Clicked, base().Add(3*time.Minute)),
	}
	opened[1].Machine = &yes
	opened[2].Tags, opened[2].Metadata, opened[2].Subject, opened[2].SendingIP = []string{"b", "a"}, map[string]string{"order": "7"}, "Hello", "192.0.2.1"
	pending := []schemas.Event{eventAt(3, schemas.Processed, base())}
	all := append(append(deliveredThenBounced, opened...), pending...)
	w.publish(t, all...)
	shuffle(all, 7)
	w.publish(t, all...)
	w.wantSQL(t, "SELECT sum(rows) FROM hour_rows", fmt.Sprint(2*len(all)))
	w.wantSQL(t, "SELECT outcome, outcome_at, opens, opens_by_person, clicks, clicks_by_person, tags, metadata, subject, sending_ip FROM messages ORDER BY message_id",
		"bounced\t2026-11-20 11:00:00.000\t1\t1\t0\t0\t[]\t{}\t\t\n"+
			"delivered\t2026-11-20 10:00:00.000\t2\t1\t1\t1\t['a','b']\t{'order':'7'}\tHello\t192.0.2.1\n"+
			"\t\\N\t0\t0\t0\t0\t[]\t{}\t\t")
}

// TestRates_HaveTheDaysOfEveryZone asks for days that begin and end at quarters of an hour
// in UTC, some of them longer or shorter by half an hour or an hour.
func TestRates_HaveTheDaysOfEveryZone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.analytics(t)
	zones := map[string][]string{ // days, with those on which the clock changes
		"Asia/Kolkata": {"2026-11-20"}, "Asia/Kathmandu": {"2026-11-20"}, "Pacific/Chatham": {"2026-04-05", "2026-09-27"},
		"America/St_Johns": {"2026-03-08", "2026-11-01"}, "Australia/Lord_Howe": {"2026-04-05", "2026-10-04"}, "UTC": {"2026-11-20"},
	}
	var events []schemas.Event
	for zone, days := range zones {
		for _, day := range days {
			midnight, err := time.ParseInLocation(time.DateOnly, day, location(t, zone))
			if err != nil {
				t.Fatal(err)
			}
			for _, at := range []time.Time{midnight, midnight.AddDate(0, 0, 1)} {
				events = append(events, eventAt(len(events), schemas.Delivered, at.Add(-time.Millisecond)), eventAt(len(events)+1, schemas.Delivered, at))
			}
		}
	}
	w.publish(t, events...)
	for zone := range zones {
		days := map[string]int{}
		for _, e := range events {
			days[e.Time.In(location(t, zone)).Format(time.DateOnly)]++
		}
		var want []string
		for _, day := range slices.Sorted(maps.Keys(days)) {
			want = append(want, fmt.Sprintf("%s\t%d", day, days[day]))
		}
		w.wantSQL(t, "SELECT toDate(quarter, '"+zone+"') AS day, sum(events) FROM rates_15m WHERE campaign = 'spring' GROUP BY day ORDER BY day", strings.Join(want, "\n"))
	}
}

func location(t *testing.T, zone string) *time.Location {
	t.Helper()
	at, err := time.LoadLocation(zone)
	if err != nil {
		t.Fatal(err)
	}
	return at
}
