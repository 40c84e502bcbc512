package httpserver_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/mailstream/mailstream/services/internal/platform/config"
	"github.com/mailstream/mailstream/services/internal/platform/httpserver"
)

func start(t *testing.T, opt httpserver.Options) (base string, stop func() error) {
	t.Helper()
	opt.Name = "test"
	s, err := httpserver.New(httpserver.Default("127.0.0.1:0"), opt, zap.NewNop(), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	select {
	case <-s.Ready():
	case err := <-done:
		t.Fatal(err)
	}
	return "http://" + s.Addr(), func() error { cancel(); return <-done }
}

func get(t *testing.T, url string) (int, string) {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

func TestServer_HealthReadinessMetricsAndHandler(t *testing.T) {
	t.Parallel()
	var caughtUp atomic.Bool
	base, stop := start(t, httpserver.Options{Ready: func() error {
		if !caughtUp.Load() {
			return errors.New("12 records behind")
		}
		return nil
	}})
	for _, tc := range []struct {
		path   string
		status int
		text   string
	}{
		{"/healthz", 200, "ok"}, {"/readyz", 503, "12 records behind"}, {"/metrics", 200, "promhttp_metric_handler"}, {"/nothing", 404, "not found"},
	} {
		if status, body := get(t, base+tc.path); status != tc.status || !strings.Contains(body, tc.text) {
			t.Errorf("GET %s = %d %q, want %d with %q", tc.path, status, body, tc.status, tc.text)
		}
	}
	caughtUp.Store(true)
	if status, _ := get(t, base+"/readyz"); status != 200 {
		t.Errorf("readyz = %d after catching up", status)
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
}

func TestServer_StopLetsARunningRequestFinish(t *testing.T) {
	t.Parallel()
	entered, release := make(chan struct{}), make(chan struct{})
	base, stop := start(t, httpserver.Options{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		close(entered)
		<-release
		_, _ = io.WriteString(w, "done")
	})})
	answer := make(chan string, 1)
	go func() { _, body := get(t, base+"/slow"); answer <- body }()
	<-entered
	stopped := make(chan error, 1)
	go func() { stopped <- stop() }()
	select {
	case err := <-stopped:
		t.Fatalf("stopped with %v while a request ran", err)
	default:
	}
	close(release)
	if got := <-answer; got != "done" {
		t.Errorf("answer = %q", got)
	}
	if err := <-stopped; err != nil {
		t.Error(err)
	}
}

func TestServer_NamesATakenPort(t *testing.T) {
	t.Parallel()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	s, err := httpserver.New(httpserver.Default(ln.Addr().String()), httpserver.Options{Name: "ingress"}, zap.NewNop(), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	if err = s.Run(t.Context()); err == nil || !strings.Contains(err.Error(), ln.Addr().String()) || !strings.Contains(err.Error(), "taken") {
		t.Errorf("Run = %v", err)
	}
}

func TestBearer(t *testing.T) {
	t.Parallel()
	h := httpserver.Bearer([]config.Secret{config.Literal("old"), config.Literal("new"), {}}, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		httpserver.JSON(w, 200, map[string]int{"n": 1})
	}))
	for _, tc := range []struct {
		name, header string
		want         int
	}{
		{"first of two", "Bearer old", 200}, {"second of two", "bearer new", 200}, {"wrong", "Bearer nope", 401},
		{"empty matches no unset token", "Bearer ", 401}, {"absent", "", 401}, {"another scheme", "Basic old", 401},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			w, r := httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil)
			r.Header.Set("Authorization", tc.header)
			h.ServeHTTP(w, r)
			if w.Code != tc.want {
				t.Errorf("status = %d, want %d", w.Code, tc.want)
			}
			if w.Code == 401 {
				var p map[string]any
				if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil || p["status"] != 401.0 || w.Header().Get("WWW-Authenticate") == "" {
					t.Errorf("body %s, header %v", w.Body, w.Header())
				}
			}
		})
	}
}

func TestConfig_Validate(t *testing.T) {
	t.Parallel()
	var p config.Problems
	httpserver.Config{Listen: "8080"}.Validate(p.At("ingress"))
	var invalid *config.InvalidError
	if !errors.As(p.Err(), &invalid) || len(invalid.Faults) != 7 {
		t.Errorf("Validate = %v, want 7 faults", p.Err())
	}
}
