package evaluator

import (
	"context"
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kgo"
	"go.uber.org/zap"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/alerting/internal/hindsight"
	"github.com/mailstream/mailstream/services/alerting/internal/outbox"
	"github.com/mailstream/mailstream/services/alerting/internal/rule"
	"github.com/mailstream/mailstream/services/alerting/internal/window"
	"github.com/mailstream/mailstream/services/alerting/playback"
)

// pager is a receiver that calls people.
type pager struct{ nobody }

func (pager) Pages() bool { return true }

// seenLate is an incident of three hours ago at a domain of google.
func (b *bench) seenLate(dimension, value string, covered bool) hindsight.Found {
	return hindsight.Found{Rule: b.e.opt.Rules[0], Incident: playback.Incident{
		Rule: b.e.opt.Rules[0].Name, Labels: labelsOf(window.Key{Source: "acme", Dimension: dimension, Value: value}),
		Start: b.now.Add(-3 * time.Hour), End: b.now.Add(-2 * time.Hour), Ended: string(schemas.EndRecovered), Peak: 1, Covered: covered,
		Evidence: playback.Evidence{Counts: schemas.AlertCounts{Blocked: 30}, Provider: "google"},
	}}
}

func TestLate_CallsNobodyAndIsSaidOnce(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.e.opt.Receivers = append(b.e.opt.Receivers, outbox.New("pager", pager{}, zap.NewNop(), outbox.NewMetrics(prometheus.NewRegistry(), "pager")))
	all := []hindsight.Found{b.seenLate(schemas.DimensionDomain, "gmail.com", false), b.seenLate(schemas.DimensionProvider, "google", true)}
	domain, provider := b.e.draftLate(all[0], all, b.now), b.e.draftLate(all[1], all, b.now)
	if provider.alert.InhibitedBy != domain.alert.Fingerprint || domain.alert.InhibitedBy != "" {
		t.Errorf("covered by %q and %q", domain.alert.InhibitedBy, provider.alert.InhibitedBy)
	}
	b.e.tellLate(domain)
	a := domain.alert
	if len(a.Notify) != 1 || a.Notify[0].Receiver != "slack" || a.Notify[0].Kind != schemas.NotifyResolved || !a.Notify[0].Facts.Late {
		t.Errorf("notified: %+v", a.Notify)
	}
	if !a.Late || a.State != schemas.AlertResolved || a.Severity != schemas.SeverityInfo || a.Incident == "" || !a.ResolvedAt.Equal(all[0].End) {
		t.Errorf("record: %+v", a)
	}
	b.put(&a)
	if known, _ := b.e.knownLate(all[0]); !known {
		t.Error("it would be put on record once more")
	}
	// The next incident of the same alert is not late, and has a number of its own.
	b.now = b.now.Add(time.Minute)
	b.mail(window.Blocked, 30, "gmail.com", "")
	b.want("a spike now", "firing gmail.com []", "firing gmail.com []") // both receivers
	if next := b.alert(schemas.DimensionDomain, "gmail.com"); next.Late || next.Severity != schemas.SeverityCritical || next.Incident == a.Incident {
		t.Errorf("the next one: %+v", next)
	}
}

func TestPutLate_LeavesOutWhatIsKnownAndPutsOffWhatIsUnderWay(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name        string
		state       schemas.AlertState
		since, over time.Duration // ago
		ended       bool          // kept in the controls instead of the book
		done        bool
		put         int
	}{
		{name: "nothing known", put: 1},
		{name: "fired in time", state: schemas.AlertResolved, since: 170 * time.Minute, over: 100 * time.Minute, done: true},
		{name: "fired in time, and kept", state: schemas.AlertResolved, since: 170 * time.Minute, over: 100 * time.Minute, ended: true, done: true},
		{name: "began in time and lasts", state: schemas.AlertFiring, since: 170 * time.Minute, done: true},
		{name: "another one before", state: schemas.AlertResolved, since: 20 * time.Hour, over: 19 * time.Hour, put: 1},
		{name: "another one under way", state: schemas.AlertFiring, since: 10 * time.Minute},
	} {
		b := newBench(t)
		f := b.seenLate(schemas.DimensionDomain, "a.test", false)
		a := schemas.Alert{Fingerprint: rule.Fingerprint(f.Rule.Name, f.Labels), Version: 1, Rule: f.Rule.Name, Labels: f.Labels, State: tt.state, Incident: "inc-1", Since: b.now.Add(-tt.since)}
		if tt.over > 0 {
			a.ResolvedAt = b.now.Add(-tt.over)
		}
		switch {
		case tt.ended:
			b.say(schemas.AlertControl{Ended: &a})
		case tt.state != "":
			b.put(&a)
		}
		if done := b.e.PutLate([]hindsight.Found{f}); done != tt.done {
			t.Errorf("%s: done is %t", tt.name, done)
		}
		if got := b.e.late.take(); len(got) != tt.put {
			t.Errorf("%s: %d to be written, want %d", tt.name, len(got), tt.put)
		}
	}
}

func TestJudgeLate_ASilenceHolds(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	written := &taken{}
	b.e.pub = written
	b.silence("sil-1", "recipient_domain", "a.test", time.Hour)
	if err := b.e.judgeLate(context.Background(), b.p, []hindsight.Found{b.seenLate(schemas.DimensionDomain, "a.test", false)}, b.now); err != nil {
		t.Fatal(err)
	}
	if len(written.alerts) != 1 || len(written.alerts[0].Notify) != 0 || len(written.alerts[0].SilencedBy) != 1 {
		t.Errorf("written: %+v", written.alerts)
	}
}

// taken is a Publisher that keeps alerts, and answers that the broker is away so that
// nobody waits for them in the log.
type taken struct{ alerts []schemas.Alert }

func (p *taken) Publish(_ context.Context, recs ...*kgo.Record) error {
	for _, rec := range recs {
		var a schemas.Alert
		if err := json.Unmarshal(rec.Value, &a); err != nil {
			return err
		}
		p.alerts = append(p.alerts, a)
	}
	return errors.New("away")
}
