package playback

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func readCases(t *testing.T, text string) (Cases, Rules) {
	t.Helper()
	rules, err := ReadRules("rules.yaml", []byte("rules: [{name: block_spike}]"))
	if err != nil {
		t.Fatal(err)
	}
	c, rules, err := ReadCases("cases.yaml", []byte(text), rules)
	if err != nil {
		t.Fatal(err)
	}
	return c, rules
}

// The situations of decision 0004 and the states of the built-in rule, as a team
// would write them down.
const situations = `
cases:
  - name: a domain with most of its provider's blocks speaks for it
    mail:
      - {recipient_domain: gmail.com, mailbox_provider: google, delivered: 5, blocked: 30}
      - {at: 1m, every: 1m, for: 30m, recipient_domain: gmail.com, mailbox_provider: google, delivered: 10}
    expect:
      - {at: 10s, rule: block_spike, recipient_domain: gmail.com, state: firing, covered: false}
      - {at: 10s, rule: block_spike, mailbox_provider: google, state: firing, covered: true}
      - {at: 30m, rule: block_spike, recipient_domain: gmail.com, state: resolved, ended: recovered}
      - {at: 30m, rule: block_spike, recipient_domain: yahoo.com, state: none}
  - name: several domains at once are the provider's
    mail:
      - {recipient_domain: hotmail.com, mailbox_provider: microsoft, blocked: 25}
      - {recipient_domain: outlook.com, mailbox_provider: microsoft, blocked: 50}
    expect:
      - {at: 10s, rule: block_spike, mailbox_provider: microsoft, state: firing, covered: false}
      - {at: 10s, rule: block_spike, recipient_domain: hotmail.com, state: firing, covered: true}
      - {at: 10s, rule: block_spike, recipient_domain: outlook.com, state: firing, covered: true}
  - name: a domain after its provider is covered
    mail:
      - {recipient_domain: a.test, mailbox_provider: microsoft, blocked: 15}
      - {recipient_domain: b.test, mailbox_provider: microsoft, blocked: 15}
      - {at: 1m, recipient_domain: a.test, mailbox_provider: microsoft, blocked: 15}
    expect:
      - {at: 10s, rule: block_spike, mailbox_provider: microsoft, state: firing, covered: false}
      - {at: 10s, rule: block_spike, recipient_domain: a.test, state: none}
      - {at: 2m, rule: block_spike, recipient_domain: a.test, state: firing, covered: true}
  - name: the third period within an hour is one incident
    mail:
      - {every: 20m, for: 1h40m, recipient_domain: a.test, blocked: 30}
      - {at: 1m, every: 20m, for: 1h40m, recipient_domain: a.test, delivered: 300}
    expect:
      - {at: 8m, rule: block_spike, recipient_domain: a.test, state: resolved}
      - {at: 28m, rule: block_spike, recipient_domain: a.test, state: resolved}
      - {at: 48m, rule: block_spike, recipient_domain: a.test, state: recovering}
      - {at: 88m, rule: block_spike, recipient_domain: a.test, state: recovering}
  - name: exactly 60 % does not fire
    mail: [{recipient_domain: a.test, delivered: 40, blocked: 60}]
    expect: [{at: 1m, rule: block_spike, recipient_domain: a.test, state: none}]
  - name: without mail it ends after two hours
    mail: [{recipient_domain: a.test, delivered: 40, blocked: 61}]
    expect:
      - {at: 1h, rule: block_spike, recipient_domain: a.test, state: firing}
      - {at: 2h30m, rule: block_spike, recipient_domain: a.test, state: resolved, ended: no_traffic}
`

func TestCases_ShowTheStatesOfTheService(t *testing.T) {
	t.Parallel()
	c, rules := readCases(t, situations)
	for _, r := range c.Test(rules) {
		if !r.OK {
			t.Errorf("%s: %q", r.Case, r.Faults)
		}
	}
}

