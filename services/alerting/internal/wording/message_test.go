package wording

import (
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/alerting/internal/metric"
	"github.com/mailstream/mailstream/services/alerting/internal/outbox"
)

func TestOf_SaysWhatEachMetricMeans(t *testing.T) {
	t.Parallel()
	w := Writer{Markup: Text{}}
	for _, m := range metric.List() {
		if m.Name == metric.BlockRate {
			continue // counts by outcome, see the package slack
		}
		n := Example(schemas.NotifyFiring, time.Now())
		n.Alert.Metric, n.Alert.Severity, n.Alert.Window = m.Name, schemas.SeverityWarning, "24h0m0s"
		n.Alert.Labels = map[string]string{"source": "acme", "campaign": "spring"}
		n.Facts.Value, n.Facts.Counts, n.Facts.Causes, n.Facts.Reasons = 0.004, schemas.AlertCounts{}, nil, nil
		n.Facts.Measure = &schemas.AlertMeasure{Numerator: 12, Denominator: 3_000, Usual: 0.001}
		n.Facts.Carriers = []schemas.AlertCarrier{{Dimension: "sending_ip", Value: "192.0.2.1", Bad: 9, OfBad: 0.75, OfVolume: 0.1}}
		got := w.Of([]outbox.Notice{n})
		for _, want := range []string{"0.4 %", "spring", "12 of 3,000", "24 hours", "usually 0.1 %", "sending ip 192.0.2.1: 75 %", "10 % of the volume", "inc-"} {
			if !strings.Contains(got.Summary+fmt.Sprint(got.Facts), want) {
				t.Errorf("%s lacks %q: %s", m.Name, want, got.Summary)
			}
		}
		if strings.Contains(got.Summary, "lock rate") || strings.Contains(got.Summary, "counted") || got.Severity != schemas.SeverityWarning {
			t.Errorf("%s: %s, %s", m.Name, got.Severity, got.Summary)
		}
	}
}

func TestOf_SaysWhichRulesAreNotJudgedAndWhoMendsIt(t *testing.T) {
	t.Parallel()
	w := Writer{Markup: Text{}}
	for _, tt := range []struct {
		of   string
		kind string
		want []string
	}{
		{metric.All, schemas.NotifyFiring, []string{"Rules by SQL are not judged: 3 of 21 of these rules.", "their incidents do not end", "ClickHouse answers"}},
		{metric.All, schemas.NotifyRepeat, []string{"Rules by SQL are still not judged: 3 of 21"}},
		{metric.All, schemas.NotifyResolved, []string{"Rules by SQL are judged again, back to normal. It lasted "}},
		{metric.OfStream, schemas.NotifyFiring, []string{"Rules from the stream are not judged: 3 of 21 partitions of the events.", "Kafka lets every partition be read"}},
	} {
		n := Example(tt.kind, time.Now())
		n.Alert.Rule, n.Alert.Metric, n.Alert.Labels = metric.NotJudged, metric.NotJudged, map[string]string{metric.All: tt.of}
		n.Facts.Measure = &schemas.AlertMeasure{Numerator: 3, Denominator: 21}
		got := w.Of([]outbox.Notice{n}).Summary
		for _, want := range tt.want {
			if !strings.Contains(got, want) {
				t.Errorf("%s, %s lacks %q: %s", tt.of, tt.kind, want, got)
			}
		}
		for _, no := range []string{"counted", "all sources", "%", "blocked"} {
			if strings.Contains(got, no) {
				t.Errorf("%s, %s has %q: %s", tt.of, tt.kind, no, got)
			}
		}
	}
}

func TestOf_TitleSaysWhatTheKeyIs(t *testing.T) {
	t.Parallel()
	w := Writer{Markup: Text{}}
	for want, labels := range map[string]map[string]string{
		"at campaign spring, source acme: ":          {"source": "acme", "campaign": "spring"},
		"at sending IP 192.0.2.1, source acme: ":     {"source": "acme", "sending_ip": "192.0.2.1"},
		"at IP pool bulk, source acme: ":             {"source": "acme", "ip_pool": "bulk"},
		"at sending domain a.example, all sources: ": {"sending_domain": "a.example"},
		"at acme: ":                   {"source": "acme"},
		"at all sources: ":            {"all": "all"},
		"at gmail.com, all sources: ": {"recipient_domain": "gmail.com"},
	} {
		n := Example(schemas.NotifyFiring, time.Now())
		n.Alert.Labels = labels
		if got := w.Of([]outbox.Notice{n}).Summary; !strings.Contains(got, want) {
			t.Errorf("no %q in %s", want, got)
		}
	}
}

// The causes of an alert are those of blocks: of complaints or hard bounces in the same
// window they explain nothing, and advise nothing.
func TestOf_CausesOfBlocksAreToldWhereBlocksCount(t *testing.T) {
	t.Parallel()
	w := Writer{Markup: Text{}}
	for _, m := range metric.List() {
		n := Example(schemas.NotifyFiring, time.Now())
		n.Alert.Metric, n.Facts.Reasons = m.Name, nil
		n.Facts.Causes = map[string]int64{string(schemas.CauseContent): 727}
		n.Facts.Measure = &schemas.AlertMeasure{Numerator: 61, Denominator: 2_605}
		got := w.Of([]outbox.Notice{n}).Summary
		blocks := m.Name == metric.BlockRate || m.Name == metric.DeliveryRate
		if told := strings.Contains(got, "content 727"); told != blocks {
			t.Errorf("%s tells the causes of blocks: %t: %s", m.Name, told, got)
		}
		if advised := strings.Contains(got, adviceByCause(schemas.CauseContent)); advised != blocks {
			t.Errorf("%s advises by the causes of blocks: %t: %s", m.Name, advised, got)
		}
	}
}

