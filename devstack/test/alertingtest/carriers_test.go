package alertingtest

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/mailstream/mailstream/schemas"
)

func TestCarriers_AreThoseFarAboveTheirShare(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	at := now.Add(-time.Minute)
	w.send(40, at, mail{campaign: "bad-list", ip: "192.0.2.1"}, hard())
	w.send(10, at, mail{campaign: "bad-list", ip: "192.0.2.2"}, delivered())
	w.send(10, at, mail{campaign: "news", ip: "192.0.2.1"}, hard())
	w.send(140, at, mail{campaign: "news", ip: "192.0.2.1"}, delivered())
	before := at.AddDate(0, 0, -7)
	w.send(1, before, mail{campaign: "bad-list"}, hard())
	w.send(4, before, mail{campaign: "bad-list"}, delivered())
	w.send(3, before, mail{campaign: "news"}, hard())
	w.send(92, before, mail{campaign: "news"}, delivered())
	w.send(50, before.Add(-2*time.Hour), mail{campaign: "bad-list"}, hard()) // other hours
	w.store()
	list := w.play(now, now, time.Minute, rule("metric: hard_bounce_rate, by: [source], window: 1h"))
	want := []schemas.AlertCarrier{{
		Dimension: "campaign", Value: "bad-list", Bad: 40, Of: 50, OfBad: 0.8, OfVolume: 0.25,
		Before: &schemas.AlertCarrierBefore{Bad: 1, Total: 5, OfBad: 0.25, OfVolume: 0.05},
	}}
	if len(list) != 1 || cmp.Diff(want, list[0].Carriers) != "" {
		t.Errorf("carriers: %+v, want %+v", list, want)
	}
}

// Of what is counted by event, too, the message says whose it is.
func TestCarriers_OfEvents(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	late := step{typ: schemas.Delivered, receivedIn: 100 * time.Minute}
	w.send(30, now.Add(-2*time.Hour), mail{ip: "192.0.2.9"}, late)
	w.send(20, now.Add(-2*time.Hour), mail{ip: "192.0.2.1"}, late)
	for k := 1; k <= 4; k++ { // four weeks before
		at := now.AddDate(0, 0, -7*k).Add(-30 * time.Minute)
		w.send(100, at, mail{source: "beta", ip: "192.0.2.3", campaign: fmt.Sprint("week-", k)}, delivered())
		w.send(100, at, mail{source: "acme", ip: "192.0.2.1"}, delivered())
	}
	at := now.Add(-30 * time.Minute)
	w.send(90, at, mail{ip: "192.0.2.1"}, delivered())
	w.send(10, at, mail{source: "beta", ip: "192.0.2.3"}, delivered())
	w.send(20, at, mail{campaign: "odd", ip: "192.0.2.1"}, step{typ: schemas.Other})
	w.store()
	none := &schemas.AlertCarrierBefore{}
	for _, tt := range []struct {
		rule string
		want []schemas.AlertCarrier
	}{
		{"metric: unknown_share, by: [source], window: 1h", []schemas.AlertCarrier{{Dimension: "campaign", Value: "odd", Bad: 20, Of: 20, OfBad: 1, OfVolume: 20.0 / 110, Before: none}}},
		{"metric: lateness, by: [source], window: 1h", []schemas.AlertCarrier{{Dimension: "sending_ip", Value: "192.0.2.9", Bad: 30, Of: 50, OfBad: 0.6, OfVolume: 30.0 / 160, Before: none}}},
		{"metric: volume_drop, by: [all], window: 1h, threshold: 0.7, resolve_above: 0.9", []schemas.AlertCarrier{
			{Dimension: "sending_ip", Value: "192.0.2.3", Bad: 90, Of: 80, OfBad: 1, OfVolume: 0.5}, {Dimension: "source", Value: "beta", Bad: 90, Of: 80, OfBad: 1, OfVolume: 0.5},
		}},
	} {
		list := w.play(now, now, time.Minute, rule(tt.rule))
		if len(list) != 1 {
			t.Errorf("%s: %+v", tt.rule, list)
			continue
		}
		got := list[0].Carriers
		slices.SortFunc(got, func(a, b schemas.AlertCarrier) int { return strings.Compare(a.Dimension, b.Dimension) })
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s: carriers (-want +got):\n%s", tt.rule, diff)
		}
	}
}

// What the stream counts names no campaign: ClickHouse is asked before the message goes
// out, for the events of the key alone.
func TestCarriers_OfASpikeInTheStream(t *testing.T) {
	t.Parallel()
	s := newService(t, spikeRule)
	at := time.Now().Add(-time.Minute)
	sent := func(n int, campaign string, st step) {
		s.send(n, at, mail{domain: "a.example", provider: "p", campaign: campaign}, st)
	}
	sent(30, "bad-list", blocked(schemas.Reputation))
	sent(5, "news", blocked(schemas.Reputation))
	sent(20, "news", delivered())
	spike := slices.Clone(s.rows)
	s.send(500, at, mail{domain: "b.example", provider: "p", campaign: "bad-list"}, delivered())
	s.send(60, at.AddDate(0, 0, -7), mail{domain: "a.example", provider: "p", campaign: "news"}, delivered())
	s.store()
	svc := s.instance()
	s.produce(spike)
	want := schemas.AlertCarrier{
		Dimension: "campaign", Value: "bad-list", Bad: 30, Of: 35, OfBad: 30.0 / 35, OfVolume: 30.0 / 55, Before: &schemas.AlertCarrierBefore{},
	}
	var got []schemas.AlertCarrier
	await(t, "the record to have it, late or not", func() bool {
		for _, a := range s.alerts(svc).Alerts {
			if a.Labels["recipient_domain"] == "a.example" {
				got = a.Carriers
			}
		}
		return len(got) > 0
	})
	if diff := cmp.Diff([]schemas.AlertCarrier{want}, got); diff != "" {
		t.Errorf("carriers (-want +got):\n%s", diff)
	}
	if posts := s.seen(); len(posts) > 1 {
		t.Errorf("%d messages: %q", len(posts), posts)
	}
}

// produce writes the events of rows to Kafka, as the pipeline would.
func (s *service) produce(rows []map[string]any) {
	s.t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(s.cfg.Kafka.Brokers...))
	if err != nil {
		s.t.Fatal(err)
	}
	defer client.Close()
	for i, row := range rows {
		text := func(name string) string { return fmt.Sprint(row[name]) }
		at, err := time.Parse("2006-01-02 15:04:05.000", text("time"))
		if err != nil {
			s.t.Fatal(err)
		}
		e := schemas.Event{
			ID: text("id"), Type: row["type"].(schemas.Type), Time: at, ReceivedAt: at, Provider: text("provider"), Source: text("source"), MessageID: text("message_id"),
			Recipient: text("recipient"), RecipientHash: fmt.Sprintf("%032x", i+1), RecipientDomain: text("recipient_domain"), MailboxProvider: text("mailbox_provider"),
			Reason: row["reason"].(schemas.Reason), Raw: []byte(`{"event":"x"}`),
		}
		e.Cause = schemas.CauseOf(e.Reason)
		rec := &kgo.Record{Topic: schemas.EventTopic(s.cfg.Kafka.TopicPrefix, e.Type), Key: []byte(schemas.PartitionKey(&e)), Value: schemas.AppendJSON(nil, &e), Timestamp: at}
		if err := client.ProduceSync(s.t.Context(), rec).FirstErr(); err != nil {
			s.t.Fatal(err)
		}
	}
}
