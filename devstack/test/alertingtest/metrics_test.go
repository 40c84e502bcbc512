package alertingtest

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mailstream/mailstream/schemas"
)

// rule returns a configuration with one rule and no built-in ones.
func rule(text string) string {
	for _, field := range []string{"threshold: 0.01", "min_volume: 1"} {
		if name, _, _ := strings.Cut(field, ":"); !strings.Contains(text, name) {
			text += ", " + field
		}
	}
	return "  sql: {built_in: []}\n  rules: [{name: r, " + text + "}]\n"
}

func (w *world) want(name, rules string, want ...string) {
	w.t.Helper()
	got := w.judge(now, rules)
	slices.Sort(got)
	slices.Sort(want)
	if diff := cmp.Diff(append([]string{}, want...), got); diff != "" {
		w.t.Errorf("%s (-want +got):\n%s", name, diff)
	}
}

func TestMetrics_CountMessagesByTheirLatestOutcome(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	at := now.Add(-30 * time.Minute)
	later := func(s step) step { s.after = time.Minute; return s }
	w.send(30, at, mail{source: "late"}, delivered(), later(blocked(schemas.Reputation)))
	w.send(40, at, mail{}, delivered())
	w.send(5, at, mail{}, hard())
	w.send(3, at, mail{}, step{typ: schemas.Bounced, bounce: schemas.Soft, reason: schemas.MailboxFull})
	w.send(2, at, mail{}, blocked(schemas.SuppressedBounce))
	w.send(10, at, mail{}, step{typ: schemas.Deferred, reason: schemas.Greylisted}, step{typ: schemas.Deferred, after: time.Second}, later(delivered()))
	w.send(4, at, mail{}, delivered(), later(step{typ: schemas.Complained}))
	w.send(6, at, mail{provider: "google"}, delivered(), later(step{typ: schemas.Unsubscribed}))
	w.send(1, at, mail{}, step{typ: schemas.Other})
	w.send(100, now.Add(-2*time.Hour), mail{}, blocked(schemas.Reputation)) // before the window
	w.store()
	for _, tt := range []struct{ name, rule, want string }{
		{"delivered and then refused is refused", "metric: block_rate, by: [source], window: 1h, threshold: 0.9", "r source=late: 30/30"},
		{"what the provider did not try is no block of a destination", "metric: block_rate, by: [source], window: 1h, match: {cause: ['!provider']}", "r source=late: 30/30"},
		{"blocks", "metric: block_rate, by: [source], window: 1h, threshold: 0.02, match: {cause: [provider, recipient]}", "r source=acme: 2/70"},
		{"hard bounces", "metric: hard_bounce_rate, by: [source], window: 1h, min_count: 1", "r source=acme: 5/70"},
		{"bounces", "metric: bounce_rate, by: [source], window: 1h, min_count: 1", "r source=acme: 8/70"},
		{"suppressed", "metric: suppressed_share, by: [source], window: 1h", "r source=acme: 2/70"},
		{"deferrals are messages, not attempts", "metric: deferral_rate, by: [source], window: 1h, min_count: 1", "r source=acme: 10/70"},
		{"complaints of those who can", "metric: complaint_rate, by: [source], window: 1h, min_count: 1, confidence: 0.5", "r source=acme: 4/54"},
		{"unsubscribes", "metric: unsubscribe_rate, by: [source], window: 1h, min_count: 1, confidence: 0.5", "r source=acme: 6/60"},
		{"unknown", "metric: unknown_share, by: [source], window: 1h, threshold: 0.001", "r source=acme: 1/101"},
	} {
		w.want(tt.name, rule(tt.rule), tt.want)
	}
	w.want("delivery below the threshold", rule("metric: delivery_rate, by: [source], window: 1h, threshold: 0.9, resolve_below: 0.5"),
		"r source=acme: 60/70", "r source=late: 0/30")
}