func TestCases_SayWhatIsNotAsExpected(t *testing.T) {
	t.Parallel()
	c, rules := readCases(t, `
cases:
  - name: wrong on purpose
    mail: [{recipient_domain: a.test, delivered: 4, bounced: 6, blocked: 30}]
    expect:
      - {at: 1m, rule: block_spike, recipient_domain: a.test, state: resolved}
      - {at: 3h, rule: block_spike, recipient_domain: a.test, state: resolved, ended: recovered}
      - {at: 3h, rule: block_spike, recipient_domain: a.test, state: resolved, covered: true}
`)
	want := []Result{{Case: "wrong on purpose", Faults: []string{
		"at 1m block_spike of source recipient_domain a.test is firing, want resolved (30 of 40 messages blocked)",
		"at 3h block_spike of source recipient_domain a.test ended as no_traffic, want recovered (0 of 0 messages blocked)",
		"at 3h block_spike of source recipient_domain a.test is covered: false, want true",
	}}}
	got := c.Test(rules)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	var out strings.Builder
	if failed := WriteResults(&out, got); failed != 1 || !strings.HasPrefix(out.String(), "FAIL  wrong on purpose\n") {
		t.Errorf("%d failed, printed %q", failed, out.String())
	}
}

func TestReadCases_RefusesWithFieldValueAndBound(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ text, want string }{
		{"{}", "cases: is empty"},
		{"cases: [{}]", "cases[0].name: is empty"},
		{"cases: [{name: a}]", "cases[0].expect: is empty"},
		{"cases: [{name: a, mail: [{}]}]", "cases[0].mail[0].recipient_domain: is empty"},
		{"cases: [{name: a, mail: [{recipient_domain: a.test}]}]", "cases[0].mail[0].delivered: is 0"},
		{"cases: [{name: a, mail: [{recipient_domain: a.test, blocked: -1}]}]", "cases[0].mail[0].blocked: -1 is not in [0,"},
		{"cases: [{name: a, mail: [{every: 1ms, for: 1s}]}]", "cases[0].mail[0].every: 1ms is below 1s"},
		{"cases: [{name: a, mail: [{every: 1s}]}]", "cases[0].mail[0].every: every and for belong together"},
		{"cases: [{name: a, mail: [{every: 1s, for: 30d}]}]", "cases[0].mail: would be played 2592001 times in all, want at most 100000"},
		{"cases: [{name: a, mail: [{at: 32d}]}]", "cases[0].mail[0].at: 768h0m0s is not in [0s, 31d]"},
		{"cases: [{name: a, expect: [{state: on}]}]", `cases[0].expect[0].state: "on" is not one of`},
		{"cases: [{name: a, expect: [{state: firing, ended: recovered}]}]", "cases[0].expect[0].ended: needs state: resolved"},
		{"cases: [{name: a, expect: [{state: firing}]}]", "cases[0].expect[0].recipient_domain: set either"},
		{"cases: [{name: a, expect: [{rule: b, state: none, mailbox_provider: google}]}]", `cases[0].expect[0].rule: "b" is not a rule under test`},
		{"rules: [{name: a, window: 1s}]", "rules[0].window: 1s is not in"},
		{"rules: [{name: a}, {name: a}]", `rules[1].name: "a" is taken`},
		{"case: []", "case"},
	} {
		if _, _, err := ReadCases("cases.yaml", []byte(c.text), Rules{}); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %s", c.text, err, c.want)
		}
	}
}

func FuzzReadCases(f *testing.F) {
	f.Add(situations)
	f.Add("rules: [{name: a, window: 1m}]\ncases: [{name: a, mail: [{recipient_domain: a, blocked: 99, every: 1m, for: 1h}], expect: [{at: 2h, rule: a, recipient_domain: a, state: none}]}]")
	f.Fuzz(func(t *testing.T, text string) {
		rules, err := ReadRules("rules.yaml", []byte("rules: [{name: block_spike}]"))
		if err != nil {
			t.Fatal(err)
		}
		c, rules, err := ReadCases("cases.yaml", []byte(text), rules)
		if err != nil {
			return
		}
		for _, one := range c.Cases { // what was accepted can be played
			if len(one.arrivals()) > 1_000 || slices.ContainsFunc(one.Expect, func(e Expectation) bool { return e.At > 24*time.Hour }) {
				return // it would only take long
			}
		}
		if n := len(c.Test(rules)); n != len(c.Cases) {
			t.Errorf("%d results of %d cases", n, len(c.Cases))
		}
	})
}

