package broker_test

import (
	"context"
	"fmt"
	"net"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"go.uber.org/zap"

	"github.com/mailstream/mailstream/devstack/broker"
	"github.com/mailstream/mailstream/services/servicetest"
)

func start(t *testing.T, cfg broker.Config) (b *broker.Broker, stop func()) {
	t.Helper()
	b = broker.New(cfg, zap.NewNop())
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- b.Run(ctx) }()
	select {
	case <-b.Ready():
	case err := <-done:
		t.Fatal(err)
	}
	return b, func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

func TestBroker_KeepsRecordsAcrossARestart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	ctx, cancel := context.WithTimeout(t.Context(), servicetest.Patience)
	defer cancel()
	first, stop := start(t, broker.Config{Listen: "127.0.0.1:0", DataDir: dir})
	client, err := kgo.NewClient(kgo.SeedBrokers(first.Addr()))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := kadm.NewClient(client).CreateTopic(ctx, 3, 1, nil, "email.bounced"); err != nil {
		t.Fatal(err)
	}
	for i := range 50 {
		r := &kgo.Record{Topic: "email.bounced", Key: fmt.Appendf(nil, "k%d", i), Value: fmt.Appendf(nil, "v%d", i)}
		if err := client.ProduceSync(ctx, r).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	client.Close()
	stop()

	second, stop := start(t, broker.Config{Listen: "127.0.0.1:0", DataDir: dir})
	defer stop()
	client, err = kgo.NewClient(kgo.SeedBrokers(second.Addr()), kgo.ConsumeTopics("email.bounced"),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	for got := 0; got < 50; {
		fetches := client.PollFetches(ctx)
		if err := fetches.Err0(); err != nil {
			t.Fatalf("after %d records: %v", got, err)
		}
		got += fetches.NumRecords()
	}
}

func TestBroker_NamesATakenPort(t *testing.T) {
	t.Parallel()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	err = broker.New(broker.Config{Listen: ln.Addr().String()}, zap.NewNop()).Run(t.Context())
	if err == nil || !strings.Contains(err.Error(), ln.Addr().String()) || !strings.Contains(err.Error(), "taken") {
		t.Errorf("Run = %v", err)
	}
}
