package rule

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/alerting/internal/metric"
	"github.com/mailstream/mailstream/services/internal/platform/config"
)

// The counts are those of a table computed apart from this code.
func TestOver_RareEventsWantEvidence(t *testing.T) {
	t.Parallel()
	complaint := Rule{Name: "c", Metric: metric.ComplaintRate}.WithDefaults()
	for _, tt := range []struct{ total, needs int64 }{{1000, 3}, {2000, 5}, {5000, 10}, {10_000, 17}, {50_000, 64}} {
		if complaint.Over(Reading{Part: tt.needs - 1, Total: tt.total}) || !complaint.Over(Reading{Part: tt.needs, Total: tt.total}) {
			t.Errorf("0.1 %% of %d: does not begin at %d complaints", tt.total, tt.needs)
		}
	}
	if complaint.Over(Reading{Part: 3, Total: 999}) {
		t.Error("fires below min_volume")
	}
}

func TestOver_MinCount(t *testing.T) {
	t.Parallel()
	r := Default()
	r.MinCount = 15
	if r.Over(Reading{Part: 14, Total: 20}) || !r.Over(Reading{Part: 15, Total: 20}) {
		t.Error("min_count is not the number of messages it takes")
	}
}

func TestOver_BaselineComparesWithTheWeeksBefore(t *testing.T) {
	t.Parallel()
	r := Rule{Name: "d", Metric: metric.DeferralRate, Baseline: 3, Threshold: 0.1}.WithDefaults()
	now := Reading{Part: 60, Total: 200}
	if r.Over(now) {
		t.Error("fires without weeks to compare with")
	}
	now.HasUsual, now.Usual = true, 0.11
	if r.Over(now) {
		t.Error("30 % fires at a usual 11 %")
	}
	if now.Usual = 0.09; !r.Over(now) {
		t.Error("30 % does not fire at a usual 9 %")
	}
}

func TestStep_LowIsBad(t *testing.T) {
	t.Parallel()
	r := Rule{Name: "d", Metric: metric.DeliveryRate, Threshold: 0.9}.WithDefaults()
	now := time.Date(2026, 11, 2, 12, 0, 0, 0, time.UTC)
	var s Status
	for i, a := range []struct {
		after time.Duration
		part  int64
		state schemas.AlertState
		event Event
	}{
		{0, 900, "", Nothing}, // exactly the threshold
		{time.Minute, 899, schemas.AlertFiring, Fired},
		{time.Minute, 700, schemas.AlertFiring, Nothing},
		{time.Minute, 950, schemas.AlertFiring, Nothing}, // exactly where it would end
		{time.Minute, 951, schemas.AlertRecovering, Moved},
		{time.Minute, 940, schemas.AlertFiring, Moved},
		{time.Minute, 1000, schemas.AlertRecovering, Moved},
		{30 * time.Minute, 1000, schemas.AlertResolved, Resolved},
	} {
		now = now.Add(a.after)
		var event Event
		if s, event = r.Step(s, Reading{Now: now, Part: a.part, Total: 1000, Fresh: 1000}); s.State != a.state || event != a.event {
			t.Fatalf("act %d: state %q, event %d, want %q, %d", i, s.State, event, a.state, a.event)
		}
	}
	if s.Peak != 0.7 {
		t.Errorf("the worst rate is %v, want 0.7", s.Peak)
	}
}

func TestRule_EveryMetricHasValidDefaults(t *testing.T) {
	t.Parallel()
	for _, m := range metric.List() {
		var p config.Problems
		r := Rule{Name: m.Name, Metric: m.Name}.WithDefaults()
		r.Validate(&p)
		if err := p.Err(); err != nil {
			t.Errorf("%s: %v", m.Name, err)
		}
		if r.FromStream() != (m.Name == metric.BlockRate) {
			t.Errorf("%s is judged from the stream: %t", m.Name, r.FromStream())
		}
	}
	for _, r := range BuiltIn() {
		var p config.Problems
		r.Validate(&p)
		if err := p.Err(); err != nil || r.FromStream() {
			t.Errorf("built-in rule %s: %v", r.Name, err)
		}
	}
}

func TestRule_EngineFollowsFromWhatItSays(t *testing.T) {
	t.Parallel()
	for name, r := range map[string]Rule{
		"a longer window": {Window: 2 * time.Hour},
		"a campaign":      {By: []string{metric.Campaign}},
		"together":        {Together: true},
		"a match":         {Match: Match{Cause: []string{"!provider"}}},
		"a baseline":      {Baseline: 2},
	} {
		r.Name = "r"
		if r = r.WithDefaults(); r.FromStream() {
			t.Errorf("%s: judged from the stream", name)
		}
		var p config.Problems
		if r.Validate(&p); p.Err() != nil {
			t.Errorf("%s: %v", name, p.Err())
		}
	}
}