func TestSweep(t *testing.T) {
	t.Parallel()
	rules, err := ReadRules("rules.yaml", []byte("rules: [{name: a, resolve_below: 0.5}, {name: b, for: 5m}]"))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ text, want string }{
		{"threshold=0.3:0.8:0.25", "a threshold=0.3 0.3|a threshold=0.55 0.5|a threshold=0.8 0.5|b threshold=0.3 0.3|b threshold=0.55 0.4|b threshold=0.8 0.4"},
		{"window=5m:15m:10m", "a window=5m 0.5|a window=15m 0.5|b window=5m 0.4|b window=15m 0.4"},
		{"min_volume=20:20:1", "a min_volume=20 0.5|b min_volume=20 0.4"},
		{"colour=1:2:1", "want FIELD=FROM:TO:STEP"},
		{"threshold", "want FIELD=FROM:TO:STEP"},
		{"threshold=0.3", "have 1 parts"},
		{"threshold=0.3:0.2:0.1", "want FROM <= TO"},
		{"threshold=0.1:0.2:0", "want FROM <= TO"},
		{"threshold=0.1:NaN:0.1", `"NaN" is not a value`},
		{"threshold=0.1:0.9:0.001", "at most 100 values"},
		{"threshold=0.5:1.5:0.5", "threshold: 1 is not in (0, 1)"},
		{"window=1s:2m:1m", "window: 1s is not in"},
		{"min_volume=0.5:2:1", "value 0.5"},
	} {
		swept, err := rules.Sweep(c.text)
		got := fmt.Sprint(err)
		if err == nil {
			var parts []string
			for i := range swept.list {
				parts = append(parts, fmt.Sprint(swept.list[i].title(), " ", swept.list[i].ResolveBelow))
			}
			got = strings.Join(parts, "|")
		}
		if !strings.Contains(got, c.want) {
			t.Errorf("%s: %s, want %s", c.text, got, c.want)
		}
	}
}

func TestCompare_PairsWhatWasPlayedWithWhatFired(t *testing.T) {
	t.Parallel()
	at := func(minutes int) time.Time { return base.Add(time.Duration(minutes) * time.Minute) }
	gmail, yahoo := map[string]string{"source": "a", "recipient_domain": "gmail.com"}, map[string]string{"source": "a", "recipient_domain": "yahoo.com"}
	r := Report{From: at(0), To: at(14 * 24 * 60), Incidents: []Incident{
		{Rule: "x", Labels: gmail, Start: at(10), End: at(30)},
		{Rule: "x", Labels: gmail, Start: at(100), End: at(130)},
		{Rule: "x", Labels: yahoo, Start: at(10), Covered: true}, // lasts
	}}
	r.compare(newPlayer(Of(nil)).rules, nil)
	rules, err := ReadRules("r", []byte("rules: [{name: x}]"))
	if err != nil {
		t.Fatal(err)
	}
	r.compare(rules.list, []Fired{
		{Incident: "inc-1", Rule: "x", Labels: gmail, Start: at(12), End: at(40)},
		{Incident: "inc-2", Rule: "x", Labels: gmail, Start: at(50), End: at(60)},
		{Incident: "inc-3", Rule: "y", Labels: yahoo, Start: at(12)},
	})
	want := []Summary{{
		Rule: "x", Incidents: 3, Covered: 1, PagesPerWeek: 1, Fired: 2, Both: 1, Missed: 1, New: 2,
		EarlierSeconds: 120, LongestSeconds: (14*24*60 - 10) * 60,
	}}
	if diff := cmp.Diff(want, r.Rules); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if len(r.Missed) != 1 || r.Missed[0].Incident != "inc-2" || r.Incidents[0].Then == nil || r.Incidents[1].Then != nil {
		t.Errorf("missed %v, first %v", r.Missed, r.Incidents[0].Then)
	}
}
