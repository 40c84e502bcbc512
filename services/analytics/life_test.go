package analytics

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/internal/platform"
	"github.com/mailstream/mailstream/services/internal/platform/clickhouse"
	"github.com/mailstream/mailstream/services/internal/platform/clickhouse/clickhousetest"
	"github.com/mailstream/mailstream/services/internal/platform/kafka"
	"github.com/mailstream/mailstream/services/internal/platform/kafka/kafkatest"
	"github.com/mailstream/mailstream/services/internal/platform/lifecycle"
	"github.com/mailstream/mailstream/services/internal/platform/lifecycle/lifecycletest"
)

func shared() platform.Shared {
	return platform.Shared{
		Kafka: kafka.Default(), ClickHouse: clickhouse.Default(), Log: kafkatest.Silent(), Registry: prometheus.NewRegistry(),
	}
}

func TestTasks_AreTheListOfTheArchitecture(t *testing.T) {
	t.Parallel()
	s, err := New(Default(), nil, shared())
	if err != nil {
		t.Fatal(err)
	}
	lifecycletest.Documented(t, "../../ARCHITECTURE.md", "analytics", s.tasks())
	if err := s.life.Close(); err != nil {
		t.Error(err)
	}
}

func TestNew_LeavesNothingWhenAPartFails(t *testing.T) {
	t.Parallel()
	lifecycletest.HalfBuilt(t, func(reg *prometheus.Registry) (*lifecycle.Life, error) {
		sh := shared()
		sh.Registry = reg
		s, err := New(Default(), nil, sh)
		if s == nil {
			return nil, err
		}
		return s.life, err
	})
}

func TestService_LeavesNothingWhereverItEnds(t *testing.T) {
	t.Parallel()
	for _, away := range []string{"", "clickhouse"} {
		t.Run("away="+away, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { stress(t, away) })
		})
	}
}

func stress(t *testing.T, away string) {
	b := kafkatest.StartVirtual(t)
	ln, err := b.Network.Listen("tcp", "127.0.0.1:8123")
	if err != nil {
		t.Fatal(err)
	}
	server := clickhousetest.StartOn(t, ln)
	var rows [][]any
	for n := range uint32(100) {
		rows = append(rows, []any{n})
	}
	server.Answer("FROM schema_migrations", []string{"version UInt32"}, rows...)
	cfg := Default()
	cfg.Listen, cfg.MetricsListen, cfg.ListenFunc = "127.0.0.1:8081", "127.0.0.1:9081", b.Network.Listen
	cfg.FlushInterval = 10 * time.Millisecond
	sh := shared()
	sh.Kafka, sh.ClickHouse = b.Config, server.Config()
	sh.ClickHouse.Dial = b.Network.DialContext
	if away == "clickhouse" {
		sh.ClickHouse.URL = "http://127.0.0.1:1"
	}
	at := time.Now()
	n := 0
	lifecycletest.Stress(t, 1, func() lifecycletest.Service {
		n++
		e := schemas.Event{ID: "0193486f-5a00-8abc-9def-000000000001", Type: schemas.Delivered, Time: at, ReceivedAt: at, Provider: "mailjet", Source: "acme"}
		kafkatest.Produce(t, b.Config, &kgo.Record{Topic: "email.delivered", Value: schemas.AppendJSON(nil, &e)}, &kgo.Record{Topic: "email.delivered", Value: []byte("{")})
		sh.Registry = prometheus.NewRegistry()
		s, err := New(cfg, nil, sh)
		if err != nil {
			t.Fatal(err)
		}
		return lifecycletest.Service{Life: s.life, Tasks: s.tasks(), Use: func(context.Context) { _ = s.notReady() }}
	})
	if stored := len(server.Rows("event_log")); (stored > 0) != (away == "") {
		t.Errorf("%d rows are stored in %d lives", stored, n)
	}
}
