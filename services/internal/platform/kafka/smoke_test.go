package kafka_test

import (
	"context"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/mailstream/mailstream/services/internal/platform/kafka"
	"github.com/mailstream/mailstream/services/internal/platform/kafka/kafkatest"
)

func TestSmoke(t *testing.T) {
	cfg := kafkatest.Start(t)
	reg := prometheus.NewRegistry()
	log := kafkatest.Logger(t)
	p, err := kafka.NewProducer(cfg, kafka.ProducerConfig{}, log, reg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	topic := "email.bounced"
	for range 10 {
		if err := p.Publish(ctx, &kgo.Record{Topic: topic, Key: []byte("k"), Value: []byte("v")}, &kgo.Record{Topic: "email.opened", Key: []byte("k2"), Value: []byte("v")}); err != nil {
			t.Fatal(err)
		}
	}
	c, err := kafka.NewConsumer(cfg, kafka.ConsumerConfig{Group: "g", Topics: []string{topic}}, log, reg)
	if err != nil {
		t.Fatal(err)
	}
	cctx, stop := context.WithCancel(ctx)
	n := 0
	if err := c.Run(cctx, func(_ context.Context, recs []*kgo.Record) error {
		n += len(recs)
		if n == 10 {
			stop()
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if got := kafkatest.Committed(t, cfg, "g", topic); len(got) != 1 {
		t.Fatal(got)
	}
	tail, err := kafka.NewTail(cfg, kafka.TailConfig{Topic: topic}, log, reg)
	if err != nil {
		t.Fatal(err)
	}
	tctx, tstop := context.WithCancel(ctx)
	done := make(chan error)
	go func() { done <- tail.Run(tctx, func(context.Context, []*kgo.Record) error { return nil }) }()
	<-tail.CaughtUp()
	t.Log(tail.Applied(), tail.Lag())
	tstop()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if err := p.Close(ctx); err != nil {
		t.Fatal(err)
	}
	t.Log(len(kafkatest.ReadAll(t, cfg, topic)))
}