func TestOf_LinksLeadToTheIncidentAndAreLeftOutElse(t *testing.T) {
	t.Parallel()
	n := Example(schemas.NotifyFiring, time.Date(2026, 11, 2, 9, 30, 0, 0, time.UTC))
	n.Alert.Labels[schemas.DimensionDomain] = `a'); DROP TABLE events; --\`
	if got := (Writer{Markup: Text{}}).Of([]outbox.Notice{n}); len(got.Links) != 0 {
		t.Errorf("links to nowhere: %v", got.Links)
	}
	links := Links{Console: "https://c.example/incidents/", Runbook: "https://r.example", SQL: "https://ch.example/play"}
	got := Writer{Markup: Text{}, Links: links}.Of([]outbox.Notice{n}).Links
	if len(got) != 3 || got[0].URL != "https://c.example/incidents/"+n.Facts.Incident || got[1].URL != "https://r.example" {
		t.Fatalf("links: %v", got)
	}
	_, encoded, _ := strings.Cut(got[2].URL, "#")
	query, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil || !strings.Contains(string(query), `recipient_domain = 'a\'); DROP TABLE events; --\\'`) || !strings.Contains(string(query), "time >= '2026-11-02 08:15:00'") {
		t.Errorf("query: %s, %v", query, err)
	}
}

func TestOf_DigestNamesRulesAndThresholds(t *testing.T) {
	t.Parallel()
	one, other := Example(schemas.NotifyFiring, time.Now()), Example(schemas.NotifyFiring, time.Now())
	other.Alert.Rule, other.Alert.Metric, other.Alert.Threshold, other.Alert.Severity = "complaints", metric.ComplaintRate, 0.001, schemas.SeverityCritical
	other.Alert.Labels = map[string]string{"source": "acme", "campaign": "spring"}
	got := Writer{Markup: Text{}}.Of([]outbox.Notice{one, other, one})
	if got.Footer != "rule test (threshold 60 % in 15 minutes), rule complaints (threshold 0.1 % in 15 minutes)" {
		t.Errorf("footer: %s", got.Footer)
	}
	if got.Title != "2 destinations over their threshold" || got.Severity != schemas.SeverityCritical {
		t.Errorf("%s: %s", got.Severity, got.Title)
	}
}

func TestAdvice_KnowsEveryCauseAndTheReasonsOfTheRunbook(t *testing.T) {
	t.Parallel()
	for _, cause := range schemas.Causes() {
		if adviceByCause(cause) == "" {
			t.Errorf("nothing for cause %s", cause)
		}
	}
	for _, reason := range schemas.Reasons() {
		wanted := slices.Contains([]schemas.Cause{schemas.CauseSender}, schemas.CauseOf(reason)) || reason == schemas.SpamContent
		if wanted && adviceByReason(reason) == "" {
			t.Errorf("nothing for reason %s", reason)
		}
	}
	for _, m := range metric.List() {
		if m.Name != metric.BlockRate && m.Name != metric.DeliveryRate && m.Name != metric.UnknownShare && adviceByMetric(m.Name) == "" {
			t.Errorf("nothing for metric %s", m.Name)
		}
	}
}

func TestOf_ReceiverThatFails(t *testing.T) {
	t.Parallel()
	n := Example(schemas.NotifyFiring, time.Now())
	n.Alert.Rule, n.Alert.Labels = schemas.RuleReceiver, map[string]string{schemas.LabelReceiver: "pager"}
	n.Facts.Answer, n.Facts.Reasons, n.Facts.Causes = "invalid_routing_key", nil, nil
	w := Writer{Markup: Text{}, Links: Links{SQL: "https://ch.example/play"}}
	got := w.Of([]outbox.Notice{n})
	if got.Title != "Receiver pager does not take messages" || !strings.Contains(got.Summary, "invalid_routing_key") || !strings.Contains(got.Summary, "test-receiver pager") || len(got.Links) != 0 {
		t.Errorf("%+v", got)
	}
	for ended, want := range map[schemas.AlertEnd]string{
		schemas.EndRecovered: "Receiver pager takes messages", schemas.EndRuleGone: "Receiver pager is no longer configured",
		schemas.EndNoTraffic: "No message waits for receiver pager any more",
	} {
		n.Kind, n.Facts.Ended = schemas.NotifyResolved, ended
		if got := w.Of([]outbox.Notice{n}); got.Title != want {
			t.Errorf("%s: %s", ended, got.Title)
		}
	}
}

func TestOf_LateSaysThatItIsOverAndThatNobodyWasCalled(t *testing.T) {
	t.Parallel()
	n := Example(schemas.NotifyResolved, time.Now())
	n.Facts.Late, n.Alert.Severity, n.Alert.ResolvedAt = true, schemas.SeverityInfo, n.Facts.Since.Add(40*time.Minute)
	got := (Writer{Markup: Text{}}).Of([]outbox.Notice{n})
	if !strings.HasPrefix(got.Title, "Seen late: ") || !strings.Contains(got.Summary, "lasted 40 min") || !strings.Contains(got.Summary, "nobody was called") || got.Severity != schemas.SeverityInfo {
		t.Errorf("%s: %s", got.Title, got.Summary)
	}
}
