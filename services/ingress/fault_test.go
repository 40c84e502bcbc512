package ingress

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/ingress/internal/drift"
	"github.com/mailstream/mailstream/services/internal/platform/fate"
	"github.com/mailstream/mailstream/services/internal/platform/kafka"
	"github.com/mailstream/mailstream/services/internal/platform/kafka/admin"
	"github.com/mailstream/mailstream/services/internal/platform/kafka/kafkatest"
	"github.com/mailstream/mailstream/services/internal/platform/kafka/produce"
	"github.com/mailstream/mailstream/services/servicetest"
)

// numbered returns a delivery that is like no other.
func numbered(n int) string {
	return strings.Replace(sentItem, "576460761234567891", fmt.Sprint(576460761234000000+n), 1)
}

func messageID(n int) string { return fmt.Sprint(576460761234000000 + n) }

func TestIngress_BrokerAwayMeans503AndEvery200IsThereAfterwards(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		b := kafkatest.StartVirtual(t, kfake.DataDir(dir))
		cfg := testConfig()
		cfg.Listen, cfg.MetricsListen, cfg.ListenFunc = "127.0.0.1:8080", "127.0.0.1:9080", b.Network.Listen
		cfg.Producer.PublishTimeout = 300 * time.Millisecond
		cfg.Producer.DeliveryTimeout = time.Second
		h := start(t, cfg, b.Config)
		h.client.Transport = &http.Transport{DialContext: b.Network.DialContext}
		defer h.client.CloseIdleConnections()

		accepted := map[string]bool{}
		next := 0
		send := func() reply {
			next++
			got := h.post(numbered(next))
			if got.Status == http.StatusOK {
				accepted[messageID(next)] = true
			}
			return got
		}
		for range 20 {
			wantStatus(t, send(), http.StatusOK)
		}
		b.Cluster.Close()
		for range 5 {
			got := send()
			wantStatus(t, got, http.StatusServiceUnavailable)
			if got.Header.Get("Retry-After") != "5" {
				t.Errorf("Retry-After is %q", got.Header.Get("Retry-After"))
			}
		}
		kafkatest.StartEmpty(t, kfake.DataDir(dir), kfake.ListenFn(b.Network.Listen), kfake.Ports(b.Port(t)))
		servicetest.Eventually(t, "a request is accepted again", func() bool { return send().Status == http.StatusOK })
		for range 20 {
			send()
		}

		stored := map[string]bool{}
		for _, e := range h.events(schemas.Delivered) {
			stored[e.MessageID] = true
		}
		for id := range accepted {
			if !stored[id] {
				t.Errorf("message %s was answered 200 and is gone", id)
			}
		}
		if len(accepted) < 40 {
			t.Errorf("%d events were accepted, want at least 40", len(accepted))
		}
		received := h.metric("mailstream_ingress_items_received_total", "", "")
		published := h.metric("mailstream_ingress_events_published_total", "", "")
		rejected := h.metric("mailstream_ingress_items_rejected_total", "", "")
		if received != float64(next) || published != float64(len(accepted)) || received != published+rejected {
			t.Errorf("received %v, published %v, rejected %v of %d sent, %d accepted", received, published, rejected, next, len(accepted))
		}
	})
}

// failing answers every Publish with err until that is changed.
type failing struct {
	mu    sync.Mutex
	err   error
	calls int
}

func (f *failing) Publish(_ context.Context, _ ...*kgo.Record) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls++
	return f.err
}

