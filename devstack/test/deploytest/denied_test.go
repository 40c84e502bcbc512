//go:build kafka

package deploytest

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/mailstream/mailstream/devstack/apachekafka"
	"github.com/mailstream/mailstream/devstack/engine/enginetest"
	"github.com/mailstream/mailstream/services/pipeline"
	"github.com/mailstream/mailstream/services/servicetest"
)

// takeAway takes a right away from the user of a service, on everything.
func takeAway(t *testing.T, b *apachekafka.Broker, name pipeline.Name, right kadm.ACLOperation) {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(b.Addr()))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	rights := kadm.NewACLs().Allow("User:mailstream-" + string(name)).AllowHosts().AnyResource().
		ResourcePatternType(kadm.ACLPatternAny).Operations(right)
	deleted, err := kadm.NewClient(client).DeleteACLs(t.Context(), rights)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, d := range deleted {
		n += len(d.Deleted)
	}
	if n == 0 {
		t.Fatalf("%s had no such right", name)
	}
}

func TestKafkaACLs_TakenAwayWhileServicesRun(t *testing.T) {
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
	for _, name := range []pipeline.Name{pipeline.Analytics, pipeline.Suppression, pipeline.Alerting} {
		t.Run(string(name), func(t *testing.T) {
			core, lines := observer.New(zapcore.WarnLevel)
			service, err := pipeline.New(load(t, b, name), name, zap.New(core))
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), servicetest.Patience)
			defer cancel()
			ended := make(chan error, 1)
			go func() { ended <- service.Run(ctx) }()
			select {
			case <-service.Ready():
			case err := <-ended:
				t.Fatalf("ended before it was ready: %v", err)
			}
			takeAway(t, b, name, kadm.OpRead)
			if err := <-ended; err == nil || !strings.Contains(err.Error(), "not authorized") {
				t.Errorf("ended with %v, want that it is not authorized", err)
			}
			if n := lines.Len(); n > 50 {
				t.Errorf("%d lines", n)
			}
		})
	}
	t.Run("ingress", func(t *testing.T) {
		service := run(t, b, pipeline.Ingress)
		status := func(method, path, body string) int {
			r, err := http.NewRequestWithContext(t.Context(), method, "http://"+service.Addr()+path, strings.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			r.SetBasicAuth("hook", "hook")
			response, err := http.DefaultClient.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			_ = response.Body.Close() // its status is all we want
			return response.StatusCode
		}
		post := func() int {
			return status(http.MethodPost, "/v1/webhooks/mailjet", fmt.Sprintf(`{"event":"sent","time":%d,"MessageID":1942,"email":"a@example.com"}`, time.Now().Unix()))
		}
		servicetest.Eventually(t, "a webhook is taken", func() bool { return post() == http.StatusOK })
		takeAway(t, b, pipeline.Ingress, kadm.OpWrite)
		servicetest.Eventually(t, "a webhook is refused", func() bool { return post() == http.StatusServiceUnavailable })
		servicetest.Eventually(t, "it says so", func() bool { return status(http.MethodGet, "/readyz", "") == http.StatusServiceUnavailable })
		applyACLs(t, b)
		servicetest.Eventually(t, "a webhook is taken again", func() bool { return post() == http.StatusOK })
		servicetest.Eventually(t, "it says so, too", func() bool { return status(http.MethodGet, "/readyz", "") == http.StatusOK })
	})
}
