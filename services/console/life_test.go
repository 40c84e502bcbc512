package console

import (
	"context"
	"io"
	"net/http"
	"testing"
	"testing/synctest"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mailstream/mailstream/services/internal/address"
	"github.com/mailstream/mailstream/services/internal/platform"
	"github.com/mailstream/mailstream/services/internal/platform/clickhouse"
	"github.com/mailstream/mailstream/services/internal/platform/config"
	"github.com/mailstream/mailstream/services/internal/platform/kafka"
	"github.com/mailstream/mailstream/services/internal/platform/kafka/kafkatest"
	"github.com/mailstream/mailstream/services/internal/platform/lifecycle"
	"github.com/mailstream/mailstream/services/internal/platform/lifecycle/lifecycletest"
)

// build makes a console whose ClickHouse and services are away.
func build(t *testing.T, kc kafka.Config, reg *prometheus.Registry, change func(*Config)) (*Service, error) {
	t.Helper()
	hasher, err := address.NewHasher(config.Literal("pepper-of-the-console-tests"))
	if err != nil {
		t.Fatal(err)
	}
	cfg := Default()
	cfg.Listen, cfg.MetricsListen = "127.0.0.1:8088", "127.0.0.1:9088"
	change(&cfg)
	store := clickhouse.Default()
	store.URL = "http://127.0.0.1:1" // nobody listens there
	world := World{Sources: []Source{{Name: "acme", Provider: "mailjet"}}}
	return New(cfg, world, platform.Shared{Kafka: kc, ClickHouse: store, Hasher: hasher, Log: kafkatest.Silent(), Registry: reg})
}

func TestTasks_AreTheListOfTheArchitecture(t *testing.T) {
	t.Parallel()
	s, err := build(t, kafka.Default(), prometheus.NewRegistry(), func(*Config) {})
	if err != nil {
		t.Fatal(err)
	}
	lifecycletest.Documented(t, "../../ARCHITECTURE.md", "console", s.tasks())
	if err := s.life.Close(); err != nil {
		t.Error(err)
	}
}

func TestNew_LeavesNothingWhenAPartFails(t *testing.T) {
	t.Parallel()
	lifecycletest.HalfBuilt(t, func(reg *prometheus.Registry) (*lifecycle.Life, error) {
		s, err := build(t, kafka.Default(), reg, func(*Config) {})
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
		lifecycletest.Stress(t, 3, func() lifecycletest.Service {
			s, err := build(t, b.Config, prometheus.NewRegistry(), func(c *Config) { c.ListenFunc = b.Network.Listen })
			if err != nil {
				t.Fatal(err)
			}
			return lifecycletest.Service{Life: s.life, Tasks: s.tasks(), Use: func(ctx context.Context) {
				req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://127.0.0.1:8088/login", nil)
				if err != nil {
					t.Error(err)
					return
				}
				resp, err := client.Do(req)
				if err != nil {
					return // it does not listen
				}
				defer resp.Body.Close()
				_, _ = io.Copy(io.Discard, resp.Body) // cut off at the end of ctx
				if resp.StatusCode != http.StatusOK {
					t.Errorf("status %d", resp.StatusCode)
				}
			}}
		})
		client.CloseIdleConnections()
	})
}

func TestConfig_WithoutAWayInItListensOnThisHostOnly(t *testing.T) {
	t.Parallel()
	for listen, fine := range map[string]bool{"127.0.0.1:8088": true, "localhost:8088": true, "[::1]:8088": true, "0.0.0.0:8088": false, ":8088": false, "10.0.0.1:8088": false} {
		var p config.Problems
		c := Default()
		c.Listen = listen
		c.Validate(p.At("console"))
		if err := p.Err(); (err == nil) != fine {
			t.Errorf("listen %q: %v, want fine %t", listen, err, fine)
		}
	}
}
