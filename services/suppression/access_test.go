package suppression_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/twmb/franz-go/pkg/kfake"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/internal/platform"
	"github.com/mailstream/mailstream/services/internal/platform/config"
	"github.com/mailstream/mailstream/services/internal/platform/kafka"
	"github.com/mailstream/mailstream/services/internal/platform/kafka/kafkatest"
	"github.com/mailstream/mailstream/services/servicetest"
	"github.com/mailstream/mailstream/services/suppression"
)

func TestService_AsksForAToken(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := start(t, options{broker: kafkatest.StartVirtual(t)})
		for _, header := range []string{"", "Bearer", "Bearer wrong", "Basic " + token, token} {
			for _, call := range []struct{ method, path string }{
				{"POST", "/v1/suppressions/check"}, {"GET", "/v1/suppressions"}, {"PUT", "/v1/suppressions"},
				{"POST", "/v1/suppressions/remove"}, {"GET", "/v1/anything"},
			} {
				req, err := http.NewRequest(call.method, r.url+call.path, strings.NewReader(`{}`))
				if err != nil {
					t.Fatal(err)
				}
				req.Header.Set("Authorization", header)
				if status, _ := send(t, r.client, req); status != 401 {
					t.Errorf("%s %s with %q = %d, want 401", call.method, call.path, header, status)
				}
			}
		}
		for url, want := range map[string]int{
			r.url + "/healthz": 200, r.url + "/readyz": 200,
			r.url + "/metrics": 401, r.metricsURL: 200,
		} {
			req, err := http.NewRequest("GET", url, nil)
			if err != nil {
				t.Fatal(err)
			}
			if status, _ := send(t, r.client, req); status != want {
				t.Errorf("%s = %d without a token, want %d", url, status, want)
			}
		}
	})
}

func send(t *testing.T, client *http.Client, req *http.Request) (int, string) {
	t.Helper()
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

func TestService_OpenToAllWhenToldSo(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := start(t, options{broker: kafkatest.StartVirtual(t), change: func(c *suppression.Config) {
			c.Tokens, c.AllowUnauthenticated = nil, true
		}})
		req, err := http.NewRequest("POST", r.url+"/v1/suppressions/check", strings.NewReader(`{"addresses":[]}`))
		if err != nil {
			t.Fatal(err)
		}
		if status, body := send(t, r.client, req); status != 200 {
			t.Errorf("%d %s", status, body)
		}
	})
}

func TestConfig_Validate(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		change func(*suppression.Config)
		want   string // in the error, "": valid
	}{
		{"defaults and a token", func(*suppression.Config) {}, ""},
		{"no token", func(c *suppression.Config) { c.Tokens = nil }, "suppression.tokens"},
		{"an empty token", func(c *suppression.Config) { c.Tokens = append(c.Tokens, config.Secret{}) }, "suppression.tokens"},
		{"open although there is a token", func(c *suppression.Config) { c.AllowUnauthenticated = true }, "suppression.allow_unauthenticated"},
		{"short probation", func(c *suppression.Config) { c.HardBounceProbation = time.Hour }, "suppression.hard_bounce_probation"},
		{"probation of a month", func(c *suppression.Config) { c.HardBounceProbation = 30 * 24 * time.Hour }, ""},
		{"nameless stream", func(c *suppression.Config) { c.TransactionalStreams = []string{""} }, "suppression.transactional_streams"},
		{"long wait", func(c *suppression.Config) { c.TokenWait = time.Minute }, "suppression.token_wait"},
		{"never stale", func(c *suppression.Config) { c.StaleAfter = 0 }, "suppression.stale_after"},
		{"no cache", func(c *suppression.Config) { c.CacheBytes = 0 }, "suppression.cache_bytes"},
		{"no listener", func(c *suppression.Config) { c.Listen = "here" }, "suppression.listen"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			cfg := suppression.Default()
			cfg.Tokens = []config.Secret{config.Literal(token)}
			tt.change(&cfg)
			_, err := suppression.New(cfg, platform.Shared{
				Kafka: kafka.Default(), Hasher: hasher(t), Log: zap.NewNop(), Registry: prometheus.NewRegistry(), StateDir: t.TempDir(),
			})
			if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("New = %v, want %q", err, tt.want)
			}
			if err != nil && strings.Contains(err.Error(), token) {
				t.Errorf("the token is in %v", err)
			}
		})
	}
}

