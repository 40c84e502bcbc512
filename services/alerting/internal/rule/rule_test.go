package rule

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/internal/platform/config"
)

func TestOver_IsLiteral(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name           string
		blocked, total int64
		want           bool
	}{
		{"exactly 60 % of 20", 12, 20, false},
		{"exactly 60 % of many", 600_000, 1_000_000, false},
		{"one more than 60 %", 13, 20, true},
		{"one more than 60 % of many", 600_001, 1_000_000, true},
		{"57 % of 40", 23, 40, false},
		{"62.5 % of 40", 25, 40, true},
		{"6 of 6", 6, 6, false},
		{"19 of 19", 19, 19, false},
		{"20 of 20", 20, 20, true},
		{"nothing", 0, 0, false},
	}
	for _, tt := range tests {
		if got := Default().Over(Reading{Part: tt.blocked, Total: tt.total}); got != tt.want {
			t.Errorf("%s: over is %t, want %t", tt.name, got, tt.want)
		}
	}
}

func TestOver_ExactThresholdNeverFires(t *testing.T) {
	t.Parallel()
	for percent := int64(1); percent < 100; percent++ {
		r := Default()
		r.Threshold, r.MinVolume = float64(percent)/100, 1
		for total := int64(100); total <= 20_000; total += 100 {
			exact := total / 100 * percent
			if r.Over(Reading{Part: exact, Total: total}) || !r.Over(Reading{Part: exact + 1, Total: total}) {
				t.Fatalf("threshold %d %%: wrong at %d of %d", percent, exact, total)
			}
		}
	}
}

// act is one step of a story: so long after the one before, the window holds
// these counts.
type act struct {
	after   time.Duration
	blocked int64
	total   int64
	fresh   int64
	state   schemas.AlertState
	event   Event
}

func TestStep_Stories(t *testing.T) {
	t.Parallel()
	const (
		firing     = schemas.AlertFiring
		recovering = schemas.AlertRecovering
		resolved   = schemas.AlertResolved
		pending    = schemas.AlertPending
	)
	held := Default()
	held.For = time.Minute
	tests := []struct {
		name  string
		rule  Rule
		acts  []act
		ended schemas.AlertEnd
	}{
		{"fires once, recovers after the hold", Default(), []act{
			{0, 10, 20, 0, "", Nothing},
			{time.Second, 14, 20, 0, firing, Fired},
			{time.Second, 30, 40, 20, firing, Nothing},
			{time.Minute, 30, 80, 60, recovering, Moved},
			{4 * time.Minute, 30, 90, 70, recovering, Nothing},
			{time.Minute, 30, 90, 70, resolved, Resolved},
			{time.Minute, 0, 90, 70, resolved, Nothing},
		}, schemas.EndRecovered},
		{"a relapse starts the hold again", Default(), []act{
			{0, 20, 20, 0, firing, Fired},
			{time.Minute, 20, 60, 40, recovering, Moved},
			{4 * time.Minute, 30, 70, 50, firing, Moved},
			{time.Minute, 30, 80, 60, recovering, Moved},
			{4 * time.Minute, 30, 80, 60, recovering, Nothing},
			{time.Minute, 30, 80, 60, resolved, Resolved},
		}, schemas.EndRecovered},
		{"40 % exactly is no recovery", Default(), []act{
			{0, 20, 20, 0, firing, Fired},
			{time.Minute, 20, 50, 50, firing, Nothing},
			{time.Minute, 20, 51, 50, recovering, Moved},
		}, ""},
		{"silence is no recovery until it is stale", Default(), []act{
			{0, 20, 20, 0, firing, Fired},
			{16 * time.Minute, 0, 0, 0, firing, Nothing},
			{time.Hour, 0, 3, 3, firing, Nothing},
			{44 * time.Minute, 0, 0, 0, resolved, Resolved},
		}, schemas.EndNoTraffic},
		{"old deliveries are no recovery", Default(), []act{
			{0, 20, 20, 0, firing, Fired},
			{time.Minute, 5, 60, 9, firing, Nothing},
			{time.Minute, 5, 60, 10, recovering, Moved},
		}, ""},
		{"silence while recovering holds, then goes on", Default(), []act{
			{0, 20, 20, 0, firing, Fired},
			{time.Minute, 1, 60, 60, recovering, Moved},
			{6 * time.Minute, 0, 0, 0, recovering, Nothing},
			{time.Minute, 0, 20, 20, resolved, Resolved},
		}, schemas.EndRecovered},
		{"for must pass", held, []act{
			{0, 20, 20, 0, pending, Moved},
			{59 * time.Second, 20, 20, 0, pending, Nothing},
			{time.Second, 20, 20, 0, firing, Fired},
		}, ""},
		{"a lapse while pending is reported to no one", held, []act{
			{0, 20, 20, 0, pending, Moved},
			{time.Second, 5, 20, 0, resolved, Moved},
			{time.Second, 20, 20, 0, pending, Moved},
		}, ""},
		{"a second incident fires again", Default(), []act{
			{0, 20, 20, 0, firing, Fired},
			{time.Minute, 0, 60, 60, recovering, Moved},
			{5 * time.Minute, 0, 60, 60, resolved, Resolved},
			{time.Minute, 60, 60, 60, firing, Fired},
		}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			now := time.Date(2026, 11, 2, 12, 0, 0, 0, time.UTC)
			var s Status
			for i, a := range tt.acts {
				now = now.Add(a.after)
				in := Reading{Now: now, Part: a.blocked, Total: a.total, Fresh: a.fresh}
				var event Event
				s, event = tt.rule.Step(s, in)
				if s.State != a.state || event != a.event {
					t.Fatalf("act %d: state %q and event %d, want %q and %d", i, s.State, event, a.state, a.event)
				}
				again, event := tt.rule.Step(s, in)
				if event != Nothing || again != s {
					t.Fatalf("act %d: the same reading again gave event %d", i, event)
				}
			}
			if s.Ended != tt.ended {
				t.Errorf("ended %q, want %q", s.Ended, tt.ended)
			}
		})
	}
}