func TestDimensions_SplitAndJoin(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	at := now.Add(-10 * time.Minute)
	odd := mail{source: "a", domain: "x.example", provider: "p", campaign: "it's \\ 50 % {off}\n", ip: "192.0.2.1", tags: []string{"news", "o'clock"}, sender: "mail.example", pool: "marketing"}
	other := odd
	other.source = "b"
	w.send(15, at, odd, blocked(schemas.Reputation))
	w.send(15, at, other, blocked(schemas.Reputation))
	w.send(1, at, odd, delivered())
	w.send(400, at, mail{source: "c", domain: "y.example", campaign: "fine", ip: "192.0.2.2"}, delivered())
	w.store()
	w.want("two sources at one domain are one spike", rule("metric: block_rate, by: [recipient_domain], together: true, threshold: 0.6, min_volume: 31"),
		"r recipient_domain=x.example: 30/31")
	w.want("unknown events too", rule("metric: unknown_share, by: [sending_domain, ip_pool], together: true, threshold: 0.01, match: {type: [blocked]}"))
	w.want("each alone is too little", rule("metric: block_rate, by: [recipient_domain], threshold: 0.6, min_volume: 17"))
	w.want("all", rule("metric: block_rate, by: [all], threshold: 0.05"), "r all=all: 30/431")
	w.want("every dimension", rule("metric: block_rate, by: [mailbox_provider, source, campaign, sending_ip, sending_domain, ip_pool, tag], threshold: 0.95, together: false"),
		"r source=b mailbox_provider=p: 15/15", "r source=b: 15/15", "r source=b campaign="+odd.campaign+": 15/15", "r source=b sending_ip=192.0.2.1: 15/15",
		"r source=b sending_domain=mail.example: 15/15", "r source=b ip_pool=marketing: 15/15", "r source=b tag=news: 15/15", "r source=b tag=o'clock: 15/15")
}

// An incident ends by mail that came since it began, of every kind of statement and
// every kind of key.
func TestIncidents_EndByFreshMail(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	m := mail{tags: []string{"a", "o'clock"}, campaign: "c"}
	for k := 1; k <= 4; k++ {
		w.send(100, now.AddDate(0, 0, -7*k).Add(-time.Minute), m, delivered())
		w.send(100, now.AddDate(0, 0, -7*k).Add(10*time.Minute), m, delivered())
	}
	w.send(30, now.Add(-time.Minute), m, blocked(schemas.OtherReason))
	w.send(400, now.Add(10*time.Minute), m, delivered())
	w.store()
	ends := ", window: 1h, min_volume: 20, resolve_volume: 100, resolve_for: 1s"
	list := w.play(now, now.Add(20*time.Minute), 5*time.Minute, `  sql: {built_in: []}
  rules:
    - {name: blocks, metric: block_rate, by: [tag, campaign], threshold: 0.5`+ends+`}
    - {name: together, metric: block_rate, by: [tag], together: true, threshold: 0.5`+ends+`}
    - {name: unknown, metric: unknown_share, by: [tag, all], threshold: 0.5`+ends+`}
    - {name: drop, metric: volume_drop, by: [source, tag], threshold: 0.5`+ends+`}
`)
	got := map[string]int{}
	for _, a := range list {
		got[a.Rule]++
		if a.Ended != schemas.EndRecovered || !a.Since.Equal(now) {
			t.Errorf("%s began %s, ended %q", line(a), a.Since, a.Ended)
		}
	}
	if diff := cmp.Diff(map[string]int{"blocks": 3, "together": 2, "unknown": 3, "drop": 3}, got); diff != "" {
		t.Errorf("incidents (-want +got):\n%s", diff)
	}
}

func TestMatch_NarrowsByStream(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.send(20, now.Add(-time.Minute), mail{stream: "it's news"}, hard())
	w.send(50, now.Add(-time.Minute), mail{stream: "receipts"}, delivered())
	w.store()
	w.want("of the stream", rule(`metric: bounce_rate, by: [source], match: {stream: ["it's news"]}`), "r source=acme: 20/20")
	w.want("of the others", rule(`metric: bounce_rate, by: [source], match: {stream: ["!it's news"]}`))
}

