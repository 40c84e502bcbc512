package suppression

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/internal/address"
	"github.com/mailstream/mailstream/services/internal/platform"
	"github.com/mailstream/mailstream/services/internal/platform/config"
	"github.com/mailstream/mailstream/services/internal/platform/kafka"
	"github.com/mailstream/mailstream/services/internal/platform/kafka/kafkatest"
	"github.com/mailstream/mailstream/services/internal/platform/lifecycle"
	"github.com/mailstream/mailstream/services/internal/platform/lifecycle/lifecycletest"
)

// buildLife makes a replica of a network inside the process.
func buildLife(t *testing.T, kc kafka.Config, dir string, reg *prometheus.Registry, change func(*Config)) (*Service, error) {
	t.Helper()
	hasher, err := address.NewHasher(config.Literal("pepper-of-the-suppression-tests"))
	if err != nil {
		t.Fatal(err)
	}
	cfg := Default()
	cfg.Listen, cfg.MetricsListen = "127.0.0.1:8082", "127.0.0.1:9082"
	cfg.AllowUnauthenticated = true
	change(&cfg)
	return New(cfg, platform.Shared{Kafka: kc, Hasher: hasher, Log: kafkatest.Silent(), Registry: reg, StateDir: dir})
}

func TestTasks_AreTheListOfTheArchitecture(t *testing.T) {
	t.Parallel()
	s, err := buildLife(t, kafka.Default(), t.TempDir(), prometheus.NewRegistry(), func(*Config) {})
	if err != nil {
		t.Fatal(err)
	}
	lifecycletest.Documented(t, "../../ARCHITECTURE.md", "suppression", s.tasks())
	if err := s.life.Close(); err != nil {
		t.Error(err)
	}
}

func TestNew_LeavesNothingWhenAPartFails(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	lifecycletest.HalfBuilt(t, func(reg *prometheus.Registry) (*lifecycle.Life, error) {
		s, err := buildLife(t, kafka.Default(), dir, reg, func(*Config) {})
		if s == nil {
			return nil, err
		}
		return s.life, err
	})
}

func TestService_LeavesNothingWhereverItEnds(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		b := kafkatest.StartVirtual(t)
		client := &http.Client{Transport: &http.Transport{DialContext: b.Network.DialContext}}
		yes, at := true, time.Now()
		lifecycletest.Stress(t, 3, func() lifecycletest.Service {
			e := schemas.Event{
				ID: "0193486f-5a00-8abc-9def-000000000001", Type: schemas.Bounced, Time: at, ReceivedAt: at, Provider: "mailjet", Source: "acme",
				Recipient: "ana@example.com", Permanent: &yes, BounceType: schemas.Hard, Reason: schemas.InvalidRecipient, Cause: schemas.CauseRecipient,
			}
			kafkatest.Produce(t, b.Config, &kgo.Record{Topic: "email.bounced", Value: schemas.AppendJSON(nil, &e)})
			s, err := buildLife(t, b.Config, dir, prometheus.NewRegistry(), func(c *Config) { c.ListenFunc = b.Network.Listen })
			if err != nil {
				t.Fatal(err)
			}
			return lifecycletest.Service{Life: s.life, Tasks: s.tasks(), Use: func(ctx context.Context) { use(ctx, t, client) }}
		})
		client.CloseIdleConnections()
	})
}

// use checks and writes.
func use(ctx context.Context, t *testing.T, client *http.Client) {
	for _, call := range []struct{ method, path, body string }{
		{http.MethodPost, "/v1/suppressions/check", `{"addresses":["ana@example.com"]}`},
		{http.MethodPut, "/v1/suppressions", `{"address":"bo@example.com"}`},
	} {
		req, err := http.NewRequestWithContext(ctx, call.method, "http://127.0.0.1:8082"+call.path, bytes.NewReader([]byte(call.body)))
		if err != nil {
			t.Error(err)
			return
		}
		resp, err := client.Do(req)
		if err != nil {
			return // it does not listen
		}
		body, _ := io.ReadAll(resp.Body) // cut off at the end of ctx
		resp.Body.Close()
		if resp.StatusCode != http.StatusOK && resp.StatusCode != http.StatusServiceUnavailable {
			t.Errorf("%s: status %d %s", call.path, resp.StatusCode, body)
		}
	}
}
