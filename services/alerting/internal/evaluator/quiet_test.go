package evaluator

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/alerting/internal/book"
	"github.com/mailstream/mailstream/services/alerting/internal/controls"
	"github.com/mailstream/mailstream/services/alerting/internal/metric"
	"github.com/mailstream/mailstream/services/alerting/internal/rule"
	"github.com/mailstream/mailstream/services/alerting/internal/window"
)

// say makes the evaluator know what people said.
func (b *bench) say(said ...schemas.AlertControl) {
	b.t.Helper()
	for _, c := range said {
		rec, err := controls.Record("controls", c)
		if err != nil {
			b.t.Fatal(err)
		}
		if n := b.e.opt.Controls.Apply([]*kgo.Record{rec}); n != 0 {
			b.t.Fatalf("control %s is not readable", c.Key())
		}
	}
}

// silence hides what label=value has for so long.
func (b *bench) silence(id, label, value string, length time.Duration) {
	b.t.Helper()
	b.say(schemas.AlertControl{Silence: &schemas.AlertSilence{
		ID: id, Matchers: []schemas.AlertMatcher{{Label: label, Op: schemas.MatchEqual, Value: value}},
		Since: b.now, Until: b.now.Add(length), By: "ana", Comment: "known",
	}})
}

// alert returns the alert of a domain or provider under the first rule.
func (b *bench) alert(dimension, value string) schemas.Alert {
	b.t.Helper()
	labels := labelsOf(window.Key{Source: "acme", Dimension: dimension, Value: value})
	a, ok := b.e.book.Get(rule.Fingerprint(b.e.opt.Rules[0].Name, labels))
	if !ok {
		b.t.Fatalf("no alert of %s", value)
	}
	return a
}

func TestSilence_HidesMessagesAndNotTheIncident(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.silence("sil-1", "source", "acme", 3*time.Minute)
	b.mail(window.Blocked, 30, "a.test", "")
	b.want("hidden")
	if a := b.alert(schemas.DimensionDomain, "a.test"); a.State != schemas.AlertFiring || !slices.Equal(a.SilencedBy, []string{"sil-1"}) {
		t.Errorf("state %s, silenced by %v", a.State, a.SilencedBy)
	}
	b.want("still hidden")
	b.want("still hidden")
	b.want("the silence is over and it still fires", "firing a.test []")
	if a := b.alert(schemas.DimensionDomain, "a.test"); len(a.SilencedBy) != 0 {
		t.Errorf("silenced by %v", a.SilencedBy)
	}
	b.want("once")
}

func TestSilence_OfWhatEndsBeforeItIsNeverTold(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.silence("sil-1", "recipient_domain", "a.test", time.Hour)
	b.mail(window.Blocked, 30, "a.test", "")
	b.want("hidden")
	b.mail(window.Delivered, 300, "a.test", "")
	b.want("recovering")
	b.now = b.now.Add(6 * time.Minute)
	b.want("over, and no one was notified that it began")
	if a := b.alert(schemas.DimensionDomain, "a.test"); a.State != schemas.AlertResolved || len(a.Notify) != 0 {
		t.Errorf("%s with %d messages", a.State, len(a.Notify))
	}
}

func TestSilence_WhoWasToldHearsTheEnd(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.mail(window.Blocked, 30, "a.test", "")
	b.want("spike", "firing a.test []")
	notified := &draft{alert: b.alert(schemas.DimensionDomain, "a.test")}
	b.sent(notified)
	notified.alert.Version++
	b.put(&notified.alert)
	b.silence("sil-1", "recipient_domain", "a.test", time.Hour)
	b.mail(window.Delivered, 300, "a.test", "")
	b.want("recovering")
	b.now = b.now.Add(6 * time.Minute)
	b.want("over", "resolved a.test []")
}

func TestSilence_WhoWasNotToldYetHearsNothingOfWhatEndsUnderIt(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.mail(window.Blocked, 30, "a.test", "")
	b.want("spike, owed", "firing a.test []")
	b.silence("sil-1", "recipient_domain", "a.test", time.Hour)
	b.mail(window.Delivered, 300, "a.test", "")
	b.want("recovering")
	b.now = b.now.Add(6 * time.Minute)
	b.want("over")
	a := b.alert(schemas.DimensionDomain, "a.test")
	if len(a.Notify) != 1 || a.Notify[0].Failed != failedSilenced || a.Notify[0].Owed() {
		t.Errorf("messages: %+v", a.Notify)
	}
}

func TestSilence_OfAProviderHidesItsDomains(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.silence("sil-1", "mailbox_provider", "google", 2*time.Minute)
	b.mail(window.Blocked, 30, "gmail.com", "google")
	b.mail(window.Blocked, 30, "googlemail.com", "google")
	b.want("the domains are the provider's")
	b.want("still")
	b.want("the silence is over", "firing google [recipient_domain gmail.com recipient_domain googlemail.com]")
}

