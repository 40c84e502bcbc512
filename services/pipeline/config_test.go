package pipeline_test

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap"

	"github.com/mailstream/mailstream/services/pipeline"
)

// environment gives every secret of the files below a value.
func environment(more ...string) []string {
	return append([]string{
		"MAILSTREAM_PEPPER=0123456789abcdef0123456789abcdef", "MAILJET_HOOK_PASSWORD=b2a1c7d05be2f3a4", "SUPPRESSION_TOKEN=4a1be0c7d92f6e83b5",
		"ALERTING_TOKEN=9f3c5d7e1b2a4068c1", "SLACK_WEBHOOK_URL=https://hooks.slack.com/services/T/B/x",
	}, more...)
}

// The configuration that the documentation promises, letter by letter, but for
// the rules that it leaves to the reader and a secret in a file.
func TestLoad_TakesTheContractsConfiguration(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("testdata/contract.yaml")
	if err != nil {
		t.Fatal(err)
	}
	in := pipeline.Input{File: text, Name: "contract.yaml", Environ: environment("MAILSTREAM_INGRESS_ALLOW_UNAUTHENTICATED=true")}
	_, _, err = pipeline.Load(in)
	got := strings.Split(fmt.Sprint(err), "\n")
	if len(got) != 3 || !strings.Contains(got[1], "contract.yaml:21:11: alerting.rules[0]: is a single value: want a mapping with some of name, ") ||
		!strings.Contains(got[2], "contract.yaml:12:29: ingress.sources[1].auth.signing_keys[0]: read secret: open /run/secrets/mailgun: no such file") {
		t.Errorf("faults: %v", err)
	}
	whole := strings.NewReplacer("rules: [...]", "rules: [{name: spike}]", "file:/run/secrets/mailgun", "0123456789abcdef").Replace(string(text))
	in.File = []byte(whole)
	cfg, unused, err := pipeline.Load(in)
	if err != nil || len(unused) > 0 {
		t.Fatal(err, unused)
	}
	have := []any{
		cfg.Kafka.Brokers[0], cfg.Kafka.TopicPrefix, cfg.ClickHouse.URL, cfg.Privacy.Pepper.Reveal()[:4], cfg.Ingress.Listen, len(cfg.Ingress.Sources),
		cfg.Ingress.Sources[0].Auth.Basic.Username, cfg.Ingress.Sources[2].Auth.None, cfg.Suppression.Tokens[0].Reveal(), cfg.Alerting.Rules[0].Name,
	}
	want := []any{"127.0.0.1:9092", "email.", "http://127.0.0.1:8123", "0123", "127.0.0.1:8080", 3, "hook", true, "4a1be0c7d92f6e83b5", "spike"}
	if diff := cmp.Diff(want, have); diff != "" {
		t.Error(diff)
	}
	in.Environ = environment()
	if _, _, err := pipeline.Load(in); err == nil || !strings.Contains(err.Error(), "contract.yaml:15:13: ingress.sources[2].auth: none needs ingress.allow_unauthenticated: true") {
		t.Errorf("auth: none without leave: %v", err)
	}
}

// base is a configuration that starts; each case of a table changes it.
const base = `
kafka: {brokers: [127.0.0.1:1]}
privacy: {pepper: env:MAILSTREAM_PEPPER}
state: {dir: %q}
ingress:
  listen: 127.0.0.1:0
  sources: [{name: acme, provider: mailjet, auth: {basic: {username: hook, password: env:MAILJET_HOOK_PASSWORD}}}]
analytics: {listen: 127.0.0.1:0}
suppression: {listen: 127.0.0.1:0, tokens: [env:SUPPRESSION_TOKEN]}
alerting: {listen: 127.0.0.1:0, tokens: [env:ALERTING_TOKEN]}
`

