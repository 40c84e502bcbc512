package ingress

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/ingress/internal/auth"
	"github.com/mailstream/mailstream/services/internal/address"
	"github.com/mailstream/mailstream/services/internal/platform"
	"github.com/mailstream/mailstream/services/internal/platform/config"
	"github.com/mailstream/mailstream/services/internal/platform/kafka"
	"github.com/mailstream/mailstream/services/internal/platform/kafka/kafkatest"
	"github.com/mailstream/mailstream/services/servicetest"
)

const (
	testSource   = "acme-mailjet"
	testUser     = "hook"
	testPassword = "s3cret-of-the-hook"
	testPepper   = "0123456789abcdef-pepper"
)

// harness is a running service and the broker behind it.
type harness struct {
	*Service
	tb       testing.TB
	kafkaCfg kafka.Config
	registry *prometheus.Registry
	client   *http.Client
}

func testConfig() Config {
	cfg := Default()
	cfg.Listen = "127.0.0.1:0"
	cfg.BodyRateWindow = bodyRateWindowHigh // a busy machine is no slow sender
	cfg.Sources = []Source{{
		Name: testSource, Provider: "mailjet",
		Auth: auth.Config{Basic: &auth.Basic{Username: testUser, Password: auth.Secrets{config.Literal(testPassword)}}},
	}}
	return cfg
}

func testShared(tb testing.TB, kc kafka.Config) platform.Shared {
	tb.Helper()
	hasher, err := address.NewHasher(config.Literal(testPepper))
	if err != nil {
		tb.Fatal(err)
	}
	return platform.Shared{Kafka: kc, Hasher: hasher, Log: kafkatest.Logger(tb), Registry: prometheus.NewRegistry()}
}

// getReady makes a service take requests that was not started.
func getReady(tb testing.TB, s *Service) {
	tb.Helper()
	servicetest.Run(tb, func(ctx context.Context) error { return s.life.Run(ctx, nil) })
	<-s.Ready()
}

// start runs a service until the test ends.
func start(tb testing.TB, cfg Config, kc kafka.Config) *harness {
	tb.Helper()
	shared := testShared(tb, kc)
	s, err := New(cfg, shared)
	if err != nil {
		tb.Fatal(err)
	}
	servicetest.Start(tb, s)
	return &harness{Service: s, tb: tb, kafkaCfg: kc, registry: shared.Registry, client: &http.Client{Timeout: servicetest.Patience}}
}

// call is one request; zero fields take what a Mailjet webhook has.
type call struct {
	method, path string
	body         string
	header       map[string]string
	noAuth       bool
}

// reply is what came back.
type reply struct {
	Status int
	Header http.Header
	Body   string
	Close  bool // the connection ends with this answer
}

func (h *harness) do(c call) reply {
	h.tb.Helper()
	if c.method == "" {
		c.method = http.MethodPost
	}
	if c.path == "" {
		c.path = Prefix + testSource
	}
	req, err := http.NewRequestWithContext(context.Background(), c.method, "http://"+h.Addr()+c.path, strings.NewReader(c.body))
	if err != nil {
		h.tb.Fatal(err)
	}
	if !c.noAuth {
		req.SetBasicAuth(testUser, testPassword)
	}
	for k, v := range c.header {
		req.Header.Set(k, v)
	}
	resp, err := h.client.Do(req)
	if err != nil {
		h.tb.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		h.tb.Fatal(err)
	}
	return reply{Status: resp.StatusCode, Header: resp.Header, Body: string(body), Close: resp.Close}
}

func (h *harness) post(body string) reply { return h.do(call{body: body}) }

// records returns what lies in the topic of t.
func (h *harness) records(t schemas.Type) []*kgo.Record {
	return kafkatest.ReadAll(h.tb, h.kafkaCfg, schemas.EventTopic(h.kafkaCfg.TopicPrefix, t))
}

// events returns all events in the topics of the types, all types when none is
// named.
func (h *harness) events(types ...schemas.Type) []schemas.Event {
	h.tb.Helper()
	if len(types) == 0 {
		types = schemas.Types()
	}
	var out []schemas.Event
	for _, t := range types {
		for _, r := range h.records(t) {
			e, err := schemas.Decode(r.Value)
			if err != nil {
				h.tb.Fatal(err)
			}
			if e.Type != t {
				h.tb.Errorf("a %s event is in the topic of %s", e.Type, t)
			}
			out = append(out, e)
		}
	}
	return out
}