func TestStep_PeakIsTheWorstOfTheIncident(t *testing.T) {
	t.Parallel()
	r, now := Default(), time.Now()
	s, _ := r.Step(Status{}, Reading{Now: now, Part: 14, Total: 20})
	s, _ = r.Step(s, Reading{Now: now, Part: 90, Total: 100})
	s, _ = r.Step(s, Reading{Now: now, Part: 11, Total: 11}) // too few to count
	if s.Peak != 0.9 {
		t.Errorf("peak is %v, want 0.9", s.Peak)
	}
}

func TestMatch_SaysWhatCounts(t *testing.T) {
	t.Parallel()
	if got := (Match{Cause: []string{"!provider"}, Stream: []string{"news", "offers"}}).Words(); got != "cause not provider, stream news or offers" {
		t.Errorf("%q", got)
	}
}

func TestFingerprint_TellsAlertsApart(t *testing.T) {
	t.Parallel()
	seen := make(map[string]string)
	for _, labels := range []map[string]string{
		{"source": "a", "recipient_domain": "b"},
		{"source": "b", "recipient_domain": "a"},
		{"source": "a", "mailbox_provider": "b"},
		{"source": "ab"},
		{"source": "a", "recipient_domain": "b", "x": ""},
	} {
		for _, name := range []string{"r", "r2"} {
			fp := Fingerprint(name, labels)
			what := fmt.Sprint(name, labels)
			if seen[fp] != "" {
				t.Errorf("%s and %s share %s", what, seen[fp], fp)
			}
			seen[fp] = what
		}
	}
	if a, b := Fingerprint("r", map[string]string{"x": "1", "y": "2"}), Fingerprint("r", map[string]string{"y": "2", "x": "1"}); a != b {
		t.Errorf("order of labels changes the fingerprint: %s, %s", a, b)
	}
}

func TestRule_DefaultIsValidAndCompletesItself(t *testing.T) {
	t.Parallel()
	var p config.Problems
	Default().Validate(&p)
	if err := p.Err(); err != nil {
		t.Errorf("default: %v", err)
	}
	want := Default()
	want.Name = "mine"
	if diff := cmp.Diff(want, Rule{Name: "mine"}.WithDefaults()); diff != "" {
		t.Errorf("completed (-want +got):\n%s", diff)
	}
	low := Rule{Name: "low", Threshold: 0.3}.WithDefaults()
	low.Validate(&p)
	if err := p.Err(); err != nil {
		t.Errorf("a low threshold alone must be enough: %v", err)
	}
}

func TestRule_ValidateNamesEveryFault(t *testing.T) {
	t.Parallel()
	r := Rule{
		Metric: "opens", By: []string{"weekday"}, Window: time.Second, Threshold: 1.5, MinVolume: -1,
		For: -1, ResolveBelow: 2, ResolveFor: -1, ResolveVolume: -1, StaleAfter: 1,
	}
	var p config.Problems
	r.Validate(p.At("rules[0]"))
	err := p.Err()
	if err == nil {
		t.Fatal("no fault found")
	}
	for _, field := range []string{"name", "metric", "by[0]", "window", "threshold", "min_volume", "for", "resolve_below", "resolve_for", "resolve_volume"} {
		if !strings.Contains(err.Error(), "rules[0]."+field+":") {
			t.Errorf("no fault of %s in: %v", field, err)
		}
	}
}

func TestRule_ANameIsText(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]bool{
		"block_spike": true, "Gmail, Europa ü": true, "": false, "two\nlines": false, "bell\a": false, "\x00": false, "half \xc3": false, "\u0085": false, strings.Repeat("n", 65): false,
	} {
		r := Default()
		r.Name = name
		var p config.Problems
		if r.Validate(&p); (p.Err() == nil) != want {
			t.Errorf("%q: %v", name, p.Err())
		}
	}
}
