package alertmanager

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/alerting/internal/outbox"
	"github.com/mailstream/mailstream/services/alerting/internal/wording"
	"github.com/mailstream/mailstream/services/internal/platform/config"
	"github.com/mailstream/mailstream/services/internal/platform/fate"
)

// instance stands in for one Alertmanager: an alert is its labels, and ends by itself at
// its endsAt. It is a transport, so that time may be virtual.
type instance struct {
	mu     sync.Mutex
	hangs  string          // host that never answers
	away   map[string]bool // by host
	status int
	alerts map[string]alert // by host and labels
	posts  int
}

func (s *instance) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Host == s.hangs {
		<-r.Context().Done()
		return nil, context.Cause(r.Context())
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.away[r.URL.Host] {
		return nil, &net.OpError{Op: "dial", Err: net.ErrClosed}
	}
	s.posts++
	body, err := io.ReadAll(r.Body)
	var alerts []alert
	status := http.StatusOK
	switch {
	case s.status != 0:
		status = s.status
	case err != nil || json.Unmarshal(body, &alerts) != nil || r.URL.Path != "/api/v2/alerts":
		status = http.StatusBadRequest
	}
	for _, a := range alerts {
		if len(a.Labels) == 0 || a.EndsAt.Before(a.StartsAt) {
			status = http.StatusBadRequest
			break
		}
		key, err := json.Marshal(a.Labels)
		if err != nil {
			return nil, err
		}
		s.alerts[r.URL.Host+string(key)] = a
	}
	return &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader("")), Request: r}, nil
}

// firing returns how many alerts an instance takes for firing.
func (s *instance) firing(host string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for key, a := range s.alerts {
		if strings.HasPrefix(key, host) && a.EndsAt.After(time.Now()) {
			n++
		}
	}
	return n
}

func start(urls ...string) (*Client, *instance) {
	s := &instance{away: make(map[string]bool), alerts: make(map[string]alert)}
	return New(Config{URLs: urls}, wording.Links{Console: "https://c.example"}, s, zap.NewNop()), s
}

func TestRun_KeepsAnIncidentAliveAndEndsIt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, s := start("http://a:9093", "http://b:9093/")
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- c.Run(ctx) }()
		n := wording.Example(schemas.NotifyFiring, time.Now())
		s.away["b:9093"] = true // it hears of it at the next minute
		if err := c.Deliver(t.Context(), []outbox.Notice{n}); err != nil {
			t.Fatalf("deliver: %v", err)
		}
		s.away["b:9093"] = false
		a := n.Alert
		c.Hold([]schemas.Alert{a})
		time.Sleep(61 * time.Second)
		for minute := range 120 {
			if s.firing("a:9093") != 1 || s.firing("b:9093") != 1 {
				t.Fatalf("minute %d: a has %d, b has %d", minute, s.firing("a:9093"), s.firing("b:9093"))
			}
			a.Value, a.Causes, a.UpdatedAt = float64(minute)/120, map[string]int64{"sender": int64(minute)}, time.Now() // no new identity
			c.Hold([]schemas.Alert{a})
			time.Sleep(time.Minute)
		}
		s.mu.Lock()
		s.away["a:9093"] = true // misses the end itself
		s.mu.Unlock()
		a.State, a.ResolvedAt, a.Ended = schemas.AlertResolved, time.Now(), schemas.EndRecovered
		if err := c.Deliver(t.Context(), []outbox.Notice{*noticeOf(&a)}); err != nil {
			t.Fatalf("deliver the end: %v", err)
		}
		s.mu.Lock()
		s.away["a:9093"] = false
		s.mu.Unlock()
		c.Hold([]schemas.Alert{a})
		time.Sleep(61 * time.Second)
		if s.firing("a:9093")+s.firing("b:9093") != 0 || len(s.alerts) != 2 {
			t.Errorf("after the end: a has %d, b has %d firing; %d in all", s.firing("a:9093"), s.firing("b:9093"), len(s.alerts))
		}
		c.Hold(nil)
		posts := s.posts
		time.Sleep(time.Hour)
		if s.posts != posts {
			t.Errorf("%d posts about nothing", s.posts-posts)
		}
		cancel()
		if err := <-done; err != nil {
			t.Errorf("run: %v", err)
		}
	})
}

