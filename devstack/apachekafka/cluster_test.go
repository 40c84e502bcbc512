//go:build kafka

package apachekafka

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// leaderOf returns the node that leads partition 0 once all copies are in sync.
func leaderOf(t *testing.T, b *Broker, topic string) int32 {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	defer cancel()
	admin := kadm.NewClient(client(t, b))
	ticker := time.NewTicker(readyPoll)
	defer ticker.Stop()
	for {
		metadata, err := admin.Metadata(ctx, topic)
		if err != nil {
			t.Fatal(err)
		}
		if p := metadata.Topics[topic].Partitions[0]; len(p.ISR) == clusterNodes && p.Leader > 0 {
			return p.Leader
		}
		<-ticker.C
	}
}

func TestCluster_KeepsAcknowledgedRecordsWhenItsLeaderIsKilled(t *testing.T) {
	c, err := StartCluster(t.Context(), Options{DataDir: t.TempDir(), Log: t.Output(), Properties: quickRestart})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Stop(); err != nil {
			t.Error(err)
		}
	})
	const topic = "email.bounced"
	createTopic(t, c.Broker(1), topic)
	leader := leaderOf(t, c.Broker(1), topic)

	var want []string
	write := func() {
		want = append(want, fmt.Sprint("record ", len(want)))
		cl, err := kgo.NewClient(kgo.SeedBrokers(c.Broker(1).Addr(), c.Broker(2).Addr(), c.Broker(3).Addr()))
		if err != nil {
			t.Fatal(err)
		}
		defer cl.Close()
		if err := cl.ProduceSync(t.Context(), &kgo.Record{Topic: topic, Value: []byte(want[len(want)-1])}).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	write()
	if err := c.Broker(int(leader)).Kill(); err != nil {
		t.Fatal(err)
	}
	write() // two are left, another one leads
	if err := c.Broker(int(leader)).Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	write()
	if diff := cmp.Diff(want, consume(t, c.Broker(int(leader)), topic, len(want))); diff != "" {
		t.Errorf("records (-want +got):\n%s", diff)
	}
	if _, err := kadm.NewClient(client(t, c.Broker(1))).CreateTopic(t.Context(), 1, clusterNodes+1, nil, "too.many"); !errors.Is(err, kerr.InvalidReplicationFactor) {
		t.Errorf("a topic with four copies on three brokers: %v", err)
	}
}
