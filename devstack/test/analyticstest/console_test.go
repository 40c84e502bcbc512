package analyticstest

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/pipeline"
	"github.com/mailstream/mailstream/services/servicetest"
)

// console starts the console, with more lines of its section, and returns its address.
func (w *world) console(t testing.TB, more ...string) string {
	t.Helper()
	return w.consoleBeside(t, "", more...)
}

// consoleBeside is console with other sections of the configuration, each behind a comma.
func (w *world) consoleBeside(t testing.TB, sections string, more ...string) string {
	t.Helper()
	return w.consoleOver(t, w.engine.URL(), sections, more...)
}

// consoleOver is consoleBeside that reads ClickHouse at url.
func (w *world) consoleOver(t testing.TB, url, sections string, more ...string) string {
	t.Helper()
	section := strings.Join(append([]string{"listen: '127.0.0.1:0'"}, more...), ", ")
	file := fmt.Sprintf("{kafka: {brokers: [%q], topics: {partitions: 4}}, clickhouse: {url: %q, database: %q}, privacy: {pepper: %q}, console: {%s}%s}", w.brokers, url, w.database, strings.Repeat("pepper of a test ", 3), section, sections)
	cfg, _, err := pipeline.Load(pipeline.Input{File: []byte(file), Name: "test", Services: []pipeline.Name{pipeline.Console}})
	if err != nil {
		t.Fatal(err)
	}
	svc, err := pipeline.New(cfg, pipeline.Console, logger(t))
	if err != nil {
		t.Fatal(err)
	}
	servicetest.Start(t, svc)
	return "http://" + svc.Addr()
}

// delivered is what the page of deliverability says of seven days, by value: delivered of
// tried; and in all, beside the period before.
func delivered(t testing.TB, url, query string) (text string) {
	t.Helper()
	type rate struct {
		Part uint64
		Of   uint64 `json:"n"`
	}
	var page struct {
		Totals []struct{ Now, Before rate }
		Rows   []struct {
			Value string
			Rates map[string]rate
		}
	}
	pageJSON(t, url+"/deliverability?range=7d&"+query, &page)
	if len(page.Totals) == 0 {
		t.Fatal("the page has no totals")
	}
	var b strings.Builder
	for _, r := range page.Rows {
		fmt.Fprintf(&b, "%s %d/%d, ", r.Value, r.Rates["delivered"].Part, r.Rates["delivered"].Of)
	}
	all := page.Totals[0]
	fmt.Fprintf(&b, "all %d/%d, before %d/%d", all.Now.Part, all.Now.Of, all.Before.Part, all.Before.Of)
	return b.String()
}

