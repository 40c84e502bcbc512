package alertingtest

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/alerting/playback"
	"github.com/mailstream/mailstream/services/pipeline"
)

// A month of small traffic and a restless day after it: what the back-test counts by
// cells is what the statements of the service count at each step.
func TestBacktest_CountsByCellsWhatTheStatementsCount(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	random := rand.New(rand.NewPCG(1, 2))
	day := now.Truncate(24 * time.Hour)
	for at := day.AddDate(0, 0, -29); at.Before(day.AddDate(0, 0, -1)); at = at.Add(2 * time.Hour) {
		w.sendAny(random, at, 0.1)
	}
	for at := day.AddDate(0, 0, -1); at.Before(day.Add(16 * time.Hour)); at = at.Add(10 * time.Minute) {
		w.sendAny(random, at, 0.1+0.8*random.Float64()*random.Float64())
	}
	from, to := stamp(day.Add(9*time.Hour)), stamp(day.Add(13*time.Hour)) // nothing happened and nothing came
	w.rows = slices.DeleteFunc(w.rows, func(row map[string]any) bool {
		return row["time"].(string) > from && row["time"].(string) < to || row["received_at"].(string) > from && row["received_at"].(string) < to
	})
	w.store()
	const text = `
rules:
  - {name: blocks, metric: block_rate, by: [campaign, sending_ip], window: 2h, threshold: 0.3, min_volume: 5, resolve_below: 0.2, resolve_for: 20m}
  - {name: hard, metric: hard_bounce_rate, by: [campaign, source], window: 1h, threshold: 0.1, min_volume: 5, min_count: 2, resolve_for: 1m}
  - {name: bounces, metric: bounce_rate, by: [source], match: {cause: ["!provider"]}, window: 1h, threshold: 0.15, min_volume: 5, min_count: 2}
  - {name: deferred, metric: deferral_rate, by: [mailbox_provider], window: 30m, threshold: 0.1, min_volume: 3, min_count: 2, resolve_for: 10m}
  - {name: undelivered, metric: delivery_rate, by: [source, tag], window: 6h, threshold: 0.6, min_volume: 20}
  - {name: complaints, metric: complaint_rate, by: [source, all], window: 1d, threshold: 0.01, min_volume: 20, min_count: 1}
  - {name: gone, metric: unsubscribe_rate, by: [campaign], window: 6h, threshold: 0.02, min_volume: 10, min_count: 1}
  - {name: dropped, metric: suppressed_share, by: [source], window: 1h, threshold: 0.02, min_volume: 5, min_count: 1}
  - {name: together, metric: block_rate, by: [recipient_domain], together: true, window: 1h, threshold: 0.3, min_volume: 5, for: 30m}
  - {name: unknown, metric: unknown_share, by: [source, all], window: 1h, threshold: 0.05, min_volume: 10}
  - {name: drop, metric: volume_drop, by: [source, mailbox_provider], window: 2h, min_volume: 2}
  - {name: quiet, metric: silence, min_volume: 2}
  - {name: nothing, metric: lag, by: [source, all], window: 1h, threshold: 0.5}
  - {name: slow, metric: lateness, by: [source], window: 1h, threshold: 0.05, min_volume: 5, min_count: 1}
  - {name: unusual, metric: block_rate, by: [source], window: 6h, threshold: 0.1, min_volume: 5, baseline: 1.5, resolve_below: 0.1}
`
	rules, err := playback.ReadRules("rules", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	var reports [2]playback.Report
	for i := range reports {
		reports[i], err = pipeline.PlayHistory(t.Context(), w.config(""), rules, playback.Options{From: day.Add(8 * time.Hour), To: day.Add(15 * time.Hour), Step: time.Hour, Exact: i == 0}, logger(t))
		if err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(reports[0].Incidents, reports[1].Incidents); diff != "" {
		t.Errorf("incidents by statement and by cell (-statement +cell):\n%s", diff)
	}
	for _, s := range reports[1].Rules {
		if s.Incidents == 0 {
			t.Errorf("rule %s found nothing, so nothing was compared", s.Rule)
		}
	}
}

// sendAny notes some messages of any kind, the given share of which go wrong.
func (w *world) sendAny(random *rand.Rand, at time.Time, bad float64) {
	pick := func(from ...string) string { return from[random.IntN(len(from))] }
	for range 8 {
		m := mail{
			source: pick("acme", "acme", "beta"), domain: pick("gmail.com", "a.test", "b.test"), campaign: pick("news", "sale", ""), ip: pick("192.0.2.1", "192.0.2.2"),
			tags: []string{pick("x", "y"), "z"}[:random.IntN(3)],
		}
		m.provider = map[string]string{"gmail.com": "google", "a.test": "gmx", "b.test": "orange"}[m.domain]
		later := func(hours float64) time.Duration {
			return time.Duration(random.Float64() * hours * float64(time.Hour)).Truncate(time.Millisecond)
		}
		late := time.Duration(0)
		if random.IntN(20) == 0 {
			late = later(2)
		}
		var steps []step
		if random.IntN(8) == 0 {
			for range 1 + random.IntN(3) {
				steps = append(steps, step{after: later(1), typ: schemas.Deferred, reason: schemas.Greylisted})
			}
		}
		outcome := step{after: later(1), typ: schemas.Delivered, receivedIn: late}
		if random.Float64() < bad {
			outcome = []step{blocked(schemas.Reputation), blocked(schemas.OtherReason), hard(), {typ: schemas.Bounced, reason: schemas.SuppressedBounce}}[random.IntN(4)]
			outcome.receivedIn = late
		}
		steps = append(steps, outcome)
		if random.IntN(6) == 0 { // another word, at any time after
			steps = append(steps, step{after: later(9), typ: schemas.Blocked, reason: schemas.Reputation})
		}
		if random.IntN(20) == 0 {
			steps = append(steps, step{after: later(5), typ: schemas.Type(pick("complained", "unsubscribed", "other"))})
		}
		w.send(1, at, m, steps...)
	}
}
