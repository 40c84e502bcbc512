package alertingtest

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/alerting/playback"
	"github.com/mailstream/mailstream/services/pipeline"
)

const spikeRule = "{name: block_spike, by: [recipient_domain, mailbox_provider], window: 15m, threshold: 0.6, min_volume: 20}"

// outage notes what a provider sends after our outage of an hour: a spike at one domain
// of a mailbox provider, and good mail at another.
func (w *world) outage(began time.Time) {
	in := func(s step, d time.Duration) step { s.receivedIn = d; return s }
	w.send(30, began, mail{domain: "a.example", provider: "p"}, in(blocked(schemas.Reputation), time.Hour))
	w.send(100, began.Add(20*time.Minute), mail{domain: "a.example", provider: "p"}, in(delivered(), time.Hour))
	w.send(12, began, mail{domain: "fine.example", provider: "q"}, in(blocked(schemas.Reputation), time.Hour))
	w.send(60, began, mail{domain: "fine.example", provider: "q"}, in(delivered(), time.Hour))
	w.send(30, began, mail{domain: "seen.example", provider: "r"}, in(blocked(schemas.Reputation), time.Second)) // in time
	w.send(30, began, mail{domain: "history.example", provider: "h"}, in(blocked(schemas.Reputation), time.Hour))
	for _, row := range w.rows[len(w.rows)-30:] {
		row["origin"] = "backfill"
	}
}

func TestLate_IsARecordAndOneMessage(t *testing.T) {
	t.Parallel()
	s := newService(t, spikeRule)
	began := time.Now().Add(-3 * time.Hour).Truncate(time.Minute)
	s.outage(began)
	s.store()
	a, b := s.instance(), s.instance()
	for _, svc := range []pipeline.Service{a, b} { // who did not write it reads it a moment later
		await(t, "a record", func() bool { return len(s.alerts(svc).Alerts) == 2 })
	}
	await(t, "a message", func() bool { return len(s.seen()) == 1 })
	var notified schemas.Alert
	for _, got := range s.alerts(a).Alerts {
		if !got.Late || got.State != schemas.AlertResolved || got.Severity != schemas.SeverityInfo || got.Ended != schemas.EndRecovered ||
			got.Since.Before(began) || got.Since.After(began.Add(2*time.Minute)) || got.ResolvedAt.After(began.Add(40*time.Minute)) {
			t.Errorf("record: %+v", got)
		}
		if diff := cmp.Diff(map[string]int64{"sender": 30}, got.Causes); diff != "" || got.Counts.Blocked != 30 {
			t.Errorf("evidence: %+v %s", got.Counts, diff)
		}
		if got.InhibitedBy == "" {
			notified = got
		}
	}
	if notified.Labels["recipient_domain"] != "a.example" {
		t.Errorf("a message about %v", notified.Labels)
	}
	if text := s.seen()[0]; !strings.Contains(text, "Seen late: Block rate 100 % at a.example") || !strings.Contains(text, "nobody was called") {
		t.Errorf("message: %s", text)
	}
}

func TestLate_ARestartSaysNothingTwice(t *testing.T) {
	t.Parallel()
	s := newService(t, spikeRule)
	ctx, cancel := context.WithCancel(t.Context())
	svc, err := pipeline.New(s.cfg, pipeline.Alerting, logger(t))
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- svc.Run(ctx) }()
	began := time.Now().Add(-3 * time.Hour).Truncate(time.Minute)
	s.outage(began)
	s.store()
	await(t, "a message", func() bool { return len(s.seen()) == 1 })
	cancel() // before the message is noted, or after it
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	// More of the backlog, of another domain, comes after the restart.
	s.send(40, began.Add(time.Minute), mail{domain: "b.example", provider: "z"}, step{typ: schemas.Blocked, reason: schemas.Reputation, receivedIn: 90 * time.Minute})
	s.store()
	svc = s.instance()
	await(t, "the other spike", func() bool { return len(s.alerts(svc).Alerts) == 4 })
	await(t, "its message", func() bool { return len(s.seen()) >= 2 })
	if posts := s.seen(); len(posts) != 2 || !strings.Contains(posts[1], "b.example") {
		t.Errorf("%d messages: %q", len(posts), posts)
	}
}

func TestLate_TheBackTestMarksIt(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.outage(now)
	w.store()
	rules, err := playback.ReadRules("rules.yaml", []byte("rules: ["+spikeRule+"]"))
	if err != nil {
		t.Fatal(err)
	}
	report, err := pipeline.PlayHistory(t.Context(), w.config(""), rules, playback.Options{From: now.Add(-time.Hour), To: now.Add(4 * time.Hour), Exact: true}, logger(t))
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]bool{}
	for _, in := range report.Incidents {
		got[in.Labels["recipient_domain"]+in.Labels["mailbox_provider"]] = in.Late
	}
	if diff := cmp.Diff(map[string]bool{"a.example": true, "p": true, "seen.example": false, "r": false}, got); diff != "" {
		t.Errorf("incidents, and whether they are late (-want +got):\n%s", diff)
	}
	if s := report.Rules[0]; s.Late != 2 || s.PagesPerWeek > 2*7*24/5.0 {
		t.Errorf("summary: %+v", s)
	}
}