func TestIngress_EveryFaultOfKafkaMeans503(t *testing.T) {
	t.Parallel()
	h := start(t, testConfig(), kafkatest.Start(t))
	f := &failing{}
	h.producer = f
	for _, err := range []error{
		fate.Wrap(fate.Retry, kafka.ErrBufferFull), fate.Wrap(fate.Retry, kafka.ErrTimeout), fate.Wrap(fate.Retry, kafka.ErrUnknownTopic),
		fate.Wrap(fate.Halt, kafka.ErrDenied), fate.Wrap(fate.Retry, kafka.ErrClosed), fate.Wrap(fate.DeadLetter, kafka.ErrTooLarge),
		context.DeadlineExceeded,
	} {
		f.err = err
		got := h.post(bounceItem)
		wantStatus(t, got, http.StatusServiceUnavailable)
		if got.Header.Get("Retry-After") == "" {
			t.Errorf("%v: no Retry-After", err)
		}
	}
	if f.calls != 7 {
		t.Errorf("%d publishes, want one a request", f.calls)
	}
}

// picky refuses records of more than bytesMax as a broker would whose topic was
// changed behind our back.
type picky struct {
	publisher
	bytesMax int
}

func (p picky) Publish(ctx context.Context, recs ...*kgo.Record) error {
	for _, r := range recs {
		if len(r.Value) > p.bytesMax && !strings.HasSuffix(r.Topic, "dead-letter") {
			return fate.Wrap(fate.DeadLetter, &produce.RecordError{Record: r, Err: kafka.ErrTooLarge})
		}
	}
	return p.publisher.Publish(ctx, recs...)
}

func TestIngress_WhatTheBrokerFindsTooLargeIsDeadLettered(t *testing.T) {
	t.Parallel()
	h := start(t, testConfig(), kafkatest.Start(t))
	h.producer = picky{publisher: h.producer, bytesMax: 4000}
	large := strings.Replace(sentItem, "tenant=t-9", strings.Repeat("x", 5000), 1)
	got := h.post("[" + strings.Join([]string{bounceItem, large, sentItem, large}, ",") + "]")
	wantStatus(t, got, http.StatusOK)
	if got.Body != `{"accepted":2,"dead_lettered":2}`+"\n" {
		t.Errorf("body %q", got.Body)
	}
	if n := len(h.events()); n != 2 {
		t.Errorf("%d events, want 2", n)
	}
}

// gate holds every Publish until it is opened.
type gate struct {
	publisher
	entered chan struct{}
	open    chan struct{}
}

func (g gate) Publish(ctx context.Context, recs ...*kgo.Record) error {
	g.entered <- struct{}{}
	<-g.open
	return g.publisher.Publish(ctx, recs...)
}

func TestIngress_MoreThanItsLimitsGets503(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		change func(*Config)
		detail string
	}{
		{"requests", func(c *Config) { c.RequestsInFlightMax = 1 }, "too many requests"},
		{"bytes", func(c *Config) {
			c.BodyBytesMax, c.BodyBytesInFlightMax = 64<<10, 64<<10
		}, "too many bytes"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			cfg := testConfig()
			tt.change(&cfg)
			h := start(t, cfg, kafkatest.Start(t))
			g := gate{publisher: h.producer, entered: make(chan struct{}, 1), open: make(chan struct{})}
			h.producer = g
			first := make(chan reply, 1)
			go func() { first <- h.post(group(sentItem, 150)) }()
			<-g.entered
			second := h.post(group(sentItem, 150))
			wantStatus(t, second, http.StatusServiceUnavailable)
			if !strings.Contains(second.Body, tt.detail) || second.Header.Get("Retry-After") == "" {
				t.Errorf("answer %+v", second)
			}
			close(g.open)
			wantStatus(t, <-first, http.StatusOK)
			wantStatus(t, h.post(sentItem), http.StatusOK)
		})
	}
}