// What Load refuses does not start, and what it lets pass can be built: that is
// all that a start does before it looks for its servers.
func TestLoad_WhatIsCheckedIsWhatStarts(t *testing.T) {
	t.Parallel()
	const all = "all"
	for _, tc := range []struct {
		name    string
		set     []string // variables that change the base
		refuses string   // the fault, "" for none
		only    string   // the service that has it; all for everybody
	}{
		{"base", nil, "", ""},
		{"no source", []string{"INGRESS_SOURCES=[]"}, "ingress.sources: is empty", "ingress"},
		{"a body that no dead letter takes", []string{"INGRESS_BODY_BYTES_MAX=16MiB"}, "ingress.body_bytes_max: 16MiB does not fit into a dead letter", "ingress"},
		{"dead letters smaller than bodies", []string{"KAFKA_TOPICS_DEAD_LETTER_BYTES_MAX=1MiB"}, "ingress.body_bytes_max: 4MiB does not fit", "ingress"},
		{"rates that are gone before the window", []string{"KAFKA_TOPICS_RATES_RETENTION=1h", "ALERTING_RULES=[{name: r, window: 1h}]"}, "kafka.topics.rates_retention: 1h is too short for a window of 1h", "alerting"},
		{"rates that are just there", []string{"KAFKA_TOPICS_RATES_RETENTION=70m", "ALERTING_RULES=[{name: r, window: 1h}]"}, "", ""},
		{"no rule", []string{"ALERTING_RULES=[]"}, "alerting.rules: ", "alerting"},
		{"the smallest batch", []string{"ANALYTICS_BATCH_BYTES_MAX=64KiB", "ANALYTICS_BATCH_ROWS_MAX=1"}, "", ""},
		{"the largest batch", []string{"ANALYTICS_BATCH_BYTES_MAX=512MiB", "ANALYTICS_FLUSH_INTERVAL=30s"}, "", ""},
		{"an hour sealed while an insert is on its way", []string{"CLICKHOUSE_INSERT_TIMEOUT=1h"}, "analytics.seal_rest: 10m is not above clickhouse.insert_timeout 1h", "analytics"},
		{"an hour sealed right behind it", []string{"ANALYTICS_SEAL_REST=1m"}, "analytics.seal_rest: 1m is not above", "analytics"},
		{"the shortest rest", []string{"ANALYTICS_SEAL_REST=61s"}, "", ""},
		{"a part of a source that is none", []string{"ANALYTICS_KEEP=[{source: akme, rows: aggregated}]"}, `analytics.keep[0].source: "akme" is not one of ingress.sources ["acme"]`, "analytics"},
		{"a part that is none", []string{"ANALYTICS_KEEP=[{source: acme, types: [opened], rows: sampled}]"}, "analytics.keep[0].rate: 0 is not in [0.0001, 1]", "analytics"},
		{"a rule by tag", []string{"ANALYTICS_KEEP=[{types: [delivered], rows: aggregated}]", "ALERTING_RULES=[{name: r, by: [tag]}]"}, "alerting.rules[0].by: ", "alerting"},
		{"a rule by tag of all events", []string{"ANALYTICS_KEEP=[{types: [delivered], rows: all}]", "ALERTING_RULES=[{name: r, by: [tag]}]"}, "", ""},
		{"no token", []string{"SUPPRESSION_TOKENS="}, "suppression.tokens: ", "suppression"},
		{"no pepper", []string{"PRIVACY_PEPPER=short"}, "privacy.pepper: has 5 bytes", "ingress suppression console"},
		{"a missing authority", []string{"KAFKA_TLS_ENABLED=true", "KAFKA_TLS_CA_FILE=/not/there.pem"}, "read kafka.tls.ca_file", all},
		{"PLAIN in the open", []string{"KAFKA_SASL_MECHANISM=PLAIN", "KAFKA_SASL_USERNAME=u", "KAFKA_SASL_PASSWORD=p"}, "kafka.sasl.mechanism: PLAIN sends", all},
		{"a producer without room", []string{"INGRESS_PRODUCER_BUFFER_BYTES_MAX=9223372036854775807"}, "ingress.producer.buffer_bytes_max", "ingress"},
		{"a producer that no dead letter fits", []string{"INGRESS_PRODUCER_BUFFER_BYTES_MAX=1B"}, "ingress.producer.buffer_bytes_max: 1B does not hold one dead letter", "ingress"},
		{"a publish longer than its answer", []string{"INGRESS_PRODUCER_PUBLISH_TIMEOUT=2m", "INGRESS_PRODUCER_DELIVERY_TIMEOUT=2m"}, "ingress.producer.publish_timeout: 2m0s is not below http.write_timeout 1m30s", "ingress"},
		{"a check longer than its answer", []string{"SUPPRESSION_TOKEN_WAIT=10s", "SUPPRESSION_HTTP_READ_TIMEOUT=1s", "SUPPRESSION_HTTP_WRITE_TIMEOUT=5s"}, "suppression.token_wait: 10s is not below http.write_timeout 5s", "suppression"},
		{"published token off this host", []string{"SUPPRESSION_LISTEN=0.0.0.0:0", "SUPPRESSION_TOKENS=dev"}, "suppression.tokens[0]: is published", "suppression"},
		{"the same in development", []string{"SUPPRESSION_LISTEN=0.0.0.0:0", "SUPPRESSION_TOKENS=dev", "MODE=development"}, "", ""},
		{"a mode that is none", []string{"MODE=test"}, `mode: "test" is neither`, all},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			in := pipeline.Input{File: fmt.Appendf(nil, base, t.TempDir()), Name: "c.yaml", Environ: environment()}
			for _, kv := range tc.set {
				in.Environ = append(in.Environ, "MAILSTREAM_"+kv)
			}
			anybody := error(nil)
			for _, name := range pipeline.Names() {
				in.Services = []pipeline.Name{name}
				err := start(in, name)
				want := tc.refuses != "" && (tc.only == all || strings.Contains(tc.only, string(name)))
				if (err != nil) != want || want && !strings.Contains(err.Error(), tc.refuses) {
					t.Errorf("%s: %v, want a fault %v with %q", name, err, want, tc.refuses)
				}
				if err != nil {
					anybody = err
				}
			}
			in.Services = nil
			if err := start(in, pipeline.Names()...); (err != nil) != (anybody != nil) {
				t.Errorf("together: %v, alone: %v", err, anybody)
			}
		})
	}
}

