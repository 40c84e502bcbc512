package alertingtest

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/mailstream/mailstream/devstack/broker"
	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/pipeline"
)

// patience bounds every wait for something that must come about.
const patience = 2 * time.Minute

// service is a broker, a store that can go away, and Slack.
type service struct {
	*world
	cfg   pipeline.Config
	away  atomic.Bool
	mu    sync.Mutex
	posts []string // guarded by mu
}

func newService(t *testing.T, rules string) *service {
	t.Helper()
	s := &service{world: newWorld(t)}
	b := broker.New(broker.Config{Listen: "127.0.0.1:0", DataDir: filepath.Join(t.TempDir(), "kafka")}, zap.NewNop())
	run(t, b.Run)
	<-b.Ready()
	slack := httptest.NewServer(http.HandlerFunc(s.post))
	t.Cleanup(slack.Close)
	to, err := url.Parse(s.engine.URL())
	if err != nil {
		t.Fatal(err)
	}
	proxy := httputil.NewSingleHostReverseProxy(to)
	store := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s.away.Load() {
			http.Error(w, "away", http.StatusServiceUnavailable)
			return
		}
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(store.Close)
	text := fmt.Sprintf(`
kafka: {brokers: [%q], topics: {partitions: 4}}
clickhouse: {url: %q, database: %q}
alerting:
  listen: "127.0.0.1:0"
  tokens: [test-token-of-16-bytes]
  slack: {webhook_url: "%s/services/T/B/x"}
  sql: {built_in: [], interval: 1s}
  rules: [%s]
`, b.Addr(), store.URL, s.database, slack.URL, rules)
	cfg, _, err := pipeline.Load(pipeline.Input{File: []byte(text), Name: "test", Services: []pipeline.Name{pipeline.Alerting}})
	if err != nil {
		t.Fatal(err)
	}
	if err := pipeline.ApplyTopics(t.Context(), cfg, logger(t)); err != nil {
		t.Fatal(err)
	}
	s.cfg = cfg
	return s
}

func (s *service) post(w http.ResponseWriter, r *http.Request) {
	var m struct {
		Text string `json:"text"`
	}
	if err := json.NewDecoder(r.Body).Decode(&m); err != nil {
		http.Error(w, "invalid_payload", http.StatusBadRequest)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.posts = append(s.posts, m.Text)
	_, _ = io.WriteString(w, "ok") // who is gone fails its own test
}

func (s *service) seen() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.posts...)
}

// instance starts one alerting.
func (s *service) instance() pipeline.Service {
	s.t.Helper()
	svc, err := pipeline.New(s.cfg, pipeline.Alerting, logger(s.t))
	if err != nil {
		s.t.Fatal(err)
	}
	run(s.t, svc.Run)
	select {
	case <-svc.Ready():
	case <-time.After(patience):
		s.t.Fatal("alerting is not ready")
	}
	return svc
}

func run(t testing.TB, f func(context.Context) error) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- f(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("ended with %v", err)
		}
	})
}

// alerts asks the API.
func (s *service) alerts(svc pipeline.Service) (answer struct{ Alerts []schemas.Alert }) {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), http.MethodGet, "http://"+svc.Addr()+"/v1/alerts", nil)
	if err != nil {
		s.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer test-token-of-16-bytes")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer res.Body.Close()
	if err := json.NewDecoder(res.Body).Decode(&answer); err != nil {
		s.t.Fatal(err)
	}
	return answer
}

func await(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !holds(); {
		if time.Now().After(deadline) {
			t.Fatalf("waited %s for %s", patience, what)
		}
		<-time.After(50 * time.Millisecond)
	}
}

const listRule = "{name: list, metric: hard_bounce_rate, by: [campaign], window: 1h, threshold: 0.1, min_volume: 20, min_count: 5, resolve_for: 1s}"

