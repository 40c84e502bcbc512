package slow

import (
	"testing"
	"time"

	"github.com/mailstream/mailstream/services/alerting/internal/metric"
	"github.com/mailstream/mailstream/services/alerting/internal/rule"
)

// weeklyHistory is a history of one rule that compares with the weeks before.
func weeklyHistory(t *testing.T, step time.Duration) *History {
	t.Helper()
	r := rule.BuiltIn()[0]
	r.Name, r.Metric, r.Baseline, r.Window, r.MinVolume = "weekly", metric.BlockRate, 2, 24*time.Hour, 20
	from := time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)
	return NewHistory(Options{Rules: []rule.Rule{r}, Pace: step}, nil, Steps{From: from, To: from.Add(6 * week), Step: step})
}

// A rate is kept for four weeks and no longer: a step with too little mail has none.
func TestHistory_ForgetsARateAfterFourWeeks(t *testing.T) {
	t.Parallel()
	h := weeklyHistory(t, 12*time.Hour)
	q := plan(h.rules, h.Step)[0]
	tr := h.track(q)
	s := tr.of(0, "acme", "spring")
	a := tr.weekSteps()
	for step := range 9 * a {
		s.sum = tally{}
		if step < 4*a { // the mail ends after four weeks
			s.sum[delivered], s.sum[blocked], s.sum[tried] = 90, 10, 100
		}
		q.usual.rates = map[string]map[string]float64{}
		tr.compare(s, step)
		_, known := q.usual.rates[metric.BlockRate][s.name]
		if want := step >= weeksMin*a && step < 8*a-(weeksMin-1)*a; known != want {
			t.Fatalf("step %d of %d a week: a usual rate is known: %t", step, a, known)
		}
		tr.remember(step)
	}
}

func TestHistory_FitsWholeWeeksOfSteps(t *testing.T) {
	t.Parallel()
	for step, want := range map[time.Duration]bool{time.Hour: true, 15 * time.Minute: true, 5 * time.Hour: false, 50 * time.Minute: false} {
		if got := weeklyHistory(t, step).Fits(); got != want {
			t.Errorf("a step of %s fits: %t", step, got)
		}
	}
}