func TestMaintenance_HidesWhileItLasts(t *testing.T) {
	t.Parallel()
	b := newBench(t) // 12:00
	b.e.opt.Controls = controls.NewSet([]controls.Window{{
		Name: "nightly", Start: "0 12 * * *", Duration: 2 * time.Minute,
		Matchers: []controls.Matcher{{Label: "rule", Op: "=~", Value: "block_.*"}},
	}})
	b.mail(window.Blocked, 30, "a.test", "")
	b.want("hidden")
	if a := b.alert(schemas.DimensionDomain, "a.test"); !slices.Equal(a.SilencedBy, []string{"maintenance/nightly"}) {
		t.Errorf("silenced by %v", a.SilencedBy)
	}
	b.want("hidden")
	b.want("over", "firing a.test []")
}

func TestInhibit_OneRuleHidesAnotherOnTheSameKey(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.e.opt.Inhibit = []controls.Inhibition{{By: "outage", Mutes: "block_spike"}}
	outage := func(domain string, state schemas.AlertState, version int64) {
		labels := map[string]string{"source": "acme", "recipient_domain": domain}
		b.put(&schemas.Alert{Fingerprint: rule.Fingerprint("outage", labels), Version: version, Rule: "outage", Labels: labels, State: state, Since: b.now, Incident: "inc-outage"})
	}
	outage("a.test", schemas.AlertFiring, 1)
	outage("other.test", schemas.AlertFiring, 1)
	b.mail(window.Blocked, 30, "a.test", "")
	b.mail(window.Blocked, 30, "b.test", "")
	b.want("only the other key", "firing b.test []")
	if a := b.alert(schemas.DimensionDomain, "a.test"); a.InhibitedBy != rule.Fingerprint("outage", a.Labels) {
		t.Errorf("inhibited by %q", a.InhibitedBy)
	}
	b.want("still")
	outage("a.test", schemas.AlertResolved, 2)
	b.want("what hid it is over", "firing a.test []")
	b.want("once")
}

func TestInhibit_ASourceThatIsSilentHidesItsRates(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	silent := func(source string, state schemas.AlertState, version int64) {
		labels := map[string]string{"source": source}
		b.put(&schemas.Alert{
			Fingerprint: rule.Fingerprint("silence", labels), Version: version, Rule: "silence", Metric: metric.Silence,
			Labels: labels, State: state, Since: b.now, Incident: "inc-silence",
		})
	}
	silent("other", schemas.AlertFiring, 1)
	b.mail(window.Blocked, 30, "a.test", "")
	b.want("another source is silent", "firing a.test []")
	silent("acme", schemas.AlertFiring, 1)
	b.mail(window.Blocked, 30, "b.test", "")
	b.want("the source is silent")
	silent("acme", schemas.AlertResolved, 2)
	b.want("it speaks", "firing b.test []")
	labels := map[string]string{metric.All: metric.All}
	b.put(&schemas.Alert{
		Fingerprint: rule.Fingerprint("silence", labels), Version: 1, Rule: "silence", Metric: metric.Silence,
		Labels: labels, State: schemas.AlertFiring, Since: b.now, Incident: "inc-silence",
	})
	b.mail(window.Blocked, 30, "c.test", "")
	b.want("all sources are silent")
}

func TestAck_IsOnTheRecordAndGoesWithItsIncident(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.mail(window.Blocked, 30, "a.test", "")
	b.want("spike", "firing a.test []")
	incident := b.alert(schemas.DimensionDomain, "a.test").Incident
	b.say(schemas.AlertControl{Acks: []schemas.AlertAck{{Incident: incident, By: "ana", At: b.now, Note: "mine"}}})
	b.want("acknowledged")
	if ack := b.alert(schemas.DimensionDomain, "a.test").Acknowledged; ack == nil || ack.By != "ana" {
		t.Errorf("acknowledged: %+v", ack)
	}
	b.mail(window.Delivered, 300, "a.test", "")
	b.want("recovering")
	b.now = b.now.Add(6 * time.Minute)
	b.want("over", "resolved a.test []")
	b.now = b.now.Add(20 * time.Minute)
	b.mail(window.Blocked, 30, "a.test", "")
	b.want("the next one", "firing a.test []")
	if a := b.alert(schemas.DimensionDomain, "a.test"); a.Acknowledged != nil || a.Incident == incident {
		t.Errorf("the next incident is acknowledged by %+v", a.Acknowledged)
	}
}

// put writes an alert into the book.
func (b *bench) put(a *schemas.Alert) {
	b.t.Helper()
	rec, err := book.Record("alerts", a)
	if err != nil {
		b.t.Fatal(err)
	}
	if n := b.e.book.Apply([]*kgo.Record{rec}); n != 0 {
		b.t.Fatal("alert record is not readable")
	}
}

// period lets a domain fire and recover, which takes 27 minutes unless it flaps.
func (b *bench) period() (notified []string) {
	b.t.Helper()
	b.mail(window.Blocked, 30, "a.test", "")
	notified = b.judge()
	b.now = b.now.Add(time.Minute)
	b.mail(window.Delivered, 300, "a.test", "")
	notified = append(notified, b.judge()...)
	b.now = b.now.Add(6 * time.Minute)
	notified = append(notified, b.judge()...)
	b.now = b.now.Add(16 * time.Minute) // the window is empty
	return notified
}