// TestConsole_CountsWhatSQLCounts has events come, hours be counted for good, and then a
// repeat, a corrected type and a late event: the page, which reads hours at rest once,
// follows.
func TestConsole_CountsWhatSQLCounts(t *testing.T) {
	t.Parallel()
	w := newWorld(t, `analytics: {listen: "127.0.0.1:0", flush_interval: 20ms, seal_interval: 1s, seal_rest: 2s}`)
	w.analytics(t)
	url := w.console(t)
	now := time.Now().UTC().Truncate(time.Hour)
	var events []schemas.Event
	for n := range 300 {
		e := eventAt(n, []schemas.Type{schemas.Delivered, schemas.Delivered, schemas.Bounced}[n%3], now.Add(-time.Duration(n+3)*50*time.Minute))
		e.Source, e.MailboxProvider = []string{"shop", "news"}[n%2], []string{"google", "gmx", ""}[n/2%3]
		events = append(events, e)
	}
	rates := func(by string) string {
		const q = `SELECT arrayStringConcat(groupArray(line), ', ') || ', all ' || toString(sum(d)) || '/' || toString(sum(n)) || ', before ' || (
			SELECT toString(sumIf(events, type = 'delivered')) || '/' || toString(sum(events)) FROM rates_1h WHERE hour >= toStartOfHour(now() - INTERVAL 335 HOUR) AND hour < toStartOfHour(now() - INTERVAL 167 HOUR))
			FROM (SELECT BY AS value, sumIf(events, type = 'delivered') AS d, sum(events) AS n, concat(value, ' ', toString(d), '/', toString(n)) AS line
			FROM rates_1h WHERE hour >= toStartOfHour(now() - INTERVAL 167 HOUR) GROUP BY value ORDER BY n DESC, value)`
		return w.sql(t, strings.ReplaceAll(q, "BY AS", by+" AS"))
	}
	agree := func(when string) {
		t.Helper()
		for _, by := range []string{"source", "mailbox_provider"} {
			var got, want string
			servicetest.EventuallyOr(t, func() bool { got, want = delivered(t, url, "by="+by), rates(by); return got == want }, func() string {
				return fmt.Sprintf("%s, by %s: the page says %s, SQL says %s", when, by, got, want)
			})
		}
	}
	w.publish(t, events...)
	w.wantSQL(t, "SELECT sum(rows) FROM hour_rows", "300")
	agree("at once")
	w.wantSQL(t, "SELECT count() = (SELECT uniqExact(hour) FROM hour_rows) FROM sealed_hours", "1")
	agree("at rest")
	late := eventAt(1000, schemas.Bounced, now.Add(-30*time.Hour))
	late.Source, late.MailboxProvider = "shop", "google"
	again := events[100] // three days ago
	again.ReceivedAt, again.MailboxProvider = again.ReceivedAt.Add(time.Hour), "microsoft"
	w.publish(t, late, again)
	w.wantSQL(t, "SELECT sum(rows) FROM hour_rows", "302")
	agree("after a late event and a repeat")
	w.wantSQL(t, "SELECT count() = (SELECT uniqExact(hour) FROM hour_rows) FROM sealed_hours", "1")
	agree("at rest again")
}

// TestConsole_CountsTheSame24HoursOnAllPages has an event every ten minutes of two days, and
// some of the hours to come: the pages count as many, and the last hour none of the future.
func TestConsole_CountsTheSame24HoursOnAllPages(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.analytics(t)
	now := time.Now().UTC().Truncate(time.Minute)
	var events []schemas.Event
	for n := range 48*6 + 12 {
		events = append(events, eventAt(n, schemas.Delivered, now.Add(2*time.Hour-time.Duration(n)*10*time.Minute)))
	}
	w.publish(t, events...)
	w.wantSQL(t, "SELECT count() FROM events", fmt.Sprint(len(events)))
	url := w.console(t)
	var got string
	servicetest.EventuallyOr(t, func() bool { // but where the hour ends between two pages
		var want int
		got, want = sameHours(t, url), 0
		for end, n := time.Now().UTC().Truncate(time.Hour).Add(time.Hour), 0; n < len(events); n++ {
			if at := events[n].Time; at.Before(end) && !at.Before(end.Add(-24*time.Hour)) {
				want++
			}
		}
		return got == fmt.Sprintf("tile %d, row %d, types %d, plot %d, deliverability %d and %d, last hour 6", want, want, want, want, want, want)
	}, func() string { return got })
}

// sameHours is how many events the pages count within 24 hours.
func sameHours(t *testing.T, url string) string {
	t.Helper()
	type rate struct {
		Of int `json:"n"`
	}
	var overview struct {
		Rates   []struct{ Today rate }
		Sources []struct {
			Hours    []int
			LastHour int `json:"last_hour"`
		}
	}
	var source struct {
		Arrivals []struct{ Events int }
		Plot     struct{ Rows []struct{ N int } }
	}
	var rates struct {
		Totals []struct{ Now rate }
		Rows   []struct{ N int }
	}
	pageJSON(t, url+"/", &overview)
	pageJSON(t, url+"/sources/acme", &source)
	pageJSON(t, url+"/deliverability?by=campaign", &rates)
	var row, types, plot, rows int
	for _, n := range overview.Sources[0].Hours {
		row += n
	}
	for _, a := range source.Arrivals {
		types += a.Events
	}
	for _, r := range source.Plot.Rows {
		plot += r.N
	}
	for _, r := range rates.Rows {
		rows += r.N
	}
	return fmt.Sprintf("tile %d, row %d, types %d, plot %d, deliverability %d and %d, last hour %d", overview.Rates[0].Today.Of, row, types, plot, rates.Totals[0].Now.Of, rows, overview.Sources[0].LastHour)
}