func TestVolumeDrop_ComparesWithTheSameHoursOfFourWeeks(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for k, n := range []int{45, 100, 120, 90, 1000} { // now and four weeks before
		at := now.AddDate(0, 0, -7*k)
		w.send(n, at.Add(-30*time.Minute), mail{}, delivered())
		w.send(500, at.Add(-2*time.Hour), mail{}, delivered()) // other hours
	}
	w.send(200, now.AddDate(0, 0, -7).Add(-time.Minute), mail{source: "young"}, delivered()) // one week is no habit
	w.store()
	w.want("half", rule("metric: volume_drop, by: [source], window: 1h, threshold: 0.5, resolve_below: 0.5, min_volume: 50"), "r source=acme: 45/110")
	w.want("not a tenth", rule("metric: volume_drop, by: [source], window: 1h, threshold: 0.1, resolve_below: 0.1, min_volume: 50"))
}

func TestBaseline_ComparesTheRate(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for k, n := range []int{30, 12, 12, 12, 12} {
		at := now.AddDate(0, 0, -7*k).Add(-time.Minute)
		w.send(n, at, mail{}, hard())
		w.send(100-n, at, mail{}, delivered())
	}
	w.store()
	w.want("2.5 times is above 2", rule("metric: hard_bounce_rate, by: [source], baseline: 2"), "r source=acme: 30/100")
	w.want("and below 3", rule("metric: hard_bounce_rate, by: [source], baseline: 3"))
}

func TestLateness_CountsByReceipt(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.send(30, now.Add(-2*time.Hour), mail{}, step{typ: schemas.Delivered, receivedIn: 100 * time.Minute})
	w.send(70, now.Add(-20*time.Minute), mail{}, step{typ: schemas.Delivered, receivedIn: time.Minute})
	w.store()
	w.want("late", rule("metric: lateness, by: [source], window: 1h, threshold: 0.2"), "r source=acme: 30/100")
}

func TestLag_IsTheTimeSinceTheLatestReceipt(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.send(3, now.Add(-40*time.Minute), mail{source: "a"}, delivered())
	w.send(1, now.Add(-5*time.Hour), mail{source: "b"}, step{typ: schemas.Delivered, receivedIn: 285 * time.Minute}) // old, and received 15 minutes ago
	w.send(1, now.Add(-30*time.Hour), mail{source: "gone"}, delivered())
	w.send(1, now.Add(time.Hour), mail{source: "a"}, delivered())
	w.store()
	w.want("two thirds of the window", rule("metric: lag, by: [source, all], window: 1h, threshold: 0.5"), "r source=a: 2400/3600")
	w.want("all sources by the latest", rule("metric: lag, by: [all], window: 20m, threshold: 0.5"), "r all=all: 900/1200")
	w.want("not long enough", rule("metric: lag, by: [source], window: 2h, threshold: 0.5"))
	list := w.play(now, now.Add(70*time.Minute), 5*time.Minute, rule("metric: lag, by: [source], window: 1h, threshold: 0.6, resolve_for: 1s"))
	if len(list) != 2 || list[0].Labels["source"] != "a" || list[0].Ended != schemas.EndRecovered || list[0].ResolvedAt.Before(now.Add(time.Hour)) {
		t.Errorf("incidents: %+v", list)
	}
}

func TestReasons_AreThoseOfWhatIsCounted(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	at := now.Add(-time.Minute)
	w.send(30, at, mail{tags: []string{"x", "y"}}, blocked(schemas.Reputation))
	w.send(20, at, mail{tags: []string{"x"}}, blocked(schemas.Policy))
	w.send(9, at, mail{tags: []string{"x"}}, hard())
	w.send(5, at, mail{source: "b", tags: []string{"x"}}, blocked(schemas.SpamContent))
	w.store()
	list := w.play(now, now, time.Minute, rule("metric: block_rate, by: [tag], min_volume: 20, threshold: 0.5"))
	got := map[string]string{}
	for _, a := range list {
		for _, r := range a.Reasons {
			got[line(a)] += fmt.Sprintf("%d %s %q; ", r.Count, r.Reason, r.Sample)
		}
	}
	want := map[string]string{
		"r source=acme tag=x: 50/59": `30 reputation "550 of reputation"; 20 policy "550 of policy"; `, "r source=acme tag=y: 30/30": `30 reputation "550 of reputation"; `,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("reasons (-want +got):\n%s", diff)
	}
}