func TestFlapping_TheThirdPeriodInAnHourIsOneIncident(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	both := []string{"firing a.test []", "resolved a.test []"}
	for i, want := range [][]string{both, both, {"firing a.test []"}, nil, nil} {
		if diff := cmp.Diff(want, b.period()); diff != "" {
			t.Errorf("period %d (-want +got):\n%s", i+1, diff)
		}
		if a := b.alert(schemas.DimensionDomain, "a.test"); a.Flapping != (i >= 2) {
			t.Errorf("period %d: flapping is %t", i+1, a.Flapping)
		}
	}
	a := b.alert(schemas.DimensionDomain, "a.test")
	if !(rule.Status{State: a.State}).Open() {
		t.Fatalf("state %s", a.State)
	}
	quietSince := a.StateSince
	b.mail(window.Delivered, 50, "a.test", "")
	b.want("less than an hour")
	b.now = quietSince.Add(time.Hour)
	b.mail(window.Delivered, 50, "a.test", "")
	b.want("an hour of quiet", "resolved a.test []")
	b.now = b.now.Add(2 * time.Hour)
	b.mail(window.Blocked, 30, "a.test", "")
	b.want("long after", "firing a.test []")
	if b.alert(schemas.DimensionDomain, "a.test").Flapping {
		t.Error("an incident hours later flaps")
	}
}

func TestFlapping_PeriodsAnHourApartDoNot(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for i := range 4 {
		if diff := cmp.Diff([]string{"firing a.test []", "resolved a.test []"}, b.period()); diff != "" {
			t.Errorf("period %d (-want +got):\n%s", i+1, diff)
		}
		b.now = b.now.Add(15 * time.Minute)
	}
}

func TestExtend_KeepsBeginningAndEndWithinItsBounds(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 2, 12, 0, 0, 0, time.UTC)
	a := schemas.Alert{}
	for i := range 500 {
		next := a
		next.Incident, next.UpdatedAt, next.State = "inc-1", at.Add(time.Duration(i)*time.Minute), schemas.AlertFiring
		next.StateSince = next.UpdatedAt
		if i%2 == 1 {
			next.State = schemas.AlertRecovering
		}
		extend(&a, &next)
		a = next
	}
	if n := len(a.Steps); n > stepsMax {
		t.Errorf("%d steps, at most %d", n, stepsMax)
	}
	if n := len(a.Readings); n > readingsMax || n < readingsMax/2 {
		t.Errorf("%d readings, want %d to %d", n, readingsMax/2, readingsMax)
	}
	last := at.Add(499 * time.Minute)
	if !a.Steps[0].At.Equal(at) || !a.Steps[len(a.Steps)-1].At.Equal(last) || !a.Readings[0].At.Equal(at) || !a.Readings[len(a.Readings)-1].At.Equal(last) {
		t.Errorf("from %s to %s, readings from %s to %s", a.Steps[0].At, a.Steps[len(a.Steps)-1].At, a.Readings[0].At, a.Readings[len(a.Readings)-1].At)
	}
}

func TestExtend_SaysWhatChanged(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 2, 12, 0, 0, 0, time.UTC)
	prev := schemas.Alert{
		Incident: "inc-1", State: schemas.AlertFiring, SilencedBy: []string{"sil-1"}, InhibitedBy: "f1", UpdatedAt: at,
		Notify: []schemas.Notification{
			{Seq: 1, Kind: "firing", Receiver: "slack", Attempts: 1, LastAnswer: "timeout", TriedAt: at},
			{Seq: 2, Kind: "firing", Receiver: "mail", Attempts: 1, LastAnswer: "timeout", TriedAt: at},
		},
		Steps: []schemas.AlertStep{{At: at, Kind: "state", State: "firing"}},
	}
	next := prev
	next.UpdatedAt = at.Add(time.Minute)
	next.SilencedBy, next.InhibitedBy, next.Flapping = []string{"sil-2"}, "", true
	next.Acknowledged = &schemas.AlertAck{Incident: "inc-1", By: "ana", At: at, Note: "mine"}
	next.Notify = []schemas.Notification{
		{Seq: 1, Kind: "firing", Receiver: "slack", SentAt: at.Add(time.Second), Attempts: 2},
		{Seq: 2, Kind: "firing", Receiver: "mail", Attempts: 2, LastAnswer: "timeout", TriedAt: at.Add(time.Second)},
	}
	extend(&prev, &next)
	var got []string
	for _, s := range next.Steps {
		got = append(got, fmt.Sprintf("%s %s%s%s%s%s", s.Kind, s.State, s.By, s.Receiver, s.Detail, s.Answer))
	}
	want := []string{"state firing", "flapping ", "silenced sil-2", "unsilenced sil-1", "uninhibited f1", "acknowledged anamine", "message slackfiringdelivered"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("steps (-want +got):\n%s", diff)
	}
}