func TestIngress_StopsAfterTheLastAnswer(t *testing.T) {
	t.Parallel()
	kc := kafkatest.Start(t)
	shared := testShared(t, kc)
	s, err := New(testConfig(), shared)
	if err != nil {
		t.Fatal(err)
	}
	g := gate{publisher: s.producer, entered: make(chan struct{}, 1), open: make(chan struct{})}
	s.producer = g
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	<-s.Ready()
	h := &harness{Service: s, tb: t, kafkaCfg: kc, registry: shared.Registry, client: &http.Client{Timeout: servicetest.Patience}}
	answer := make(chan reply, 1)
	go func() { answer <- h.post(bounceItem) }()
	<-g.entered
	cancel()
	close(g.open)
	wantStatus(t, <-answer, http.StatusOK)
	if err := <-done; err != nil {
		t.Errorf("run: %v", err)
	}
	if n := len(h.events(schemas.Bounced)); n != 1 {
		t.Errorf("%d events, want 1", n)
	}
}

func TestIngress_RefusesToStartOnContradictingTopics(t *testing.T) {
	t.Parallel()
	kc := kafkatest.Start(t)
	kc.Topics.Partitions++
	s, err := New(testConfig(), testShared(t, kc))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), servicetest.Patience)
	defer cancel()
	if err := s.Run(ctx); err == nil || !strings.Contains(err.Error(), "partitions") {
		t.Errorf("run: %v", err)
	}
}

func TestIngress_SaysNotReadyUntilTopicsAreThere(t *testing.T) {
	t.Parallel()
	b := kafkatest.StartEmpty(t)
	s, err := New(testConfig(), testShared(t, b.Config))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	defer func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("run: %v", err)
		}
	}()
	h := &harness{Service: s, tb: t, kafkaCfg: b.Config, client: &http.Client{Timeout: servicetest.Patience}}
	<-s.server.Ready()
	wantStatus(t, h.post(bounceItem), http.StatusServiceUnavailable)
	if got := h.do(call{method: http.MethodGet, path: "/readyz"}); got.Status != http.StatusServiceUnavailable {
		t.Errorf("readyz says %d", got.Status)
	}
	if err := admin.Apply(ctx, kafkatest.Client(t, b.Config), b.Config, zap.NewNop()); err != nil {
		t.Fatal(err)
	}
	<-s.Ready()
	wantStatus(t, h.post(bounceItem), http.StatusOK)
	if got := h.do(call{method: http.MethodGet, path: "/readyz"}); got.Status != http.StatusOK {
		t.Errorf("readyz says %d", got.Status)
	}
}

func TestIngress_LogsHoldNoAddressPayloadOrSecret(t *testing.T) {
	t.Parallel()
	core, logs := observer.New(zap.DebugLevel)
	shared := testShared(t, kafkatest.Start(t))
	shared.Log = zap.New(core)
	s, err := New(testConfig(), shared)
	if err != nil {
		t.Fatal(err)
	}
	getReady(t, s)
	s.producer = &failing{err: fate.Wrap(fate.Retry, kafka.ErrTimeout)}
	serve := func(body, password string) {
		r, err := http.NewRequestWithContext(context.Background(), http.MethodPost, Prefix+testSource, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.SetBasicAuth(testUser, password)
		s.ServeHTTP(discard{header: http.Header{}}, r)
	}
	serve(bounceItem, testPassword)
	serve(bounceItem, "a-wrong-password")
	serve(`{"event":"ana@example.com","email":"ana@example.com","ana@example.com":1,"future_field":2}`, testPassword)
	serve(bounceItem[:90], testPassword)
	text := fmt.Sprint(logs.All())
	for _, secret := range []string{testPassword, "a-wrong-password", "example.com", "no such user", testPepper} {
		if strings.Contains(text, secret) {
			t.Errorf("%q is in the log: %s", secret, text)
		}
	}
	if !strings.Contains(text, "future_field") || !strings.Contains(text, "events were not stored") {
		t.Errorf("log %s", text)
	}
	before := logs.Len()
	for i := range 500 {
		serve(fmt.Sprintf(`{"event":"sent","MessageID":1,"field_%d":1}`, i), testPassword)
	}
	if n := logs.Len() - before; n > drift.PathsMax+10 {
		t.Errorf("500 requests of a sender wrote %d lines", n)
	}
}
