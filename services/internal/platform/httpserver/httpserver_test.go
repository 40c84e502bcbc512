package httpserver_test

import (
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
	"github.com/mailstream/mailstream/services/servicetest"
)

func start(t *testing.T, opt httpserver.Options) (base string, stop func() error) {
	t.Helper()
	s, stop := startWith(t, httpserver.Default("127.0.0.1:0"), opt)
	return "http://" + s.Addr(), stop
}

func startWith(t *testing.T, cfg httpserver.Config, opt httpserver.Options) (s *httpserver.Server, stop func() error) {
	t.Helper()
	opt.Name = "test"
	s, err := httpserver.New(cfg, opt, zap.NewNop(), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	return s, servicetest.Start(t, s).Stop
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

func TestServer_HealthOnBothListenersMetricsOnTheirOwn(t *testing.T) {
	t.Parallel()
	var caughtUp atomic.Bool
	s, stop := startWith(t, httpserver.Default("127.0.0.1:0"), httpserver.Options{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, "handler got "+r.URL.Path) }),
		Ready: func() error {
			if !caughtUp.Load() {
				return errors.New("12 records behind")
			}
			return nil
		},
	})
	api, metrics := "http://"+s.Addr(), "http://"+s.MetricsAddr()
	for _, tc := range []struct {
		url    string
		status int
		text   string
	}{
		{api + "/healthz", 200, "ok"}, {api + "/readyz", 503, "12 records behind"},
		{api + "/metrics", 200, "handler got /metrics"},                 // as any other path
		{api + "/debug/pprof/", 200, "handler got /debug/pprof/"},       // and this
		{api + "//v1//hooks/../x", 200, "handler got //v1//hooks/../x"}, // no redirect: senders do not follow it with their body
		{metrics + "/metrics", 200, "promhttp_metric_handler"},
		{metrics + "/healthz", 200, "ok"}, {metrics + "/readyz", 503, "12 records behind"},
		{metrics + "/v1/anything", 404, "not found"}, {metrics + "/", 404, "not found"},
	} {
		if status, body := get(t, tc.url); status != tc.status || !strings.Contains(body, tc.text) {
			t.Errorf("GET %s = %d %q, want %d with %q", tc.url, status, body, tc.status, tc.text)
		}
	}
	caughtUp.Store(true)
	if status, _ := get(t, api+"/readyz"); status != 200 {
		t.Errorf("readyz = %d after catching up", status)
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
	for _, addr := range []string{s.Addr(), s.MetricsAddr()} {
		if conn, err := net.Dial("tcp", addr); err == nil {
			conn.Close()
			t.Errorf("%s still listens after the stop", addr)
		}
	}
}

func TestServer_MetricsMayBeOff(t *testing.T) {
	t.Parallel()
	cfg := httpserver.Default("127.0.0.1:0")
	cfg.MetricsListen = httpserver.MetricsOff
	s, stop := startWith(t, cfg, httpserver.Options{})
	if s.MetricsAddr() != "" {
		t.Errorf("metrics are at %s", s.MetricsAddr())
	}
	if status, _ := get(t, "http://"+s.Addr()+"/metrics"); status != 404 {
		t.Errorf("GET /metrics = %d at the API", status)
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
	taken, free := ln.Addr().String(), "127.0.0.1:0"
	for what, cfg := range map[string]httpserver.Config{
		"API": {Listen: taken, MetricsListen: free}, "metrics": {Listen: free, MetricsListen: taken},
	} {
		cfg.HTTP = httpserver.Default(free).HTTP
		s, err := httpserver.New(cfg, httpserver.Options{Name: "ingress"}, zap.NewNop(), prometheus.NewRegistry())
		if err != nil {
			t.Fatal(err)
		}
		if err = s.Run(t.Context()); err == nil || !strings.Contains(err.Error(), taken) || !strings.Contains(err.Error(), "taken") {
			t.Errorf("%s: Run = %v", what, err)
		}
		for _, addr := range []string{s.Addr(), s.MetricsAddr()} {
			if addr == "" {
				continue
			}
			if conn, err := net.Dial("tcp", addr); err == nil {
				conn.Close()
				t.Errorf("%s: %s still listens", what, addr)
			}
		}
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
	if !errors.As(p.Err(), &invalid) || len(invalid.Faults) != 9 {
		t.Errorf("Validate = %v, want 9 faults", p.Err())
	}
}

func TestConfig_MetricsHaveAPortOfTheirOwn(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ listen, metrics, fault string }{
		{"127.0.0.1:8080", "", ""},
		{"127.0.0.1:8080", "off", ""},
		{"0.0.0.0:8080", "0.0.0.0:9080", ""},
		{"[::1]:8080", "[::1]:9080", ""},
		{"127.0.0.1:0", "127.0.0.1:0", ""},
		{"127.0.0.1:64535", "", ""},
		{"127.0.0.1:64536", "", "is not set, and the port of listen plus 1000 is above 65535"},
		{"127.0.0.1:8080", "127.0.0.1:8080", "has the port of listen"},
		{"0.0.0.0:8080", "127.0.0.1:8080", "has the port of listen"},
		{"127.0.0.1:8080", "9080", `"9080" is neither host:port nor off`},
		{"127.0.0.1:8080", "0", `"0" is neither host:port nor off`},
		{"127.0.0.1:8080", "none", `"none" is neither host:port nor off`},
	} {
		cfg := httpserver.Default(tc.listen)
		cfg.MetricsListen = tc.metrics
		var p config.Problems
		cfg.Validate(p.At("ingress"))
		got := ""
		if err := p.Err(); err != nil {
			got = err.Error()
		}
		if (got == "") != (tc.fault == "") || !strings.Contains(got, tc.fault) || tc.fault != "" && !strings.Contains(got, "ingress.metrics_listen") {
			t.Errorf("listen %s, metrics_listen %s: %q, want %q", tc.listen, tc.metrics, got, tc.fault)
		}
	}
}
