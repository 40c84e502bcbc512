package alertingtest

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/alerting/playback"
	"github.com/mailstream/mailstream/services/pipeline"
)

// backtest plays rules to what is stored.
func (w *world) backtest(rules, sweep string, from, to time.Time) playback.Report {
	w.t.Helper()
	list, err := playback.ReadRules("rules", []byte(rules))
	if err == nil && sweep != "" {
		list, err = list.Sweep(sweep)
	}
	if err != nil {
		w.t.Fatal(err)
	}
	report, err := pipeline.PlayHistory(w.t.Context(), w.config(""), list, playback.Options{From: from, To: to, Step: 20 * time.Minute}, logger(w.t))
	if err != nil {
		w.t.Fatal(err)
	}
	return report
}

// A day with a known truth: a bad list from 06:00 for half an hour, a feed that stops
// at 09:00, and one domain that refuses all from 12:00 for half an hour.
func TestBacktest_PlaysRulesOfEveryMetric(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	day := now.Add(-12 * time.Hour)
	for at := day; at.Before(day.Add(14 * time.Hour)); at = at.Add(10 * time.Minute) {
		since := at.Sub(day)
		if bad := since >= 6*time.Hour && since < 390*time.Minute; bad {
			w.send(20, at, mail{campaign: "bad-list"}, hard())
		}
		w.send(30, at, mail{campaign: "news"}, delivered())
		if since <= 9*time.Hour {
			w.send(5, at, mail{source: "beta"}, delivered())
		}
		if spike := since >= 12*time.Hour && since < 750*time.Minute; spike {
			w.send(60, at, mail{domain: "gone.example", provider: "gone"}, blocked(schemas.Reputation))
		}
	}
	w.store()
	const rules = `
rules:
  - {name: block_spike, by: [recipient_domain]}
  - {name: list, metric: hard_bounce_rate, by: [campaign], window: 1h, threshold: 0.1, min_volume: 20, resolve_for: 1m}
  - {name: quiet, metric: lag, by: [source], window: 1h, threshold: 0.5}
  - {name: off, metric: lag, enabled: false}
`
	report := w.backtest(rules, "", day.Add(5*time.Hour), day.Add(14*time.Hour))
	type found struct {
		Rule, Where, Start string
		Peak               float64
		Bad, Total         int64
	}
	var got []found
	for _, in := range report.Incidents {
		got = append(got, found{in.Rule, in.Labels["source"] + in.Labels["campaign"] + in.Labels["recipient_domain"], in.Start.Format("15:04"), in.Peak, in.Bad, in.Total})
		if in.Rule == "quiet" && !in.End.IsZero() {
			t.Errorf("the feed is silent to the end, the incident ended at %s", in.End)
		}
	}
	want := []found{
		{"list", "acmebad-list", "06:00", 1, 20, 20},
		{"quiet", "beta", "09:40", 1, 2400, 3600},
		{"block_spike", "acmegone.example", "12:01", 1, 60, 60},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("incidents (-want +got):\n%s", diff)
	}
	if report.StepSeconds != 1200 || len(report.Unplayed) != 1 || report.Messages == 0 || len(report.Rules) != 3 {
		t.Errorf("report: step %v, not played %v, %d messages, %d rules", report.StepSeconds, report.Unplayed, report.Messages, len(report.Rules))
	}
	for _, s := range report.Rules {
		if perWeek := 7 * 24 / 9.0; s.Incidents != 1 || s.PagesPerWeek < perWeek-0.01 || s.PagesPerWeek > perWeek+0.01 {
			t.Errorf("%s: %d incidents, %v pages a week", s.Rule, s.Incidents, s.PagesPerWeek)
		}
	}

	swept := w.backtest("rules: [{name: list, metric: hard_bounce_rate, by: [source], window: 1h, min_volume: 20}]", "threshold=0.1:0.9:0.4", day.Add(5*time.Hour), day.Add(8*time.Hour))
	var counts []int
	for _, s := range swept.Rules {
		counts = append(counts, s.Incidents)
	}
	if diff := cmp.Diff([]int{1, 0, 0}, counts); diff != "" {
		t.Errorf("incidents by threshold (-want +got):\n%s", diff)
	}
}

func TestBacktest_SaysWhereTheHistoryIsTooShort(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const rules = "rules: [{name: drop, metric: volume_drop}, {name: list, metric: hard_bounce_rate}]"
	empty := w.backtest(rules, "", now, now.Add(time.Hour))
	if len(empty.Short) != 1 || !strings.Contains(empty.Short[0], "no event") {
		t.Errorf("of nothing: %q", empty.Short)
	}
	w.send(1, now.AddDate(0, 0, -7), mail{}, delivered())
	w.store()
	report := w.backtest(rules, "", now, now.Add(time.Hour))
	if len(report.Short) != 1 || !strings.HasPrefix(report.Short[0], "drop looks back over the four weeks before") {
		t.Errorf("one week is there: %q", report.Short)
	}
	var out bytes.Buffer
	if err := report.Write(&out); err != nil || !strings.Contains(out.String(), "too little history: drop") || !strings.Contains(out.String(), "rules by SQL read every 20m") {
		t.Errorf("%v:\n%s", err, out.String())
	}
	if late := w.backtest(rules, "", now.AddDate(0, 0, -9), now.AddDate(0, 0, -8)); len(late.Short) != 1 || !strings.Contains(late.Short[0], "after --to") {
		t.Errorf("before the history: %q", late.Short)
	}
}
