package alerting

import (
	"context"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mailstream/mailstream/services/internal/platform"
	"github.com/mailstream/mailstream/services/internal/platform/config"
	"github.com/mailstream/mailstream/services/internal/platform/kafka"
	"github.com/mailstream/mailstream/services/internal/platform/kafka/kafkatest"
	"github.com/mailstream/mailstream/services/internal/platform/lifecycle"
	"github.com/mailstream/mailstream/services/internal/platform/lifecycle/lifecycletest"
	"github.com/mailstream/mailstream/services/servicetest"
)

func buildLife(kc kafka.Config, reg *prometheus.Registry, opt options, change func(*Config)) (*Service, error) {
	cfg := Default()
	cfg.Listen, cfg.MetricsListen = "127.0.0.1:8083", "127.0.0.1:9083"
	cfg.Tokens = []config.Secret{config.Literal(token)}
	cfg.Slack.WebhookURL = config.Literal("http://127.0.0.1:8090/services/T0/B0/secret")
	change(&cfg)
	opt.now = time.Now
	return newService(cfg, platform.Shared{Kafka: kc, Log: kafkatest.Silent(), Registry: reg}, opt)
}

func TestTasks_AreTheListOfTheArchitecture(t *testing.T) {
	t.Parallel()
	s, err := buildLife(kafka.Default(), prometheus.NewRegistry(), options{}, func(*Config) {})
	if err != nil {
		t.Fatal(err)
	}
	lifecycletest.Documented(t, "../../ARCHITECTURE.md", "alerting", s.tasks())
	if err := s.life.Close(); err != nil {
		t.Error(err)
	}
}

func TestNew_LeavesNothingWhenAPartFails(t *testing.T) {
	t.Parallel()
	lifecycletest.HalfBuilt(t, func(reg *prometheus.Registry) (*lifecycle.Life, error) {
		s, err := buildLife(kafka.Default(), reg, options{}, func(*Config) {})
		if s == nil {
			return nil, err
		}
		return s.life, err
	})
}

func TestService_LeavesNothingWhereverItEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := kafkatest.StartVirtual(t)
		client := &http.Client{Transport: &http.Transport{DialContext: b.Network.DialContext}}
		r := &rig{t: t, kafka: b.Config, clock: &servicetest.Clock{}}
		lifecycletest.Stress(t, 1, func() lifecycletest.Service {
			r.send(delivered(20, "example.com"), blocked(5, "example.com"))
			s, err := buildLife(b.Config, prometheus.NewRegistry(), options{transport: client.Transport}, func(c *Config) { c.ListenFunc = b.Network.Listen })
			if err != nil {
				t.Fatal(err)
			}
			return lifecycletest.Service{Life: s.life, Tasks: s.tasks(), Use: func(ctx context.Context) { use(ctx, t, client) }}
		})
		client.CloseIdleConnections()
	})
}

// use asks for the alerts.
func use(ctx context.Context, t *testing.T, client *http.Client) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://127.0.0.1:8083/v1/alerts", nil)
	if err != nil {
		t.Error(err)
		return
	}
	req.Header.Set("Authorization", "Bearer "+token)
	resp, err := client.Do(req)
	if err != nil {
		return // it does not listen
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Errorf("status %d", resp.StatusCode)
	}
}