func TestService_NotReadyWithoutABroker(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		broker := &kafkatest.Broker{Config: kafka.Default(), Network: new(kfake.VirtualNetwork)} // nobody listens there
		broker.Config.Dial = broker.Network.DialContext
		client := client(t, broker)
		s, _ := build(t, options{broker: broker})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- s.Run(ctx) }()
		servicetest.Eventually(t, "it listens", func() bool { return s.Addr() != "" })
		for path, want := range map[string]int{"/healthz": 200, "/readyz": 503, "/v1/suppressions": 503} {
			req, err := http.NewRequest("GET", "http://"+s.Addr()+path, nil)
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("Authorization", "Bearer "+token)
			if status, body := send(t, client, req); status != want {
				t.Errorf("%s = %d %s, want %d", path, status, body, want)
			}
		}
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run = %v after a stop", err)
		}
	})
}

func TestService_BrokerGoesAway(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		broker := kafkatest.StartVirtual(t)
		r := start(t, options{broker: broker, change: func(c *suppression.Config) { c.StaleAfter = time.Second }})
		r.call("PUT", "/v1/suppressions", object{"address": "a@example.com"}, nil)
		broker.Close()
		var got checked
		servicetest.Eventually(t, "answers say that they are stale", func() bool {
			got = checked{}
			status := r.call("POST", "/v1/suppressions/check", object{"addresses": []string{"a@example.com"}}, &got)
			return status == 200 && got.Stale
		})
		if len(got.Suppressed) != 1 || got.LagMS < 1000 {
			t.Errorf("%+v", got)
		}
		if status := r.call("GET", "/readyz", nil, nil); status != 503 {
			t.Errorf("readyz = %d, want 503", status)
		}
		var w written
		if status := r.call("PUT", "/v1/suppressions", object{"address": "b@example.com"}, &w); status != 503 || w.Title != "not_acknowledged" {
			t.Errorf("put = %d %+v, want 503", status, w)
		}
		if err := r.stop(); err == nil || !strings.HasPrefix(err.Error(), "close producer: ") {
			t.Errorf("Run = %v, want that the producer could not be flushed", err)
		}
	})
}

func TestService_NoAddressAndNoTokenInTheLog(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		core, logs := observer.New(zap.DebugLevel)
		broker := kafkatest.StartVirtual(t)
		cfg := broker.Config
		r := start(t, options{broker: broker, log: zap.New(core)})
		publish(t, cfg, event(t, schemas.Bounced, "private@example.com", 1, hard))
		broken := record(event(t, schemas.Complained, "private@example.com", 2))
		broken.Value = bytes.Replace(broken.Value, []byte(`"time":"1`), []byte(`"time":"private 1`), 1)
		kafkatest.Produce(t, cfg, broken, stateRecord(t, "private2@example.com", manual("account", 1)))
		r.wantCheck("private@example.com", "marketing", "hard_bounce")
		r.call("PUT", "/v1/suppressions", object{"address": "private3@example.com", "note": "private note"}, nil)
		r.call("POST", "/v1/suppressions/remove", object{"address": "private3@example.com", "note": "private note"}, nil)
		servicetest.Eventually(t, "both are settled", func() bool { return r.settled() == 2 })
		if err := r.stop(); err != nil {
			t.Fatal(err)
		}
		for _, e := range logs.All() {
			line := fmt.Sprintln(e.Message, e.ContextMap())
			if strings.Contains(line, "private") || strings.Contains(line, token) {
				t.Errorf("log has %s", line)
			}
		}
		if logs.Len() < 5 {
			t.Errorf("only %d lines: the test proves nothing", logs.Len())
		}
	})
}

func TestService_MetricsAreWellFormed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := start(t, options{broker: kafkatest.StartVirtual(t)})
		problems, err := testutil.GatherAndLint(r.reg)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range problems {
			if strings.HasPrefix(p.Metric, "mailstream_suppression_") {
				t.Errorf("%s: %s", p.Metric, p.Text)
			}
		}
	})
}
