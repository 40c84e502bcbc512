//go:build kafka

package deploytest

import (
	"context"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/mailstream/mailstream/devstack/apachekafka"
	"github.com/mailstream/mailstream/devstack/engine/enginetest"
	"github.com/mailstream/mailstream/services/pipeline"
	"github.com/mailstream/mailstream/services/servicetest"
)

// A broker that is away has its partitions led by others only after a moment,
// and topics that are seconds old have no leader at all.
func TestServices_StartWhileOneOfThreeBrokersIsAwayAndTopicsAreNew(t *testing.T) {
	c, err := apachekafka.StartCluster(t.Context(), apachekafka.Options{DataDir: t.TempDir(), Log: t.Output()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Stop(); err != nil {
			t.Error(err)
		}
	})
	e := enginetest.Start(t)
	const database = "mailstream_cluster"
	t.Cleanup(func() { enginetest.Exec(t, e, "DROP DATABASE IF EXISTS "+database+" SYNC") })
	cfg, err := pipeline.Dev()
	if err != nil {
		t.Fatal(err)
	}
	cfg.Kafka.Brokers = strings.Split(c.Addrs(), ",")
	cfg.Kafka.Topics.Partitions, cfg.Kafka.Topics.ReplicationFactor, cfg.Kafka.Topics.MinInsyncReplicas = 3, 3, 2
	cfg.ClickHouse.URL, cfg.ClickHouse.Database = e.URL(), database
	cfg.State.Dir = t.TempDir()
	for _, listen := range []*string{&cfg.Ingress.Listen, &cfg.Analytics.Listen, &cfg.Suppression.Listen, &cfg.Alerting.Listen} {
		*listen = "127.0.0.1:0"
	}
	if err := pipeline.MigrateTables(t.Context(), cfg, zap.NewNop()); err != nil {
		t.Fatal(err)
	}

	core, lines := observer.New(zapcore.WarnLevel)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan error, len(pipeline.Names()))
	ready := make(chan (<-chan struct{}), len(pipeline.Names()))
	began := time.Now()
	for _, name := range pipeline.Names() {
		go func() {
			ended <- pipeline.Run(ctx, cfg, name, zap.New(core), func(s pipeline.Service) { ready <- s.Ready() })
		}()
	}
	if err := pipeline.ApplyTopics(t.Context(), cfg, zap.NewNop()); err != nil {
		t.Fatal(err)
	}
	if err := c.Broker(1).Kill(); err != nil {
		t.Fatal(err)
	}
	for range pipeline.Names() {
		select {
		case <-<-ready: // each starts at once
		case err := <-ended:
			t.Fatalf("a service ended: %v", err)
		case <-time.After(servicetest.Patience):
			t.Fatalf("services are not ready after %s", servicetest.Patience)
		}
	}
	cancel()
	for range pipeline.Names() {
		if err := <-ended; err != nil {
			t.Errorf("Run = %v, want nil", err)
		}
	}
	const kinds = 4 * 12 // of lines of four services, those of the library included
	if n, most := lines.Len(), kinds*(1+int(time.Since(began)/(10*time.Second))); n > most {
		t.Errorf("%d lines in %s, want at most %d", n, time.Since(began).Round(time.Second), most)
	}
}