// steady plays a source that sends so many events an hour, for four weeks, until.
func (w *world) steady(source string, hourly int, until time.Time) {
	for at := now.AddDate(0, 0, -28).Add(-25 * time.Hour).Truncate(time.Hour); at.Before(until); at = at.Add(time.Hour) {
		if at.Before(now.Add(-26*time.Hour)) && at.Sub(now.AddDate(0, 0, -28))%(7*24*time.Hour) > 3*time.Hour && (now.Sub(at)%(7*24*time.Hour)) > 26*time.Hour {
			continue // hours that no test looks at
		}
		for i := range hourly {
			w.send(1, at.Add(time.Duration(i)*time.Hour/time.Duration(hourly)), mail{source: source}, delivered())
		}
	}
}

func TestSilence_IsLearntAndEndsWithTheFirstEvent(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.steady("quiet", 20, now.Add(-time.Hour))
	w.steady("fine", 20, now.Add(4*time.Hour))
	w.send(1, now.Add(2*time.Hour), mail{source: "quiet"}, delivered())
	w.store()
	list := w.play(now.Add(-time.Hour), now.Add(140*time.Minute), 5*time.Minute, "  sql: {built_in: [silence]}\n")
	if len(list) != 1 || list[0].Labels["source"] != "quiet" || list[0].Ended != schemas.EndRecovered {
		t.Fatalf("incidents: %+v", list)
	}
	// The last event came 3 minutes before the hour; ten more take half an hour.
	if began := list[0].Since.Sub(now.Add(-time.Hour)); began < 25*time.Minute || began > 35*time.Minute {
		t.Errorf("began %s after the last event", began)
	}
	if ended := list[0].ResolvedAt.Sub(now.Add(2 * time.Hour)); ended < 0 || ended > 10*time.Minute {
		t.Errorf("ended %s after the first event", ended)
	}
}

func TestSilence_OfAllSourcesIsOneIncident(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, source := range []string{"a", "b", "c"} {
		w.steady(source, 20, now)
	}
	w.store()
	list := w.play(now.Add(-time.Hour), now.Add(2*time.Hour), 5*time.Minute, "  sql: {built_in: [silence]}\n")
	if len(list) != 1 || list[0].Labels["all"] != "all" {
		t.Errorf("incidents: %+v", list)
	}
}

func TestSilence_AsStated(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.send(1, now.Add(-20*time.Minute), mail{source: "a"}, delivered())
	w.send(1, now.Add(-10*time.Minute), mail{source: "b"}, delivered())
	w.store()
	w.want("one in 15 minutes", "  sql: {built_in: []}\n  rules: [{name: r, metric: silence, expect: {min: 1, every: 15m}}]\n", "r source=a: 1/1")
	w.want("not at this hour", `  sql: {built_in: []}
  rules: [{name: r, metric: silence, expect: {min: 1, every: 15m, hours: "Mon-Fri 00-11"}}]
`)
}

func TestBuiltIn_SayNothingOnAQuietDay(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	at := now.Add(-30 * time.Minute)
	w.send(2000, at, mail{campaign: "news"}, delivered())
	w.send(2, at, mail{campaign: "news"}, delivered(), step{typ: schemas.Complained, after: time.Minute})
	w.send(60, at, mail{campaign: "news"}, hard())
	w.store()
	if got := w.judge(now, ""); len(got) > 0 {
		t.Errorf("alerts: %s", strings.Join(got, "; "))
	}
}
