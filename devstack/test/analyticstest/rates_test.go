package analyticstest

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/servicetest"
)

const (
	perHourFromEvents = `SELECT groupArray((h, source, type, n)) FROM (
		SELECT toStartOfHour(time) AS h, source, type, count() AS n FROM events GROUP BY h, source, type ORDER BY h, source, type)`
	perHourFromRates = `SELECT groupArray((h, source, type, n)) FROM (
		SELECT hour AS h, source, type, sum(events) AS n FROM rates_1h GROUP BY h, source, type ORDER BY h, source, type)`
	perHourFromMinutes = `SELECT groupArray((h, source, type, n)) FROM (
		SELECT toStartOfHour(minute) AS h, source, type, sum(events) AS n FROM rates_1m GROUP BY h, source, type ORDER BY h, source, type)`
)

// agree checks that the rates are the counts of events.
func (w *world) agree(t testing.TB, when string) {
	t.Helper()
	// Filled a moment after event_log. A repeat that is merged is counted there still.
	w.wantSQL(t, "SELECT toUInt8((SELECT sum(rows) FROM hour_rows) >= (SELECT count() FROM event_log))", "1")
	want := w.sql(t, perHourFromEvents)
	for name, query := range map[string]string{
		"rates_1h": perHourFromRates, "rates_1m": perHourFromMinutes,
		"rates_1h_by of all": strings.Replace(perHourFromRates, "rates_1h", "rates_1h_by(dimension = 'all')", 1),
	} {
		if got := w.sql(t, query); got != want {
			t.Errorf("%s: %s has\n%s\nevents has\n%s", when, name, got, want)
		}
	}
	for _, dimension := range []string{"campaign", "sending_ip", "sending_domain"} {
		const columns = "h, value, provider, source, type, mailbox_provider, cause, is_machine, n"
		got := w.sql(t, "SELECT groupArray(("+columns+")) FROM (SELECT hour AS h, value, provider, source, type, mailbox_provider, cause, machine AS is_machine, sum(events) AS n FROM rates_1h_by(dimension = '"+dimension+"') GROUP BY ALL ORDER BY ALL)")
		want := w.sql(t, "SELECT groupArray(("+columns+")) FROM (SELECT toStartOfHour(toDateTime(time, 'UTC')) AS h, toString("+dimension+") AS value, provider, source, type, mailbox_provider, cause, ifNull(machine, false) AS is_machine, count() AS n FROM events GROUP BY ALL ORDER BY ALL)")
		if got != want {
			t.Errorf("%s: rates_1h_by of %s has\n%s\nevents has\n%s", when, dimension, got, want)
		}
	}
}

func TestRates_AreExactBeforeAndAfterSealing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, `analytics: {listen: "127.0.0.1:0", flush_interval: 20ms, seal_interval: 1s, seal_rest: 2s}`)
	w.analytics(t)
	var events []schemas.Event
	for n := range 300 {
		at := base().Add(time.Duration(n) * time.Minute) // five hours
		events = append(events, eventAt(n, schemas.Delivered, at), eventAt(n, schemas.Blocked, at))
	}
	old := eventAt(999, schemas.Opened, time.Date(2015, 6, 3, 12, 4, 9, 0, time.UTC))
	old.ReceivedAt = time.Now()
	events = append(events, old)
	w.publish(t, events...)
	w.wantSQL(t, "SELECT count() FROM events", "601")
	w.agree(t, "before sealing")
	w.wantSQL(t, "SELECT count() FROM sealed_hours", "6")
	w.sql(t, "OPTIMIZE TABLE rates_1h_sealed FINAL")
	w.agree(t, "after sealing")
	w.sql(t, "INSERT INTO hour_seals SELECT hour, seal, rows, 0 FROM hour_seals FINAL") // as an older version sealed them
	w.sql(t, "TRUNCATE TABLE rates_1h_by_sealed")
	w.agree(t, "sealed without campaigns and senders")
	if _, err := w.ask("SELECT count() FROM rates_1h_by(dimension = 'domain')"); err == nil || !strings.Contains(err.Error(), "dimension is campaign, sending_ip, sending_domain or all") {
		t.Errorf("a dimension that is none: %v", err)
	}

	// A repeat with another receipt and another verdict, as after a new classifier,
	// and a late event of an hour that is sealed.
	again := events[0]
	again.ReceivedAt, again.Cause, again.Reason = again.ReceivedAt.Add(time.Hour), schemas.CauseSender, schemas.Reputation
	w.publish(t, again, eventAt(1000, schemas.Delivered, base().Add(90*time.Minute)))
	w.wantSQL(t, "SELECT count(), countIf(cause = 'sender') FROM events", "602\t1")
	w.wantSQL(t, "SELECT sum(rows) FROM hour_rows", "603") // filled a moment after event_log
	w.agree(t, "after a repeat and a late event")
	w.wantSQL(t, "SELECT sum(rows) FROM (SELECT hour, rows FROM hour_seals FINAL)", "603")
	w.wantSQL(t, "SELECT count() FROM sealed_hours", "6")
	w.agree(t, "after sealing again")
	if got := w.sql(t, "SELECT sum(events) FROM rates_1h_sealed FINAL"); got == "602" {
		t.Error("sealing again left no old seal behind: the test proves nothing")
	}
}

