package suppression_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kgo"
	"go.uber.org/zap"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/internal/address"
	"github.com/mailstream/mailstream/services/internal/platform"
	"github.com/mailstream/mailstream/services/internal/platform/config"
	"github.com/mailstream/mailstream/services/internal/platform/kafka"
	"github.com/mailstream/mailstream/services/internal/platform/kafka/kafkatest"
	"github.com/mailstream/mailstream/services/servicetest"
	"github.com/mailstream/mailstream/services/suppression"
)

const (
	token  = "secret-bearer-token"
	pepper = "pepper-of-the-suppression-tests"
)

// replica is one running service.
type replica struct {
	tb         testing.TB
	client     *http.Client
	url        string
	metricsURL string
	reg        *prometheus.Registry
	stop       func() error // ends it and waits; safe to call twice
}

// options describe a replica of broker, whose network it is on.
type options struct {
	broker *kafkatest.Broker
	dir    string
	log    *zap.Logger
	change func(*suppression.Config)
}

func hasher(tb testing.TB) *address.Hasher {
	tb.Helper()
	h, err := address.NewHasher(config.Literal(pepper))
	if err != nil {
		tb.Fatal(err)
	}
	return h
}

var addresses atomic.Int64

// newAddress returns one that nothing listens on, on a network inside the process.
func newAddress() string { return fmt.Sprintf("127.0.0.1:%d", 10_000+addresses.Add(1)) }

