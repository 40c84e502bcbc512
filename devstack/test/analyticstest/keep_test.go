package analyticstest

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/mailstream/mailstream/schemas"
)

// keepPeople is how many people get one message each.
const keepPeople = 1_200

// keepRate is the rate at which opens and clicks are kept.
const keepRate = 0.25

// sampling keeps of people a quarter, of deliveries the count alone, of all else all.
const sampling = `analytics: {listen: "127.0.0.1:0", flush_interval: 50ms, seal_interval: 1s` + shortRest + `, keep: [
	{source: acme, types: [opened, clicked], rows: sampled, rate: 0.25}, {types: [processed, delivered, complained], rows: aggregated}, {rows: all}]}`

// keepMail is mail of which half is opened, a fifth is clicked, and a tenth is delivered
// and bounced later; a twentieth of the people complain.
func keepMail() (events []schemas.Event) {
	for n := range keepPeople {
		at := base().Add(time.Duration(n) * time.Second)
		for _, step := range []struct {
			typ   schemas.Type
			after time.Duration
			every int
		}{
			{schemas.Processed, 0, 1}, {schemas.Delivered, time.Second, 1}, {schemas.Bounced, 2 * time.Second, 10},
			{schemas.Opened, time.Minute, 2}, {schemas.Clicked, 2 * time.Minute, 5}, {schemas.Complained, time.Hour, 20},
		} {
			if n%step.every == 0 {
				e := eventAt(n, step.typ, at.Add(step.after))
				e.RecipientHash, e.Campaign = fmt.Sprintf("%032x", n), fmt.Sprintf("c%d", n%7)
				events = append(events, e)
			}
		}
	}
	return events
}

// outcomesSQL asks what alerting asks, of the whole day.
func outcomesSQL(t *testing.T) string {
	t.Helper()
	from, to := base().AddDate(0, 0, -1).UnixMilli(), base().AddDate(0, 0, 1).UnixMilli()
	return "SELECT provider_of, outcome, hard, deferred, complained, was_delivered, count() FROM (" + strings.NewReplacer(
		"{from:Int64}", strconv.FormatInt(from, 10), "{to:Int64}", strconv.FormatInt(to, 10), "{literal:Array(String)}", "[]", "{{match}}", "",
	).Replace(readFile(t, "../../../services/alerting/internal/slow/sql/messages.sql")) + ") GROUP BY ALL ORDER BY ALL"
}

// counted are the answers that no rule of analytics.keep may change.
func (w *world) counted(t *testing.T) string {
	t.Helper()
	return w.rates(t) + w.sql(t, "SELECT * FROM rates_15m ORDER BY ALL") + w.sql(t, "SELECT type, campaign, count() FROM events GROUP BY ALL ORDER BY ALL") + w.sql(t, outcomesSQL(t))
}

// estimate asks for a number of a sample, and wants it within four standard errors; the
// people are always the same, and so is the answer.
func (w *world) estimate(t testing.TB, query string, want, rate float64) {
	t.Helper()
	got, err := strconv.ParseFloat(w.sql(t, query), 64)
	if sigma := math.Sqrt((1 - rate) / rate * want); err != nil || math.Abs(got-want) > 4*sigma {
		t.Errorf("%s: %g, %v, want %g, give or take %.0f", query, got, err, want, 4*sigma)
	}
}

// What is counted is the same to the row whatever is kept, and stays the same when
// everything comes once more; estimates of what is sampled are within the stated error.
func TestKeep_ThinsRowsAndChangesNoRate(t *testing.T) {
	t.Parallel()
	all, thin := newWorld(t), newWorld(t, sampling)
	mail := keepMail()
	for _, w := range []*world{all, thin} {
		w.analytics(t)
		w.publish(t, mail...)
		w.wantSQL(t, "SELECT sum(rows) FROM hour_rows", fmt.Sprint(len(mail)))
		w.stored(t)
	}
	want := all.counted(t)
	if got := thin.counted(t); got != want {
		t.Errorf("counts differ:\n%s\nwithout rules\n%s", got, want)
	}
	thin.publish(t, mail...)
	thin.wantSQL(t, "SELECT sum(rows) FROM hour_rows", fmt.Sprint(2*len(mail)))
	thin.stored(t)
	if got := thin.counted(t); got != want {
		t.Errorf("counts differ after repeats:\n%s\nwant\n%s", got, want)
	}
	for query, want := range map[string]string{
		"SELECT groupUniqArray(type) FROM events WHERE weight = 0 AND (message_id || recipient || recipient_hash || url || raw) != ''":                                                                                             "[]",
		"SELECT count() FROM person_messages WHERE type IN ('processed', 'delivered', 'complained')":                                                                                                                               "0",
		"SELECT count() FROM (SELECT DISTINCT recipient_hash FROM events WHERE type = 'clicked' AND weight > 0) WHERE bitShiftRight(reinterpretAsUInt64(reverse(substring(SHA256(recipient_hash), 1, 8))), 11) / exp2(53) >= 0.25": "0",
		"SELECT count() FROM events WHERE type = 'bounced' AND weight != 1":                                                                                                                                                        "0",
	} {
		if got := thin.sql(t, query); got != want {
			t.Errorf("%s: %s, want %s", query, got, want)
		}
	}
	thin.estimate(t, "SELECT sum(weight) FROM events WHERE type = 'opened'", keepPeople/2, keepRate)
	thin.estimate(t, "SELECT sum(weight) FROM person_messages WHERE type = 'clicked'", keepPeople/5, keepRate)
	thin.estimate(t, "SELECT sumIf(greatest(1, weights['opened']), first_open IS NOT NULL) FROM messages", keepPeople/2, keepRate)
	thin.estimate(t, "SELECT sumIf(greatest(1, weights['clicked']), first_click IS NOT NULL) FROM campaign_messages", keepPeople/5, keepRate)
}

// A rule that changes is true of what comes from then on, and of what comes again.
func TestKeep_ARuleThatChanges(t *testing.T) {
	t.Parallel()
	w := newWorld(t, `analytics: {listen: "127.0.0.1:0", flush_interval: 50ms, keep: [{rows: aggregated}]}`)
	mail := keepMail()[:40]
	run := func(rows int) {
		_, stop := w.analytics(t)
		defer stop()
		w.publish(t, mail...)
		w.wantSQL(t, "SELECT sum(rows) FROM hour_rows", fmt.Sprint(rows))
		w.stored(t)
	}
	run(40)
	before := w.counted(t)
	w.wantSQL(t, "SELECT (SELECT count() FROM messages), (SELECT count() FROM person_log), (SELECT sum(weight) FROM events)", "0\t0\t0")
	w.cfg = w.config(t, w.engine.URL())
	run(80)
	w.wantSQL(t, "SELECT (SELECT count() FROM person_messages), (SELECT sum(weight) FROM events), (SELECT countIf(message_key != 0) FROM event_log FINAL)", "40\t40\t0")
	if after := w.counted(t); after != before {
		t.Errorf("counts differ:\n%s\nbefore\n%s", after, before)
	}
}