func TestService_TwoInstancesSendOneMessage(t *testing.T) {
	t.Parallel()
	s := newService(t, listRule)
	a, b := s.instance(), s.instance()
	s.send(30, time.Now().Add(-time.Minute), mail{campaign: "bad"}, hard())
	s.store()
	await(t, "a message", func() bool { return len(s.seen()) > 0 })
	for _, svc := range []pipeline.Service{a, b} {
		await(t, "both to know the alert", func() bool { return len(s.alerts(svc).Alerts) == 1 })
	}
	got := s.alerts(a).Alerts[0]
	if line(got) != "list source=acme campaign=bad: 30/30" || got.State != schemas.AlertFiring || got.Severity != schemas.SeverityCritical {
		t.Errorf("alert: %s, %s", line(got), got.State)
	}
	// Three more rounds, seen by the record being written anew.
	before := got.UpdatedAt
	s.send(30, time.Now(), mail{campaign: "bad"}, hard())
	s.store()
	await(t, "fresh numbers", func() bool { return s.alerts(b).Alerts[0].UpdatedAt.After(before) })
	if posts := s.seen(); len(posts) != 1 {
		t.Errorf("%d messages: %q", len(posts), posts)
	}
}

func TestService_HoldsWhileClickHouseIsAwayAndEndsOnGoodMail(t *testing.T) {
	t.Parallel()
	s := newService(t, listRule)
	svc := s.instance()
	s.send(30, time.Now().Add(-time.Minute), mail{campaign: "bad"}, hard())
	s.store()
	await(t, "a message", func() bool { return len(s.seen()) == 1 })
	s.away.Store(true)
	s.send(1000, time.Now(), mail{campaign: "bad"}, delivered())
	s.store()
	failed := `mailstream_alerting_sql_errors_total`
	await(t, "readings that fail", func() bool { return s.metric(svc, failed) >= 3 })
	if got := s.alerts(svc).Alerts; len(got) != 1 || got[0].State != schemas.AlertFiring {
		t.Fatalf("alerts while nothing can be read: %+v", got)
	}
	s.away.Store(false)
	await(t, "the end", func() bool { return len(s.seen()) == 2 })
	if got := s.alerts(svc).Alerts; got[0].State != schemas.AlertResolved || got[0].Ended != schemas.EndRecovered {
		t.Errorf("the end is %s, %s", got[0].State, got[0].Ended)
	}
}

// A replay says of old events that they were refused, or of no type that is known: that
// alarms nobody, also where a few at the key were refused as they came.
func TestService_CorrectionsAlarmNobody(t *testing.T) {
	t.Parallel()
	s := newService(t, listRule+", {name: unknown, metric: unknown_share, by: [campaign], window: 1h, threshold: 0.5, min_volume: 20, resolve_for: 1s}")
	at := time.Now().Add(-10 * time.Minute)
	corrected := mail{campaign: "corrected", origin: schemas.OriginReplay}
	s.send(100, at, mail{campaign: "corrected"}, delivered())
	s.send(4, at, mail{campaign: "corrected"}, hard())
	s.send(40, at, corrected, hard())
	s.send(400, at, corrected, step{typ: schemas.Other})
	s.send(30, at, mail{campaign: "seen"}, hard())
	s.send(30, at, mail{campaign: "seen", origin: schemas.OriginReplay}, hard())
	s.store()
	svc := s.instance()
	await(t, "all rules are held to what was seen", func() bool { return s.metric(svc, "mailstream_alerting_sql_corrected_total") >= 4 })
	await(t, "a message", func() bool { return len(s.seen()) > 0 })
	got := s.alerts(svc).Alerts
	if len(got) != 1 || line(got[0]) != "list source=acme campaign=seen: 60/60" {
		t.Errorf("alerts: %+v", got)
	}
}

// metric returns the value of a counter without labels.
func (s *service) metric(svc pipeline.Service, name string) (value float64) {
	s.t.Helper()
	res, err := http.Get("http://" + svc.MetricsAddr() + "/metrics")
	if err != nil {
		s.t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	for _, l := range strings.Split(string(body), "\n") {
		if n, _ := fmt.Sscanf(l, name+" %f", &value); n == 1 {
			return value
		}
	}
	return 0
}