func (h *harness) deadLetters() []schemas.DeadLetter {
	h.tb.Helper()
	var out []schemas.DeadLetter
	for _, r := range kafkatest.ReadAll(h.tb, h.kafkaCfg, schemas.DeadLetterTopic(h.kafkaCfg.TopicPrefix)) {
		var d schemas.DeadLetter
		if err := json.NewDecoder(bytes.NewReader(r.Value)).Decode(&d); err != nil {
			h.tb.Fatal(err)
		}
		if string(r.Key) != d.ID {
			h.tb.Errorf("the key of a dead letter is %q, want its id %q", r.Key, d.ID)
		}
		out = append(out, d)
	}
	return out
}

// wantStatus checks an answer's status and that an error is a problem.
func wantStatus(tb testing.TB, got reply, status int) {
	tb.Helper()
	if got.Status != status {
		tb.Errorf("status %d, want %d: %s", got.Status, status, got.Body)
	}
	if status >= 400 && got.Header.Get("Content-Type") != "application/problem+json" {
		tb.Errorf("content type %q of an error, want a problem", got.Header.Get("Content-Type"))
	}
}

const bounceItem = `{"event":"bounce","time":1767225605,"MessageID":576460761234567892,"Message_GUID":"0b7d3c11-5f4f-4b0e-8e3b-1c2d3e4f5a02","email":"nobody@example.com","mj_campaign_id":9001,"mj_contact_id":43,"customcampaign":"","CustomID":"","Payload":"","blocked":true,"hard_bounce":true,"error_related_to":"recipient","error":"user unknown","comment":"550 5.1.1 <nobody@example.com>: no such user"}`

func TestIngress_PublishesABounceWithKeyHeadersAndBody(t *testing.T) {
	t.Parallel()
	h := start(t, testConfig(), kafkatest.Start(t))
	traceparent := "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	got := h.do(call{body: bounceItem, header: map[string]string{"traceparent": traceparent}})
	wantStatus(t, got, http.StatusOK)
	if got.Body != `{"accepted":1,"dead_lettered":0}`+"\n" {
		t.Errorf("body %q", got.Body)
	}
	records := h.records(schemas.Bounced)
	if len(records) != 1 {
		t.Fatalf("%d records, want 1", len(records))
	}
	e, err := schemas.Decode(records[0].Value)
	if err != nil {
		t.Fatal(err)
	}
	if string(e.Raw) != bounceItem {
		t.Errorf("raw %s", e.Raw)
	}
	if e.MessageID != "576460761234567892" || e.Reason != schemas.InvalidRecipient || e.BounceType != schemas.Hard {
		t.Errorf("event %+v", e)
	}
	if string(records[0].Key) != e.RecipientHash || len(e.RecipientHash) != 32 {
		t.Errorf("key %q, recipient hash %q", records[0].Key, e.RecipientHash)
	}
	headers := map[string]string{}
	for _, hd := range records[0].Headers {
		headers[hd.Key] = string(hd.Value)
	}
	for key, want := range map[string]string{
		"ce_specversion": "1.0", "ce_id": e.ID, "ce_source": "/mailstream/" + testSource, "ce_type": "email.bounced",
		"ce_time": "2026-01-01T00:00:05.000Z", "content-type": "application/json", "origin": "live", "traceparent": traceparent,
	} {
		if headers[key] != want {
			t.Errorf("header %s is %q, want %q", key, headers[key], want)
		}
	}
}

// metric adds up the series of name whose label has value; label "" takes all.
func (h *harness) metric(name, label, value string) float64 {
	h.tb.Helper()
	families, err := h.registry.Gather()
	if err != nil {
		h.tb.Fatal(err)
	}
	sum := 0.0
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
		for _, m := range f.GetMetric() {
			match := label == ""
			for _, l := range m.GetLabel() {
				match = match || l.GetName() == label && l.GetValue() == value
			}
			if match {
				sum += m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	return sum
}
