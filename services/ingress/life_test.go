package ingress

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mailstream/mailstream/services/internal/platform/kafka"
	"github.com/mailstream/mailstream/services/internal/platform/kafka/kafkatest"
	"github.com/mailstream/mailstream/services/internal/platform/lifecycle"
	"github.com/mailstream/mailstream/services/internal/platform/lifecycle/lifecycletest"
)

func TestTasks_AreTheListOfTheArchitecture(t *testing.T) {
	t.Parallel()
	s, err := New(testConfig(), testShared(t, kafka.Default()))
	if err != nil {
		t.Fatal(err)
	}
	lifecycletest.Documented(t, "../../ARCHITECTURE.md", "ingress", s.tasks())
	if err := s.life.Close(); err != nil {
		t.Error(err)
	}
}

func TestNew_LeavesNothingWhenAPartFails(t *testing.T) {
	t.Parallel()
	lifecycletest.HalfBuilt(t, func(reg *prometheus.Registry) (*lifecycle.Life, error) {
		shared := testShared(t, kafka.Default())
		shared.Registry = reg
		s, err := New(testConfig(), shared)
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
		cfg := testConfig()
		cfg.Listen, cfg.MetricsListen = "127.0.0.1:8080", "127.0.0.1:9080"
		cfg.ListenFunc = b.Network.Listen
		client := &http.Client{Transport: &http.Transport{DialContext: b.Network.DialContext}}
		lifecycletest.Stress(t, 10, func() lifecycletest.Service {
			s, err := New(cfg, testShared(t, b.Config))
			if err != nil {
				t.Fatal(err)
			}
			return lifecycletest.Service{Life: s.life, Tasks: s.tasks(), Use: func(ctx context.Context) {
				use(ctx, t, client)
			}}
		})
		client.CloseIdleConnections()
	})
}

// use sends an event, which is taken, to be sent again, or cut off.
func use(ctx context.Context, t *testing.T, client *http.Client) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://127.0.0.1:8080"+Prefix+testSource, strings.NewReader(bounceItem))
	if err != nil {
		t.Error(err)
		return
	}
	req.SetBasicAuth(testUser, testPassword)
	resp, err := client.Do(req)
	if err != nil {
		return // it does not listen
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK && resp.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("status %d", resp.StatusCode)
	}
}