func TestRates_AreNeverTornWhileHoursAreSealed(t *testing.T) {
	t.Parallel()
	w := newWorld(t, `analytics: {listen: "127.0.0.1:0", flush_interval: 20ms, seal_interval: 1s, seal_rest: 2s}`)
	w.analytics(t)
	w.analytics(t) // both seal, as replicas do
	var events []schemas.Event
	for n := range 480 {
		events = append(events, eventAt(n, schemas.Delivered, base().Add(-time.Duration(n+1)*6*time.Minute))) // 48 hours
	}
	w.publish(t, events...)
	w.wantSQL(t, "SELECT count() FROM events", "480")
	w.wantSQL(t, "SELECT sum(rows) FROM hour_rows", "480") // filled a moment after event_log
	var done atomic.Bool
	var readers sync.WaitGroup
	for range 4 { // who ask all the time: each look is a chance to see half of a seal
		readers.Go(func() {
			for !done.Load() {
				if got, err := w.ask("SELECT sum(events) FROM rates_1h"); err != nil || got != "480" {
					t.Errorf("rates_1h has %s events, %v", got, err)
					return
				}
			}
		})
	}
	servicetest.Eventually(t, "all hours sealed", func() bool { return t.Failed() || w.sql(t, "SELECT count() FROM sealed_hours") == "48" })
	done.Store(true)
	readers.Wait()
	w.agree(t, "after sealing")
}

func TestMessages_AreEqualInWhateverOrderEventsCome(t *testing.T) {
	t.Parallel()
	const all = "SELECT * FROM messages ORDER BY message_id FORMAT TSV"
	var events []schemas.Event
	yes := true
	for n := range 60 {
		at := base().Add(time.Duration(n) * time.Second)
		open := eventAt(n, schemas.Opened, at.Add(time.Minute))
		byMachine := eventAt(n, schemas.Opened, at.Add(10*time.Second))
		byMachine.Machine = &yes
		events = append(events, eventAt(n, schemas.Processed, at), eventAt(n, schemas.Delivered, at.Add(time.Second)), open, byMachine,
			eventAt(n, schemas.Opened, at.Add(2*time.Minute)), eventAt(n, schemas.Clicked, at.Add(3*time.Minute)))
	}
	var answers []string
	for seed := range uint64(2) {
		w := newWorld(t)
		w.analytics(t)
		list := append(append([]schemas.Event{}, events...), events[:100]...)
		shuffle(list, seed)
		for len(list) > 0 { // several batches, so several parts
			n := min(len(list), 97)
			w.publish(t, list[:n]...)
			list = list[n:]
		}
		w.wantSQL(t, "SELECT sum(rows), (SELECT count() FROM messages) FROM hour_rows", "460\t60")
		w.stored(t)
		answers = append(answers, w.sql(t, all))
		w.sql(t, "OPTIMIZE TABLE messages_state FINAL")
		answers = append(answers, w.sql(t, all))
	}
	for i, answer := range answers {
		if answer != answers[0] {
			t.Errorf("answer %d differs from the first:\n%.300s\n%.300s", i, answer, answers[0])
		}
	}
	w := newWorld(t)
	w.analytics(t)
	w.publish(t, events[:6]...)
	// Seconds from processed to delivered, first open, first open by a person, first click.
	w.wantSQL(t, `SELECT delivered - processed, first_open - processed, first_open_by_person - processed, first_click - processed FROM messages`, "1\t10\t60\t180")
}

