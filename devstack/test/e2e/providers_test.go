package e2e

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mailstream/mailstream/services/pipeline"
	"github.com/mailstream/mailstream/services/servicetest"
	"github.com/mailstream/mailstream/services/simulate"
)

// played is a provider's share of a run of all providers: what came of it in
// ClickHouse must be what was accepted.
func played(t *testing.T, w *world, provider string, scenario simulate.Scenario) simulate.Summary {
	t.Helper()
	cfg := simulate.Default()
	cfg.URL, cfg.Source, cfg.Provider, cfg.Scenario = w.stack.URL(pipeline.Ingress), provider, provider, scenario
	cfg.Rate, cfg.Duration, cfg.Group, cfg.Reorder, cfg.Duplicates = 3000, 100*time.Millisecond, 10, true, 0.2
	cfg.Domain = strings.ReplaceAll(provider, "_", "-") + "-spike.example"
	for _, s := range w.stack.Config().Ingress.Sources {
		if s.Name == provider {
			cfg.Auth = pipeline.SimulatedAuth(s)
		}
	}
	summary, err := simulate.Run(t.Context(), cfg, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	return summary
}

func TestProviders_EachGetsIntoOneVocabulary(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for i, provider := range append(simulate.Providers(), simulate.Providers()...) {
		scenario := simulate.Complaints
		if i >= len(simulate.Providers()) {
			scenario = simulate.BounceStorm
		}
		summary := played(t, w, provider, scenario)
		if summary.DeadLettered != 0 || summary.GivenUp != 0 || summary.Retries != 0 || summary.Accepted < 100 {
			t.Errorf("%s: %+v", provider, summary)
		}
	}
	var got []string
	servicetest.EventuallyOr(w.t, func() bool {
		got = w.sql("SELECT DISTINCT provider FROM events ORDER BY provider")
		return slices.Equal(got, simulate.Providers())
	}, func() string { return fmt.Sprint(got) })
	whoeverReports(t, w)
	for _, row := range w.sql("SELECT provider, groupUniqArray(type) FROM events GROUP BY provider FORMAT TSVRaw") {
		t.Log(row)
		if strings.Contains(row, "'other'") {
			t.Errorf("unknown events of %s", row)
		}
	}
}

// whoeverReports wants one dead address of each provider on the list.
func whoeverReports(t *testing.T, w *world) {
	t.Helper()
	const query = "SELECT any(recipient) FROM events WHERE bounce_type = 'hard' AND reason = 'invalid_recipient' GROUP BY provider"
	var dead []string
	servicetest.EventuallyOr(w.t, func() bool { dead = w.sql(query); return len(dead) == len(simulate.Providers()) }, func() string { return fmt.Sprint(dead) })
	slices.Sort(dead)
	dead = slices.Compact(dead) // two runs that begin in the same millisecond of a second play the same people
	var got map[string]suppressed
	servicetest.EventuallyOr(w.t, func() bool { got = w.check("marketing", dead...); return len(got) == len(dead) }, func() string { return fmt.Sprintf("of %q on the list are %v", dead, got) })
	for address, s := range got {
		if s.Reason != "hard_bounce" && s.Reason != "complaint" {
			t.Errorf("%s: %+v", address, s)
		}
	}
}

// TestProviders_OneRuleOverAll lets a domain refuse the mail of every provider
// that tells of it, and wants the built-in rule to say so once each, whether the
// provider calls it a block or a bounce.
func TestProviders_OneRuleOverAll(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, provider := range simulate.Providers() {
		if provider == "mailchimp" {
			continue // tells of contacts, not of mail
		}
		played(t, w, provider, simulate.BlockSpike)
		domain := provider + "-spike.example"
		servicetest.EventuallyOr(w.t, func() bool { return w.messages(domain) == 1 }, func() string { return "no message about " + domain })
	}
}