func TestDeliver_AnInstanceThatHangsDelaysNoOther(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, s := start("http://a:9093", "http://b:9093", "http://c:9093")
		s.hangs = "a:9093"
		began := time.Now()
		done := make(chan error, 1)
		go func() { done <- c.Deliver(t.Context(), []outbox.Notice{wording.Example(schemas.NotifyFiring, began)}) }()
		synctest.Wait()
		if s.firing("b:9093") != 1 || s.firing("c:9093") != 1 {
			t.Error("the others wait for the one that hangs")
		}
		if err := <-done; err != nil || time.Since(began) > 10*time.Second {
			t.Errorf("deliver: %v after %s", err, time.Since(began))
		}
	})
}

func TestAlert_IdentityHasNoNumbers(t *testing.T) {
	t.Parallel()
	c, _ := start("http://a:9093")
	n := wording.Example(schemas.NotifyFiring, time.Now())
	got := c.alert(&n)
	want := map[string]string{"alertname": "test", "severity": "info", "source": "test", "recipient_domain": "example.com"}
	if diff := cmp.Diff(want, got.Labels); diff != "" {
		t.Errorf("labels (-want +got):\n%s", diff)
	}
	if got.Annotations["incident"] != n.Facts.Incident || !strings.Contains(got.Annotations["summary"], "78 %") || got.GeneratorURL == "" {
		t.Errorf("alert: %+v", got)
	}
	n.Kind, n.At = schemas.NotifyResolved, n.Facts.Since.Add(-time.Second) // clocks differ
	if end := c.alert(&n); end.EndsAt.Before(end.StartsAt) {
		t.Errorf("it ends before it starts: %+v", end)
	}
}

func TestDeliver_ReadsAnswers(t *testing.T) {
	t.Parallel()
	n := wording.Example(schemas.NotifyFiring, time.Now())
	for status, want := range map[int]fate.Fate{400: fate.DeadLetter, 401: fate.Halt, 404: fate.Halt, 429: fate.Retry, 500: fate.Retry, 503: fate.Retry} {
		c, s := start("http://a:9093")
		s.status = status
		if err := c.Deliver(context.Background(), []outbox.Notice{n}); err == nil || fate.Of(err) != want {
			t.Errorf("%d: %v, fate %v", status, err, fate.Of(err))
		}
	}
	c, s := start("http://a:9093", "http://b:9093")
	s.status, s.away["b:9093"] = 401, true
	if err := c.Deliver(context.Background(), []outbox.Notice{n}); err == nil || fate.Of(err) != fate.Retry {
		t.Errorf("one refuses, one is away: %v", err)
	}
}

func TestDeliver_LetsItselfInByToken(t *testing.T) {
	t.Parallel()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer hunter2" {
			w.WriteHeader(http.StatusUnauthorized)
		}
	}))
	t.Cleanup(srv.Close)
	c := New(Config{URLs: []string{srv.URL}, Token: config.Literal("hunter2")}, wording.Links{}, nil, zap.NewNop())
	if err := c.Deliver(context.Background(), []outbox.Notice{wording.Example(schemas.NotifyFiring, time.Now())}); err != nil {
		t.Errorf("deliver: %v", err)
	}
}

func TestValidate(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		urls []string
		ok   bool
	}{{[]string{"http://a:9093"}, true}, {nil, false}, {[]string{"a:9093"}, false}, {make([]string, 11), false}} {
		var p config.Problems
		Config{URLs: tt.urls}.Validate(&p)
		if err := p.Err(); (err == nil) != tt.ok {
			t.Errorf("%q: %v", tt.urls, err)
		}
	}
}
