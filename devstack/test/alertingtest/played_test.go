package alertingtest

import (
	"testing"

	"github.com/mailstream/mailstream/devstack/bench"
)

// Two weeks with a rhythm, campaigns and known faults, after four weeks without: a rule
// that went blind misses a fault, one that went noisy pages for what is none.
func TestPlayedWeeks_BuiltInRulesFindTheFaultsAndNothingElse(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	report, err := bench.PlayedIn(t.Context(), w.config(""))
	if err != nil {
		t.Fatal(err)
	}
	if len(report.Rules) != 6 {
		t.Errorf("%d rules were played", len(report.Rules))
	}
	for _, p := range report.Rules {
		t.Logf("%s: %d of %d faults, %d pages, after %s, at most %s", p.Rule, p.Found, p.Faults, p.Pages, p.Middle, p.Longest)
		if p.Faults == 0 || !p.Good() {
			t.Errorf("%s: %d of %d faults, %d pages, after %s at most; wrong: %q", p.Rule, p.Found, p.Faults, p.Pages, p.Longest, p.Wrong)
		}
	}
}