// start does what a start does, without running.
func start(in pipeline.Input, names ...pipeline.Name) error {
	cfg, _, err := pipeline.Load(in)
	if err != nil {
		return err
	}
	for _, name := range names {
		if _, err := pipeline.New(cfg, name, zap.NewNop()); err != nil {
			return err
		}
	}
	return nil
}

func TestLoad_RefusesTwoListenersAtOnePlaceOfOneProcess(t *testing.T) {
	t.Parallel()
	in := pipeline.Input{File: fmt.Appendf(nil, base, "state"), Environ: environment("MAILSTREAM_ALERTING_LISTEN=127.0.0.1:8082", "MAILSTREAM_SUPPRESSION_LISTEN=127.0.0.1:8082")}
	if _, _, err := pipeline.Load(in); err == nil || !strings.Contains(err.Error(), "127.0.0.1:8082 is taken by ") {
		t.Errorf("together: %v", err)
	}
	in.Services = []pipeline.Name{pipeline.Alerting}
	if _, _, err := pipeline.Load(in); err != nil {
		t.Errorf("alone: %v", err)
	}
	in.Services, in.Environ = nil, environment("MAILSTREAM_SUPPRESSION_LISTEN=127.0.0.1:8082", "MAILSTREAM_ALERTING_METRICS_LISTEN=:8082")
	if _, _, err := pipeline.Load(in); err == nil || !strings.Contains(err.Error(), "is taken by alerting.metrics_listen :8082 in the same process") {
		t.Errorf("metrics at the place of an API: %v", err)
	}
}

// Units are taken alike wherever there is a duration or a size.
func TestLoad_TakesDaysAndUnitsEverywhere(t *testing.T) {
	t.Parallel()
	in := pipeline.Input{File: fmt.Appendf(nil, base, "state"), Environ: environment("MAILSTREAM_KAFKA_TOPICS_RETENTION=7d", "MAILSTREAM_ANALYTICS_RETENTION_EVENTS=1w",
		"MAILSTREAM_SUPPRESSION_HARD_BOUNCE_PROBATION=30d", "MAILSTREAM_INGRESS_BODY_BYTES_MAX=4 MB", "MAILSTREAM_ALERTING_RULES=[{name: r, window: 15m, stale_after: 1d}]")}
	cfg, _, err := pipeline.Load(in)
	if err != nil {
		t.Fatal(err)
	}
	const day = 24 * time.Hour
	got := []any{cfg.Kafka.Topics.Retention, cfg.Analytics.Retention.Events, cfg.Suppression.HardBounceProbation, int(cfg.Ingress.BodyBytesMax), cfg.Alerting.Rules[0].StaleAfter}
	if diff := cmp.Diff([]any{7 * day, 7 * day, 30 * day, 4_000_000, day}, got); diff != "" {
		t.Error(diff)
	}
}
