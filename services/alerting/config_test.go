package alerting

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"go.uber.org/zap"

	"github.com/mailstream/mailstream/services/alerting/internal/rule"
	"github.com/mailstream/mailstream/services/internal/platform"
	"github.com/mailstream/mailstream/services/internal/platform/config"
	"github.com/mailstream/mailstream/services/internal/platform/kafka"
)

type file struct {
	Alerting Config `yaml:"alerting"`
}

func load(text string, environ ...string) (Config, error) {
	f, fresh := file{Default()}, file{Default()}
	_, err := config.Load(&f, fresh, config.Source{File: []byte(text), Name: "test.yaml", Environ: environ})
	return f.Alerting, err
}

func TestConfig_DefaultIsTheHeadlineRule(t *testing.T) {
	t.Parallel()
	c, err := load("alerting: {tokens: [x]}")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]rule.Rule{rule.Default()}, c.rules()); diff != "" {
		t.Errorf("rules (-want +got):\n%s", diff)
	}
}

func TestConfig_RulesReplaceTheDefaultAndCompleteThemselves(t *testing.T) {
	t.Parallel()
	c, err := load(`
alerting:
  rules:
    - {name: strict, threshold: 0.3, window: 5m, by: [recipient_domain]}
    - {name: slow, for: 2m, min_volume: 100}
`)
	if err != nil {
		t.Fatal(err)
	}
	strict := rule.Rule{Name: "strict", Threshold: 0.3, Window: 5 * time.Minute, By: []string{"recipient_domain"}}.WithDefaults()
	slow := rule.Rule{Name: "slow", For: 2 * time.Minute, MinVolume: 100}.WithDefaults()
	if diff := cmp.Diff([]rule.Rule{strict, slow}, c.rules()); diff != "" {
		t.Errorf("rules (-want +got):\n%s", diff)
	}
}

func TestConfig_TakesMaintenanceAndInhibitions(t *testing.T) {
	t.Parallel()
	c, err := load(`
alerting:
  rules: [{name: block_spike}, {name: strict, threshold: 0.3}]
  maintenance: [{name: nightly, start: "0 2 * * sun", duration: 3h, zone: Europe/Berlin, matchers: [{label: source, op: "=~", value: "acme-.*"}]}]
  inhibit: [{by: block_spike, mutes: strict}]
`)
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Maintenance) != 1 || c.Maintenance[0].Duration != 3*time.Hour || c.Maintenance[0].Matchers[0].Op != "=~" || c.Inhibit[0].Mutes != "strict" {
		t.Errorf("read as %+v, %+v", c.Maintenance, c.Inhibit)
	}
}

func TestConfig_SlackComesFromTheEnvironment(t *testing.T) {
	t.Parallel()
	const url = "https://hooks.slack.test/services/T/B/hunter2"
	c, err := load("", "MAILSTREAM_ALERTING_SLACK_WEBHOOK_URL="+url)
	if err != nil {
		t.Fatal(err)
	}
	if c.Slack.WebhookURL.Reveal() != url {
		t.Errorf("webhook is %q", c.Slack.WebhookURL.Reveal())
	}
	if text, err := config.Print(c); err != nil || strings.Contains(text, "hunter2") {
		t.Errorf("printed configuration shows the webhook (%v)", err)
	}
}

func TestConfig_FaultsAreNamed(t *testing.T) {
	t.Parallel()
	_, err := load(`
alerting:
  listen: nowhere
  series_max: 3
  slack: {webhook_url: not a url}
  rules: [{name: a, threshold: 7}, {name: a}]
`)
	if err == nil {
		t.Fatal("no fault found")
	}
	for _, field := range []string{"listen", "series_max", "slack.webhook_url", "rules[0].threshold", "rules[1].name"} {
		if !strings.Contains(err.Error(), "alerting."+field+":") {
			t.Errorf("no fault of %s in: %v", field, err)
		}
	}
	_, err = load(`
alerting:
  maintenance:
    - {name: m, start: "0 2 * * *", matchers: [{label: source, op: "=", value: acme}]}
    - {name: m, start: hourly, duration: 8d, zone: Mars, matchers: [{label: colour, op: is, value: red}]}
  inhibit: [{by: block_spike, mutes: block_spike}, {by: none, mutes: other}]
`)
	for _, field := range []string{
		"maintenance[0].duration: 0s is not in [1m, 7d]", "maintenance[1].name", "maintenance[1].start", "maintenance[1].duration", "maintenance[1].zone",
		"maintenance[1].matchers[0].label", "maintenance[1].matchers[0].op", "inhibit[0].mutes", "inhibit[1].by", "inhibit[1].mutes",
	} {
		if err == nil || !strings.Contains(err.Error(), "alerting."+field) {
			t.Errorf("no fault of %s in: %v", field, err)
		}
	}
	_, err = load("alerting: {rules: [{name: a, threshold: 0, min_volume: 0}]}")
	for _, fault := range []string{"threshold: 0 is not in (0, 1)", "min_volume: 0 is not in [1, 1000000]"} {
		if err == nil || !strings.Contains(err.Error(), "alerting.rules[0]."+fault) {
			t.Errorf("no %s in: %v", fault, err)
		}
	}
	if _, err := load("alerting: {rules: []}"); err == nil {
		t.Error("no rules at all were taken")
	}
}

func TestNew_RefusesRatesThatAreKeptTooShort(t *testing.T) {
	t.Parallel()
	k := kafka.Default()
	k.Topics.RatesRetention = 20 * time.Minute
	_, err := New(Default(), platform.Shared{Kafka: k, Log: zap.NewNop(), Registry: prometheus.NewRegistry()})
	if err == nil || !strings.Contains(err.Error(), "rates_retention") {
		t.Errorf("error: %v", err)
	}
}

func TestMetrics_AreNamedAsPrometheusWants(t *testing.T) {
	t.Parallel()
	cfg, reg := Default(), prometheus.NewRegistry()
	cfg.Slack.WebhookURL = config.Literal("http://127.0.0.1:1/x")
	if _, err := New(cfg, platform.Shared{Kafka: kafka.Default(), Log: zap.NewNop(), Registry: reg}); err != nil {
		t.Fatal(err)
	}
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	ours := 0
	for _, f := range families {
		if strings.HasPrefix(f.GetName(), "mailstream_alerting_") {
			ours++
		}
	}
	if ours < 20 {
		t.Errorf("%d metrics of our own are there at the start", ours)
	}
	problems, err := promlint.NewWithMetricFamilies(families).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}
