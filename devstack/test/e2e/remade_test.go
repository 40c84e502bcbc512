package e2e

import (
	"fmt"
	"maps"
	"net/http"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"go.uber.org/zap"

	"github.com/mailstream/mailstream/services/pipeline"
	"github.com/mailstream/mailstream/services/servicetest"
)

// deleteTopics deletes topics by their names without the prefix.
func (w *world) deleteTopics(names ...string) {
	w.t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(w.stack.Kafka()))
	if err != nil {
		w.t.Fatal(err)
	}
	defer client.Close()
	full := make([]string, len(names))
	for i, name := range names {
		full[i] = w.prefix + name
	}
	if _, err := kadm.NewClient(client).DeleteTopics(w.t.Context(), full...); err != nil {
		w.t.Fatal(err)
	}
}

// makeTopics makes the topics that are missing. Brokers take a moment to forget
// one that was deleted.
func (w *world) makeTopics() {
	w.t.Helper()
	var err error
	servicetest.EventuallyOr(w.t, func() bool {
		err = pipeline.ApplyTopics(w.t.Context(), w.stack.Config(), zap.NewNop())
		return err == nil
	}, func() string { return err.Error() })
}

// wantReady waits until every service answers /readyz with status.
func (w *world) wantReady(status int, names ...pipeline.Name) {
	w.t.Helper()
	for _, name := range names {
		got, text := 0, ""
		servicetest.EventuallyOr(w.t, func() bool {
			resp, err := http.Get(w.stack.URL(name) + "/readyz")
			if err != nil {
				got, text = 0, err.Error() // between two starts
				return false
			}
			got, text = resp.StatusCode, resp.Status
			return resp.Body.Close() == nil && got == status
		}, func() string { return fmt.Sprintf("/readyz of %s is %d %s, want %d", name, got, text, status) })
	}
}

// addresses returns where every service and its metrics are.
func (w *world) addresses() map[pipeline.Name][2]string {
	at := map[pipeline.Name][2]string{}
	for _, name := range pipeline.Names() {
		at[name] = [2]string{w.stack.URL(name), w.stack.MetricsURL(name)}
	}
	return at
}

// bounce posts a hard bounce of person until it is taken.
func (w *world) bounce(n int, person string) {
	w.t.Helper()
	body := fmt.Sprintf(`{"event":"bounce","time":%d,"MessageID":%d,"email":%q,"hard_bounce":true,"error_related_to":"recipient","error":"user unknown"}`,
		time.Now().Unix(), messageID+n, person)
	w.insist(body)
}

// insist posts body until it is taken, as a provider does.
func (w *world) insist(body string) {
	w.t.Helper()
	status, text := 0, ""
	servicetest.EventuallyOr(w.t, func() bool {
		status, text = w.call(http.MethodPost, w.stack.URL(pipeline.Ingress)+"/v1/webhooks/mailjet", body, func(r *http.Request) { r.SetBasicAuth("dev", "dev") })
		return status == http.StatusOK
	}, func() string { return fmt.Sprintf("webhook answered %d %s", status, text) })
}

func TestTopics_DeletedAndMadeAnewAreTakenUp(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name   string
		topics []string
		blind  []pipeline.Name // not ready while the topics are gone
	}{
		{"of events", []string{"bounced", "delivered", "blocked"}, []pipeline.Name{pipeline.Alerting, pipeline.Suppression, pipeline.Analytics, pipeline.Ingress}},
		{"of rates", []string{"rates"}, []pipeline.Name{pipeline.Alerting}},
		{"of alerts", []string{"alerts"}, []pipeline.Name{pipeline.Alerting, pipeline.Analytics}},
		{"of suppressions", []string{"suppressions"}, []pipeline.Name{pipeline.Suppression, pipeline.Analytics}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			for i := range 10 {
				w.bounce(i, fmt.Sprintf("before-%d@example.net", i))
			}
			w.settled("before.example")
			const bounces = "SELECT count() FROM events WHERE type = 'bounced' AND recipient_domain = 'example.net'"
			w.wantSQL(bounces, "10")

			addresses := w.addresses()
			w.deleteTopics(tc.topics...)
			w.wantReady(http.StatusServiceUnavailable, tc.blind...)
			w.makeTopics()
			for i := range 5 {
				w.bounce(100+i, fmt.Sprintf("after-%d@example.net", i))
			}
			w.wantSQL(bounces, "15")
			w.wantReady(http.StatusOK, pipeline.Names()...)
			servicetest.EventuallyOr(w.t, func() bool { return len(w.check("marketing", "after-0@example.net", "after-4@example.net")) == 2 },
				func() string { return "what bounced since is not suppressed" })
			w.insist(mail{"after.example", 30, 0, time.Now()}.request(t))
			servicetest.EventuallyOr(w.t, func() bool { return w.alerts()["recipient_domain=after.example"] == "firing" }, func() string { return "no alert since" })
			w.wantSQL("SELECT count() FROM events WHERE recipient_domain = 'after.example'", "30")
			w.wantSQL(bounces, "15")
			if got := w.addresses(); !maps.Equal(got, addresses) {
				t.Errorf("the services that started again listen at %v, before at %v", got, addresses)
			}
		})
	}
}

func TestTopics_AddedPartitionsLoseNothingAndAreTold(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	client, err := kgo.NewClient(kgo.SeedBrokers(w.stack.Kafka()))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	const added = 4
	if _, err := kadm.NewClient(client).CreatePartitions(t.Context(), added, w.prefix+"other"); err != nil {
		t.Fatal(err)
	}
	w.wantReady(http.StatusServiceUnavailable, pipeline.Ingress, pipeline.Analytics)
	w.wantReady(http.StatusOK, pipeline.Suppression, pipeline.Alerting) // they do not use it
	before, n := w.stack.Config().Kafka.Topics.Partitions, 0
	servicetest.EventuallyOr(w.t, func() bool { // until the producer knows the new ones
		n++
		w.insist(fmt.Sprintf(`{"event":"teleported","time":%d,"MessageID":%d,"email":"reader-%d@example.net"}`, time.Now().Unix(), messageID+n, n))
		for _, r := range w.records(w.prefix + "other") {
			if r.Partition >= before {
				return true
			}
		}
		return false
	}, func() string { return "nothing is written to the new partitions" })
	w.wantSQL("SELECT uniqExact(message_id) FROM events WHERE type = 'other'", fmt.Sprint(n))
}