func TestRule_ValidateNamesTheFieldAndTheBound(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		rule  Rule
		field string
		says  string
	}{
		{Rule{By: []string{"from_domain"}}, "by[0]", "sending_domain, ip_pool"},
		{Rule{By: []string{"country"}}, "by[0]", "sending_ip"},
		{Rule{Metric: metric.Silence, By: []string{metric.Campaign}}, "by[0]", "source, all"},
		{Rule{By: []string{metric.Source}, Together: true}, "by[0]", "together"},
		{Rule{By: []string{metric.Campaign}, Window: time.Minute}, "window", "[5m, 7d]"},
		{Rule{Window: 8 * 24 * time.Hour}, "window", "[5m, 7d]"},
		{Rule{Window: 8 * 24 * time.Hour}, "window", "8d is not in"},
		{Rule{Threshold: 1e-9}, "threshold", "to a millionth"},
		{Rule{Threshold: 0.9999999}, "threshold", "(0, 1)"},
		{Rule{ResolveBelow: 1e-7}, "resolve_below", "to a millionth"},
		{Rule{Severity: "page"}, "severity", "critical"},
		{Rule{Confidence: 1}, "confidence", "0.999"},
		{Rule{MinCount: -1}, "min_count", "[0, 1000000]"},
		{Rule{Metric: metric.VolumeDrop, Baseline: 2}, "baseline", "by itself"},
		{Rule{Match: Match{Cause: []string{"weather"}}}, "match.cause[0]", "network"},
		{Rule{Match: Match{Reason: []string{"!tired"}}}, "match.reason[0]", "blocklist"},
		{Rule{Match: Match{Type: []string{"delivered"}}}, "match.type", "own types"},
		{Rule{Expect: Expect{Min: 1, Every: time.Hour}}, "expect", "for silence"},
		{Rule{Metric: metric.Silence, Expect: Expect{Min: 1, Every: time.Hour, Hours: "9 to 5"}}, "expect.hours", "Mon-Fri"},
		{Rule{Metric: metric.DeliveryRate, ResolveAbove: 0.5}, "resolve_above", "threshold 0.9"},
	} {
		tt.rule.Name = "r"
		var p config.Problems
		tt.rule.WithDefaults().Validate(&p)
		err := p.Err()
		if err == nil || !strings.Contains(err.Error(), tt.field+": ") || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("want a fault of %s that says %q, got %v", tt.field, tt.says, err)
		}
	}
}

// One mistake is one fault: defaults that are made of it are no further ones.
func TestRule_ValidateNamesAFaultOnce(t *testing.T) {
	t.Parallel()
	for _, r := range []Rule{{Threshold: -0.5}, {Threshold: 2}, {MinVolume: volumeMax * 3}, {Window: 40 * 24 * time.Hour}} {
		r.Name = "r"
		var p config.Problems
		if r.WithDefaults().Validate(&p); p.Err() == nil || strings.Count(p.Err().Error(), ": ") != 1 {
			t.Errorf("want one fault of threshold %v, min_volume %d, window %s, got %v", r.Threshold, r.MinVolume, r.Window, p.Err())
		}
	}
}

func TestHours_HoldInUTC(t *testing.T) {
	t.Parallel()
	h, err := ParseHours("Fri-Mon 08-20")
	if err != nil {
		t.Fatal(err)
	}
	monday := time.Date(2026, 11, 2, 8, 0, 0, 0, time.UTC)
	for at, want := range map[time.Time]bool{
		monday: true, monday.Add(-time.Second): false, monday.Add(12 * time.Hour): false, monday.Add(24 * time.Hour): false,
		monday.In(time.FixedZone("", 3600)): true, monday.AddDate(0, 0, -1): true,
	} {
		if h.Hold(at) != want {
			t.Errorf("%s: %t", at, !want)
		}
	}
	for _, bad := range []string{"Mon", "Mon-Fri", "Mon-Fri 20-08", "Mon-Fri 8-20", "Mon 00-25", "Mo 08-20", "Mon 08-20 UTC"} {
		if _, err := ParseHours(bad); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}

func TestWilsonLow_IsBelowTheShareAndRisesWithEvidence(t *testing.T) {
	t.Parallel()
	last := 0.0
	for n := int64(10); n <= 1_000_000; n *= 10 {
		low := wilsonLow(n/10, n, 0.95)
		if low <= last || low >= 0.1 {
			t.Errorf("of %d: %v after %v", n, low, last)
		}
		last = low
	}
	if math.Abs(last-0.1) > 0.001 {
		t.Errorf("much evidence still gives %v", last)
	}
}

func TestRule_IsJudgedUnlessSwitchedOff(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		enabled *bool
		want    bool
	}{{nil, true}, {new(true), true}, {new(false), false}} {
		if got := (Rule{Name: "a", Enabled: tt.enabled}).WithDefaults().On(); got != tt.want {
			t.Errorf("enabled %v: judged %t", tt.enabled, got)
		}
	}
}