// Not beside others: hundreds of parts are as many files to sync, and an insert
// that waits for a disk for 10 s is taken back and sent again.
func TestEvents_OfAnyTimeAreKept(t *testing.T) {
	w := newWorld(t)
	w.analytics(t)
	var events []schemas.Event
	for n := range 420 { // more days than a server takes in one insert by default
		events = append(events, eventAt(n, schemas.Opened, base().AddDate(0, 0, -n)))
	}
	for i, at := range []time.Time{
		time.Unix(0, 0).UTC(), time.Date(1999, 12, 31, 23, 59, 59, 0, time.UTC), time.Date(2015, 6, 3, 12, 4, 9, 0, time.UTC),
		time.Date(2099, 12, 31, 0, 0, 0, 0, time.UTC), time.Date(2106, 2, 7, 0, 0, 0, 0, time.UTC),
	} {
		events = append(events, eventAt(1000+i, schemas.Opened, at))
	}
	now := time.Now().UTC()
	for i := range events {
		events[i].ReceivedAt = now // a back-fill: kept from now on, whatever its age
	}
	w.publish(t, events...)
	w.wantSQL(t, "SELECT count() FROM events", "425")
	w.sql(t, "OPTIMIZE TABLE event_log FINAL") // would drop what is past its retention
	w.wantSQL(t, "SELECT count() FROM events", "425")
	w.agree(t, "after a back-fill")
	if got := w.sql(t, "SELECT count() FROM dead_letters"); got != "0" {
		t.Errorf("%s dead letters", got)
	}
	if got := w.sql(t, "SELECT uniqExact(partition) FROM system.parts WHERE active AND database = currentDatabase() AND table = 'event_log'"); got != "423" {
		t.Errorf("%s partitions, want 422 days and the one of strange times", got)
	}
}

func TestEvents_MessageIDIsExact(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.analytics(t)
	e := eventAt(1, schemas.Delivered, base())
	e.MessageID, e.Raw = "92233720368547758079", []byte(`{"MessageID":92233720368547758079, "x": "\u00e9"}`)
	w.publish(t, e)
	w.wantSQL(t, "SELECT message_id, raw FROM events FORMAT TSVRaw", fmt.Sprintf("%s\t%s", e.MessageID, e.Raw))
}

// TestRates_ReadOnlyTheOpenHours has a day of which all hours but the last are sealed, and
// counts the rows that are read of it: the sealed counts and the open hours, not the day.
func TestRates_ReadOnlyTheOpenHours(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const hours, each = 24, 20_000
	insert := func(from, to string, times int) {
		w.sql(t, fmt.Sprintf(`INSERT INTO event_log (id, type, time, received_at, source)
			SELECT generateUUIDv4(), ['delivered', 'opened'][number %% 2 + 1], toDateTime64('%s', 3, 'UTC') + toIntervalMillisecond(intDiv(number * dateDiff('millisecond', toDateTime64('%s', 3, 'UTC'), toDateTime64('%s', 3, 'UTC')), %d)), now64(3), ['acme', 'zeta'][intDiv(number, 2) %% 2 + 1]
			FROM numbers(%d)`, from, from, to, times, times))
	}
	insert("2026-10-01 00:00:00", "2026-10-02 00:00:00", hours*each)
	for hour := range hours - 1 { // a seal of its own, as analytics writes it
		w.sql(t, fmt.Sprintf(`INSERT INTO rates_1h_sealed SELECT hour, %d, provider, source, type, recipient_domain, mailbox_provider, cause, machine, events FROM rates_1h WHERE hour = toDateTime('2026-10-01 %02d:00:00', 'UTC')`, hour+1, hour))
		w.sql(t, fmt.Sprintf(`INSERT INTO hour_seals (hour, seal, rows) SELECT hour, %d, sum(rows) FROM hour_rows WHERE hour = toDateTime('2026-10-01 %02d:00:00', 'UTC') GROUP BY hour`, hour+1, hour))
	}
	w.agree(t, "with one open hour")
	const day = "SELECT sum(events) FROM rates_1h WHERE hour >= '2026-10-01' AND hour < '2026-10-02'"
	got, read := w.readRows(t, day)
	if most := each + 5*granule; got != fmt.Sprint(hours*each) || read > most {
		t.Errorf("a day of %d events with one open hour: %s events, %d rows read, want at most %d", hours*each, got, read, most)
	}
	t.Logf("a day of %d events with one open hour reads %d rows", hours*each, read)

	// Late events open a sealed hour; hours beyond all others and times of any year count.
	insert("2026-10-01 03:00:00", "2026-10-01 04:00:00", 10)
	insert("2026-10-02 07:00:00", "2026-10-02 08:00:00", 10)
	insert("1999-10-02 07:00:00", "1999-10-02 09:00:00", 10)
	insert("2104-10-02 07:00:00", "2104-10-02 09:00:00", 10)
	w.agree(t, "after late, early and impossible events")
	got, read = w.readRows(t, day)
	if most := 2*each + 10*granule; got != fmt.Sprint(hours*each+10) || read > most {
		t.Errorf("with two open hours: %s events, %d rows read, want at most %d", got, read, most)
	}
}
