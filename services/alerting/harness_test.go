package alerting

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/alerting/internal/evaluator"
	"github.com/mailstream/mailstream/services/internal/platform"
	"github.com/mailstream/mailstream/services/internal/platform/config"
	"github.com/mailstream/mailstream/services/internal/platform/kafka"
	"github.com/mailstream/mailstream/services/internal/platform/kafka/kafkatest"
	"github.com/mailstream/mailstream/services/servicetest"
)

const (
	// patience bounds every wait for something that must happen.
	patience = 20 * time.Second
	// quiet is how long we watch that nothing happens: several rounds.
	quiet = 1500 * time.Millisecond
	token = "test-token"
)

// webhook is Slack as an incoming webhook shows it.
type webhook struct {
	URL   string
	mu    sync.Mutex
	posts []post
	tries int
	fault func(try int, w http.ResponseWriter) bool // answers itself when true
	taken chan struct{}
}

type post struct {
	text string
	body string
	at   time.Time
}

func (r *rig) newWebhook() *webhook {
	r.t.Helper()
	address := r.address()
	w := &webhook{URL: "http://" + address, taken: make(chan struct{}, 1000)}
	listener, err := r.broker.Network.Listen("tcp", address)
	if err != nil {
		r.t.Fatalf("listen as slack: %v", err)
	}
	server := &http.Server{Handler: w}
	go func() { _ = server.Serve(listener) }() // ends when it is closed
	r.t.Cleanup(func() { _ = server.Close() })
	return w
}

func (w *webhook) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.tries++
	if w.fault != nil && w.fault(w.tries, rw) {
		return
	}
	var m struct {
		Text string `json:"text"`
	}
	if json.Unmarshal(body, &m) != nil || m.Text == "" {
		http.Error(rw, "no_text", http.StatusBadRequest)
		return
	}
	w.posts = append(w.posts, post{text: m.Text, body: string(body), at: time.Now()})
	_, _ = io.WriteString(rw, "ok") // a gone client fails its own test
	w.taken <- struct{}{}
}

func (w *webhook) setFault(f func(try int, w http.ResponseWriter) bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.fault = f
}

func (w *webhook) seen() []post {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]post(nil), w.posts...)
}

// want waits for exactly n posts and fails when there are more.
func (w *webhook) want(t *testing.T, n int) []post {
	t.Helper()
	waitFor(t, fmt.Sprintf("%d slack posts", n), func() bool { return len(w.seen()) >= n })
	if got := w.seen(); len(got) > n {
		t.Fatalf("slack got %d posts, want %d: %q", len(got), n, texts(got))
	}
	return w.seen()
}

// wantQuiet fails when slack has other than n posts within the quiet time.
func (w *webhook) wantQuiet(t *testing.T, n int) {
	t.Helper()
	timer := time.NewTimer(quiet)
	defer timer.Stop()
	for {
		if got := w.seen(); len(got) != n {
			t.Fatalf("slack got %d posts, want %d: %q", len(got), n, texts(got))
		}
		select {
		case <-w.taken:
		case <-timer.C:
			return
		}
	}
}

func texts(posts []post) (out []string) {
	for _, p := range posts {
		out = append(out, p.text)
	}
	return out
}

func waitFor(t *testing.T, what string, ok func() bool) {
	t.Helper()
	servicetest.Eventually(t, what, ok)
}

// rig is a broker, a webhook and services on a network inside the process. A test with
// one runs in a synctest bubble: what it waits for takes no time.
type rig struct {
	t      *testing.T
	broker *kafkatest.Broker
	kafka  kafka.Config
	client *http.Client
	slack  *webhook
	clock  *servicetest.Clock
	next   int // numbers events
	// explainer says who carries spikes; nil is nobody.
	explainer evaluator.Explainer
	ports     int // numbers addresses
}

func newRig(t *testing.T, opts ...kfake.Opt) *rig {
	t.Helper()
	b := kafkatest.StartVirtual(t, opts...)
	r := &rig{t: t, broker: b, kafka: b.Config, client: &http.Client{Transport: &http.Transport{DialContext: b.Network.DialContext}}, clock: &servicetest.Clock{}}
	t.Cleanup(r.client.CloseIdleConnections)
	r.slack = r.newWebhook()
	return r
}

// address returns one that nothing listens on.
func (r *rig) address() string {
	r.ports++
	return fmt.Sprintf("127.0.0.1:%d", 8000+r.ports)
}

// instance is a running service.
type instance struct {
	*Service
	reg  *prometheus.Registry
	stop func()
	dead bool // cut off: how it ends is no matter
}

// start runs a service and waits until it is ready.
func (r *rig) start(change ...func(*Config)) *instance {
	r.t.Helper()
	in := r.launch(change...)
	select {
	case <-in.Ready():
	case <-time.After(patience):
		r.t.Fatalf("service is not ready within %s", patience)
	}
	return in
}

