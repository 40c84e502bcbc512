//go:build kafka

package deploytest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest"

	"github.com/mailstream/mailstream/devstack/apachekafka"
	"github.com/mailstream/mailstream/devstack/engine/enginetest"
	"github.com/mailstream/mailstream/services/pipeline"
	"github.com/mailstream/mailstream/services/servicetest"
)

// strictBroker starts a Kafka that asks for a password at EXTERNAL and allows
// nothing that nobody allowed. INTERNAL stays open, to the administrator.
func strictBroker(t *testing.T) *apachekafka.Broker {
	t.Helper()
	users := ""
	for _, name := range append([]string{"topics"}, "ingress", "analytics", "suppression", "alerting", "console") {
		users += fmt.Sprintf(" user_mailstream-%s=\"%s\"", name, password(name))
	}
	b, err := apachekafka.Start(t.Context(), apachekafka.Options{DataDir: t.TempDir(), Log: t.Output(), Properties: map[string]string{
		"authorizer.class.name":                          "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
		"super.users":                                    "User:ANONYMOUS",
		"listener.security.protocol.map":                 "INTERNAL:PLAINTEXT,EXTERNAL:SASL_PLAINTEXT,CONTROLLER:PLAINTEXT",
		"listener.name.external.sasl.enabled.mechanisms": "PLAIN",
		"listener.name.external.plain.sasl.jaas.config":  "org.apache.kafka.common.security.plain.PlainLoginModule required" + users + ";",
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Stop(); err != nil {
			t.Error(err)
		}
	})
	return b
}

func password(user string) string { return "password-of-" + user }

// applyACLs runs deploy/kafka/acls.sh with Kafka's own command.
func applyACLs(t *testing.T, b *apachekafka.Broker) {
	t.Helper()
	tool := b.Tool(t.Context(), "org.apache.kafka.tools.AclCommand")
	script := "#!/bin/sh\nexec"
	for _, word := range tool.Args {
		script += " '" + word + "'"
	}
	path := filepath.Join(t.TempDir(), "kafka-acls.sh")
	if err := os.WriteFile(path, []byte(script+" \"$@\"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "sh", filepath.Join(root, "deploy/kafka/acls.sh"))
	cmd.Env = append(os.Environ(), "BOOTSTRAP="+b.Addr(), "KAFKA_ACLS="+path)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("acls.sh: %v\n%s", err, out)
	}
}

// environment is what a service is given to reach the strict broker.
func environment(t *testing.T, b *apachekafka.Broker, service string) []string {
	t.Helper()
	return []string{
		"MAILSTREAM_KAFKA_BROKERS=" + b.Listener("EXTERNAL"),
		"MAILSTREAM_KAFKA_SASL_MECHANISM=PLAIN", "MAILSTREAM_KAFKA_SASL_ALLOW_PLAINTEXT=true",
		"MAILSTREAM_KAFKA_SASL_USERNAME=mailstream-" + service,
		"MAILSTREAM_KAFKA_SASL_PASSWORD=" + password(service),
		"MAILSTREAM_KAFKA_TOPICS_PARTITIONS=3",
		"MAILSTREAM_CLICKHOUSE_URL=" + enginetest.Start(t).URL(), "MAILSTREAM_CLICKHOUSE_DATABASE=mailstream_acls",
		"MAILSTREAM_STATE_DIR=" + t.TempDir(), "MAILSTREAM_PRIVACY_PEPPER=pepper-of-the-acls-test",
		"MAILSTREAM_INGRESS_LISTEN=127.0.0.1:0", "MAILSTREAM_ANALYTICS_LISTEN=127.0.0.1:0",
		"MAILSTREAM_SUPPRESSION_LISTEN=127.0.0.1:0", "MAILSTREAM_ALERTING_LISTEN=127.0.0.1:0",
		"MAILJET_HOOK_PASSWORD=hook", "SUPPRESSION_TOKEN=token", "ALERTING_TOKEN=token",
		"SLACK_WEBHOOK_URL=http://127.0.0.1:9/", // this test sends no message
	}
}

func load(t *testing.T, b *apachekafka.Broker, name pipeline.Name) pipeline.Config {
	t.Helper()
	config, _, err := pipeline.Load(pipeline.Input{
		File: []byte("ingress: {sources: [{name: mailjet, provider: mailjet, auth: {basic: {username: hook, password: env:MAILJET_HOOK_PASSWORD}}}," +
			" {name: shop, provider: generic, auth: {bearer: shop}, generic: {type: /topic, otherwise: 'webhook:order'}}]}\n" +
			"analytics: {tokens: [env:ALERTING_TOKEN]}\nsuppression: {tokens: [env:SUPPRESSION_TOKEN]}\nalerting: {tokens: [env:ALERTING_TOKEN], slack: {webhook_url: env:SLACK_WEBHOOK_URL}}\n"),
		Environ: environment(t, b, string(name)), Services: []pipeline.Name{name},
	})
	if err != nil {
		t.Fatal(err)
	}
	return config
}

// run starts a service and returns its addresses once it works.
func run(t *testing.T, b *apachekafka.Broker, name pipeline.Name) pipeline.Listeners {
	t.Helper()
	service, err := pipeline.New(load(t, b, name), name, zaptest.NewLogger(t, zaptest.Level(zap.WarnLevel)))
	if err != nil {
		t.Fatal(err)
	}
	servicetest.Start(t, service)
	return service
}

func TestKafkaACLs_AreWhatTheServicesNeed(t *testing.T) {
	b := strictBroker(t)
	applyACLs(t, b)
	if err := pipeline.ApplyTopics(t.Context(), load(t, b, pipeline.Topics), zap.NewNop()); err != nil {
		t.Fatal(err)
	}
	e := enginetest.Start(t)
	t.Cleanup(func() { enginetest.Exec(t, e, "DROP DATABASE IF EXISTS mailstream_acls SYNC") })
	if err := pipeline.MigrateTables(t.Context(), load(t, b, pipeline.Migrate), zap.NewNop()); err != nil {
		t.Fatal(err)
	}
	services := map[pipeline.Name]pipeline.Listeners{}
	for _, name := range pipeline.Names() {
		services[name] = run(t, b, name)
	}

	const hook = `[{"event":"bounce","time":%d,"MessageID":19421777835146490,"email":"gone@example.com","brand_new":1,"hard_bounce":true,"error":"user unknown"},7]`
	answer := call(t, http.MethodPost, "http://"+services[pipeline.Ingress].Addr()+"/v1/webhooks/mailjet", fmt.Sprintf(hook, time.Now().Unix()), func(r *http.Request) {
		r.SetBasicAuth("hook", "hook")
	})
	if want := `{"accepted":1,"dead_lettered":1}`; strings.TrimSpace(answer) != want {
		t.Fatalf("webhook answered %s, want %s", answer, want)
	}

	answer = call(t, http.MethodPost, "http://"+services[pipeline.Ingress].Addr()+"/v1/webhooks/shop", `{"topic":"orders/paid"}`, func(r *http.Request) {
		r.Header.Set("Authorization", "Bearer shop")
	})
	if want := `{"accepted":1,"dead_lettered":0}`; strings.TrimSpace(answer) != want {
		t.Fatalf("webhook of no email answered %s, want %s", answer, want)
	}

	token := func(r *http.Request) { r.Header.Set("Authorization", "Bearer token") }
	servicetest.Eventually(t, "gone@example.com is suppressed", func() bool {
		var check struct {
			Suppressed []struct {
				Reason string `json:"reason"`
			} `json:"suppressed"`
		}
		body := call(t, http.MethodPost, "http://"+services[pipeline.Suppression].Addr()+"/v1/suppressions/check", `{"addresses":["gone@example.com"]}`, token)
		if err := json.Unmarshal([]byte(body), &check); err != nil {
			t.Fatal(err)
		}
		return len(check.Suppressed) == 1 && check.Suppressed[0].Reason == "hard_bounce"
	})
	for what, query := range map[string]string{
		"the event is a row":        "SELECT count() FROM mailstream_acls.events WHERE type = 'bounced'",
		"the suppression is a row":  "SELECT count() FROM mailstream_acls.suppressions",
		"the bad item is a row too": "SELECT count() FROM mailstream_acls.dead_letters",
	} {
		servicetest.Eventually(t, what, func() bool { return enginetest.Exec(t, e, query) == "1" })
	}
	reader, err := kgo.NewClient(kgo.SeedBrokers(b.Addr()), kgo.ConsumeTopics("email.drift"))
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	servicetest.Eventually(t, "the first time of drift is kept", func() bool { // which the ingress does once it has read the topic
		return slices.ContainsFunc(reader.PollRecords(t.Context(), 1).Records(), func(r *kgo.Record) bool { return string(r.Key) == "mailjet/unknown_field/brand_new" })
	})
	for name, service := range services {
		metrics := call(t, http.MethodGet, "http://"+service.MetricsAddr()+"/metrics", "", func(*http.Request) {})
		for line := range strings.Lines(metrics) {
			if strings.Contains(line, `reason="denied"`) && !strings.HasSuffix(strings.TrimSpace(line), " 0") {
				t.Errorf("%s was denied something: %s", name, line)
			}
		}
	}

	t.Run("and no more", func(t *testing.T) { checkDenied(t, b) })
}

// checkDenied tries what a service whose secrets are stolen must not do.
func checkDenied(t *testing.T, b *apachekafka.Broker) {
	t.Helper()
	for _, try := range []struct{ user, topic string }{
		{"ingress", "email.suppressions"}, {"ingress", "email.alerts"}, {"suppression", "email.alert_controls"},
		{"analytics", "webhook.shop.order"}, {"suppression", "webhook.shop.order"}, {"analytics", "email.suppressions"},
		{"alerting", "email.suppressions"}, {"alerting", "email.operations"}, {"alerting", "email.drift"}, {"ingress", "email.audit"}, {"analytics", "email.erasures"}, {"suppression", "email.erasures"}, {"suppression", "email.bounced"}, {"topics", "email.bounced"},
	} {
		client, err := kgo.NewClient(kgo.SeedBrokers(b.Listener("EXTERNAL")),
			kgo.SASL(plain.Auth{User: "mailstream-" + try.user, Pass: password(try.user)}.AsMechanism()))
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), servicetest.Patience)
		err = client.ProduceSync(ctx, &kgo.Record{Topic: try.topic, Value: []byte("{}")}).FirstErr()
		cancel()
		client.Close()
		// The second one is what a user hears who may write to no topic at all.
		if !errors.Is(err, kerr.TopicAuthorizationFailed) && !errors.Is(err, kerr.ClusterAuthorizationFailed) {
			t.Errorf("%s writes to %s: %v, want it denied", try.user, try.topic, err)
		}
	}
}

func call(t *testing.T, method, url, body string, prepare func(*http.Request)) string {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	prepare(r)
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }() // read to its end
	text, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("%s %s: %s %s %v", method, url, response.Status, text, err)
	}
	return string(text)
}