// client reaches what is on the network of broker.
func client(tb testing.TB, broker *kafkatest.Broker) *http.Client {
	tb.Helper()
	transport := &http.Transport{DialContext: broker.Config.Dial}
	tb.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// build makes a service that has not been started.
func build(tb testing.TB, o options) (*suppression.Service, *prometheus.Registry) {
	tb.Helper()
	cfg := suppression.Default()
	cfg.Listen = "127.0.0.1:0"
	if network := o.broker.Network; network != nil {
		cfg.Listen, cfg.MetricsListen, cfg.ListenFunc, cfg.Snapshot.Dial = newAddress(), newAddress(), network.Listen, network.DialContext
	}
	cfg.Tokens = []config.Secret{config.Literal(token)}
	if o.change != nil {
		o.change(&cfg)
	}
	if o.log == nil {
		o.log = zap.NewNop()
	}
	if o.dir == "" {
		o.dir = tb.TempDir()
	}
	reg := prometheus.NewRegistry()
	s, err := suppression.New(cfg, platform.Shared{
		Kafka: o.broker.Config, Hasher: hasher(tb), Log: o.log, Registry: reg, StateDir: o.dir,
	})
	if err != nil {
		tb.Fatal(err)
	}
	return s, reg
}

// start runs a service until the test ends or stop is called.
func start(tb testing.TB, o options) *replica {
	tb.Helper()
	s, reg := build(tb, o)
	r := &replica{tb: tb, client: client(tb, o.broker), reg: reg, stop: servicetest.Start(tb, s).Stop}
	r.url, r.metricsURL = "http://"+s.Addr(), "http://"+s.MetricsAddr()+"/metrics"
	return r
}

// call sends v as JSON and decodes the answer into out, unless that is nil.
func (r *replica) call(method, path string, v, out any) int {
	r.tb.Helper()
	var body []byte
	if v != nil {
		var err error
		if body, err = json.Marshal(v); err != nil {
			r.tb.Fatal(err)
		}
	}
	status, answer := r.ask(method, path, body)
	if out != nil {
		if err := json.Unmarshal(answer, out); err != nil {
			r.tb.Fatalf("%s %s = %d %s: %v", method, path, status, answer, err)
		}
	}
	return status
}

// read is what a path answers, which must be 200.
func (r *replica) read(path string) []byte {
	r.tb.Helper()
	status, answer := r.ask(http.MethodGet, path, nil)
	if status != http.StatusOK {
		r.tb.Fatalf("%s = %d %s", path, status, answer)
	}
	return answer
}

func (r *replica) ask(method, path string, body []byte) (int, []byte) {
	r.tb.Helper()
	req, err := http.NewRequestWithContext(r.tb.Context(), method, r.url+path, bytes.NewReader(body))
	if err != nil {
		r.tb.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	resp, err := r.client.Do(req)
	if err != nil {
		r.tb.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		r.tb.Fatal(err)
	}
	return resp.StatusCode, answer
}

type found struct {
	Address  string     `json:"address"`
	Hash     string     `json:"recipient_hash"`
	Reason   string     `json:"reason"`
	Scope    string     `json:"scope"`
	Since    time.Time  `json:"since"`
	Expires  *time.Time `json:"expires"`
	Note     string     `json:"note"`
	Evidence struct {
		EventID   string `json:"event_id"`
		RequestID string `json:"request_id"`
		Provider  string `json:"provider"`
		Source    string `json:"source"`
	} `json:"evidence"`
}

type checked struct {
	Suppressed []found `json:"suppressed"`
	Checked    int     `json:"checked"`
	Invalid    []struct {
		Index   int    `json:"index"`
		Address string `json:"address"`
	} `json:"invalid"`
	LagMS int64  `json:"lag_ms"`
	Stale bool   `json:"stale"`
	Token string `json:"token"`
	Title string `json:"title"`
}

type written struct {
	Token   string `json:"token"`
	Changed int    `json:"changed"`
	Title   string `json:"title"`
	Detail  string `json:"detail"`
}

type object = map[string]any

// check asks about one address in one stream and returns the reason, "" when it
// may be mailed.
func (r *replica) check(addr, stream string) string {
	r.tb.Helper()
	var got checked
	if status := r.call("POST", "/v1/suppressions/check", object{"addresses": []string{addr}, "stream": stream}, &got); status != 200 {
		r.tb.Fatalf("check = %d %s", status, got.Title)
	}
	if len(got.Suppressed) == 0 {
		return ""
	}
	return got.Suppressed[0].Reason
}

func (r *replica) wantCheck(addr, stream, reason string) {
	r.tb.Helper()
	servicetest.Eventually(r.tb, fmt.Sprintf("%s in %s is %q", addr, stream, reason), func() bool { return r.check(addr, stream) == reason })
}

// metric returns the sum of the series of a name whose labels contain want.
func (r *replica) metric(name string, want prometheus.Labels) float64 {
	r.tb.Helper()
	families, err := r.reg.Gather()
	if err != nil {
		r.tb.Fatal(err)
	}
	sum := 0.0
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
	series:
		for _, m := range f.GetMetric() {
			have := map[string]string{}
			for _, l := range m.GetLabel() {
				have[l.GetName()] = l.GetValue()
			}
			for k, v := range want {
				if have[k] != v {
					continue series
				}
			}
			sum += m.GetCounter().GetValue() + m.GetGauge().GetValue()
		}
	}
	return sum
}

// settled returns how many event records have been finished.
func (r *replica) settled() int {
	return int(r.metric("mailstream_suppression_events_total", nil))
}

// epoch is an hour before the time at which a synctest bubble begins.
var epoch = time.Date(1999, 12, 31, 23, 0, 0, 0, time.UTC)

func at(n int) time.Time { return epoch.Add(time.Duration(n) * time.Second) }

// event returns an event of addr as the ingress would publish it.
func event(tb testing.TB, typ schemas.Type, addr string, n int, opts ...func(*schemas.Event)) schemas.Event {
	tb.Helper()
	canonical, err := address.Canonical(addr)
	if err != nil {
		tb.Fatal(err)
	}
	e := schemas.Event{
		ID: fmt.Sprintf("%s-%s-%d", typ, addr, n), Type: typ, Time: at(n), ReceivedAt: at(n).Add(time.Second),
		Provider: "mailjet", Source: "acme-mailjet", MessageID: "576460761234567891",
		Recipient: addr, RecipientDomain: address.Domain(canonical), RecipientHash: hasher(tb).Hash(canonical),
	}
	for _, opt := range opts {
		opt(&e)
	}
	return e
}

func hard(e *schemas.Event) {
	yes := true
	e.Permanent, e.Confidence = &yes, schemas.Certain
	e.BounceType, e.Reason, e.Cause = schemas.Hard, schemas.InvalidRecipient, schemas.CauseRecipient
}

func soft(e *schemas.Event) {
	e.BounceType, e.Reason, e.Cause = schemas.Soft, schemas.MailboxFull, schemas.CauseRecipient
}

func onList(id string) func(*schemas.Event) { return func(e *schemas.Event) { e.ListID = id } }

func record(e schemas.Event) *kgo.Record {
	return &kgo.Record{
		Topic: schemas.EventTopic(schemas.DefaultTopicPrefix, e.Type),
		Key:   []byte(schemas.PartitionKey(&e)), Value: schemas.AppendJSON(nil, &e),
	}
}

func publish(tb testing.TB, cfg kafka.Config, events ...schemas.Event) {
	tb.Helper()
	recs := make([]*kgo.Record, len(events))
	for i, e := range events {
		recs[i] = record(e)
	}
	kafkatest.Produce(tb, cfg, recs...)
}