// launch runs a service.
func (r *rig) launch(change ...func(*Config)) *instance {
	r.t.Helper()
	cfg := Default()
	cfg.Listen, cfg.MetricsListen, cfg.ListenFunc = r.address(), r.address(), r.broker.Network.Listen
	cfg.Tokens = []config.Secret{config.Literal(token)}
	cfg.Slack.WebhookURL = config.Literal(r.slack.URL + "/services/T0/B0/secret")
	for _, f := range change {
		f(&cfg)
	}
	in := &instance{reg: prometheus.NewRegistry()}
	log := zaptest.NewLogger(r.t, zaptest.Level(zap.WarnLevel))
	var err error
	in.Service, err = newService(cfg, platform.Shared{Kafka: r.kafka, Log: log, Registry: in.reg}, options{now: r.clock.Now, transport: r.client.Transport, explainer: r.explainer})
	if err != nil {
		r.t.Fatalf("make service: %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- in.Run(ctx) }()
	var once sync.Once
	in.stop = func() {
		once.Do(func() {
			cancel()
			if err := <-done; err != nil && !in.dead && !errors.Is(err, context.Canceled) {
				r.t.Errorf("service ended: %v", err)
			}
		})
	}
	r.t.Cleanup(func() {
		if r.t.Failed() {
			in.show(r.t)
		}
		in.stop()
	})
	return in
}

// show logs where the service is, for a test that failed.
func (in *instance) show(t *testing.T) {
	families, err := in.reg.Gather()
	if err != nil {
		return
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if v := m.GetCounter().GetValue() + m.GetGauge().GetValue(); v != 0 && strings.HasPrefix(f.GetName(), "mailstream_") {
				t.Logf("%s%v %v", f.GetName(), m.GetLabel(), v)
			}
		}
	}
}

// mail describes events to produce.
type mail struct {
	kind     schemas.Type
	n        int
	domain   string
	provider string
	source   string
	age      time.Duration // how long ago it happened
	reason   schemas.Reason
	reply    string
	headers  []kgo.RecordHeader
}

func delivered(n int, domain string) mail {
	return mail{kind: schemas.Delivered, n: n, domain: domain}
}
func bounced(n int, domain string) mail { return mail{kind: schemas.Bounced, n: n, domain: domain} }
func blocked(n int, domain string) mail {
	return mail{kind: schemas.Blocked, n: n, domain: domain, reason: schemas.Reputation}
}

// records makes the records of m, each event its own.
func (r *rig) records(m mail) []*kgo.Record {
	recs := make([]*kgo.Record, 0, m.n)
	for range m.n {
		r.next++
		hash := fmt.Sprintf("%032x", r.next)
		at := r.clock.Now().Add(-m.age)
		e := schemas.Event{
			ID: fmt.Sprintf("00000000-0000-8000-8000-%012d", r.next), Type: m.kind, Time: at, ReceivedAt: r.clock.Now(),
			Provider: "mailjet", Source: m.source, MessageID: fmt.Sprint("m", r.next), Recipient: fmt.Sprintf("person%d@%s", r.next, m.domain),
			RecipientDomain: m.domain, RecipientHash: hash, MailboxProvider: m.provider,
			Reason: m.reason, Cause: schemas.CauseOf(m.reason), SMTPReply: m.reply,
			Raw: json.RawMessage(`{"event":"x"}`),
		}
		if e.Source == "" {
			e.Source = "acme"
		}
		recs = append(recs, &kgo.Record{
			Topic: schemas.EventTopic(r.kafka.TopicPrefix, m.kind), Key: []byte(schemas.PartitionKey(&e)),
			Value: schemas.AppendJSON(nil, &e), Headers: m.headers, Timestamp: r.clock.Now(),
		})
	}
	return recs
}

// send produces all mails and waits for the acknowledgements.
func (r *rig) send(mails ...mail) []*kgo.Record {
	r.t.Helper()
	var recs []*kgo.Record
	for _, m := range mails {
		recs = append(recs, r.records(m)...)
	}
	r.produce(recs)
	return recs
}

// produce writes copies of recs.
func (r *rig) produce(recs []*kgo.Record) {
	r.t.Helper()
	copies := make([]*kgo.Record, 0, len(recs))
	for _, rec := range recs {
		c := *rec
		copies = append(copies, &c)
	}
	kafkatest.Produce(r.t, r.kafka, copies...)
}

// alerts asks the API.
func (r *rig) alerts(in *instance, query string) []schemas.Alert {
	r.t.Helper()
	req, err := http.NewRequestWithContext(context.Background(), http.MethodGet, "http://"+in.Addr()+"/v1/alerts"+query, nil)
	if err != nil {
		r.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	resp, err := r.client.Do(req)
	if err != nil {
		r.t.Fatalf("get alerts: %v", err)
	}
	defer resp.Body.Close()
	var body struct {
		Alerts []schemas.Alert `json:"alerts"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&body); err != nil || resp.StatusCode != http.StatusOK {
		r.t.Fatalf("get alerts: status %d, %v", resp.StatusCode, err)
	}
	return body.Alerts
}

// metric returns the sum of a metric over its labels that match.
func (in *instance) metric(t *testing.T, name string, labels ...string) float64 {
	t.Helper()
	families, err := in.reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	sum := 0.0
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
		for _, m := range f.GetMetric() {
			if strings.Contains(fmt.Sprint(m.GetLabel()), strings.Join(labels, ":")) {
				sum += m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	return sum
}
