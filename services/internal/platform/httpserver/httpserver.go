// Package httpserver is the one HTTP server every service listens with: all
// limits set, /healthz, /readyz and /metrics beside the service's own handler,
// and a stop that first says "not ready", then drains. It knows no route of any
// service.
package httpserver

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.uber.org/zap"

	"github.com/mailstream/mailstream/services/internal/platform/config"
	"github.com/mailstream/mailstream/services/internal/platform/telemetry"
)

// Config is the part of a service's section that its listener reads. It is
// inlined there.
type Config struct {
	// Listen is host:port; port 0 takes a free one.
	Listen string `yaml:"listen"`
	// HTTP holds the limits; the defaults fit every service.
	HTTP Limits `yaml:"http"`
}

// Limits bound one connection and the stop.
type Limits struct {
	// ReadHeaderTimeout bounds reading the request line and headers. Default 5s.
	ReadHeaderTimeout time.Duration `yaml:"read_header_timeout"`
	// ReadTimeout bounds reading the whole request, so a slow body holds a
	// connection no longer than this. Default 15s.
	ReadTimeout time.Duration `yaml:"read_timeout"`
	// WriteTimeout bounds the handler and its answer. Default 30s.
	WriteTimeout time.Duration `yaml:"write_timeout"`
	// IdleTimeout closes a kept-alive connection. Default 2m.
	IdleTimeout time.Duration `yaml:"idle_timeout"`
	// HeaderBytesMax bounds all headers together. Default 64KiB.
	HeaderBytesMax config.ByteSize `yaml:"header_bytes_max"`
	// DrainTimeout bounds the wait for running requests at the stop. Default 15s.
	DrainTimeout time.Duration `yaml:"drain_timeout"`
	// DrainDelay is how long /readyz already says no while requests are still
	// taken, so that a load balancer can notice. Default 0s; 5s fits Kubernetes.
	DrainDelay time.Duration `yaml:"drain_delay"`
}

// Default returns the limits with the given listen address.
func Default(listen string) Config {
	return Config{Listen: listen, HTTP: Limits{
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       15 * time.Second,
		WriteTimeout:      30 * time.Second,
		IdleTimeout:       2 * time.Minute,
		HeaderBytesMax:    64 * config.KiB,
		DrainTimeout:      15 * time.Second,
	}}
}

// Validate reports every fault to p.
func (c Config) Validate(p *config.Problems) {
	_, _, err := net.SplitHostPort(c.Listen)
	p.Check(err == nil, "listen", "%q is not host:port", c.Listen)
	p = p.At("http")
	for _, d := range []struct {
		name  string
		value time.Duration
	}{
		{"read_header_timeout", c.HTTP.ReadHeaderTimeout}, {"read_timeout", c.HTTP.ReadTimeout},
		{"write_timeout", c.HTTP.WriteTimeout}, {"idle_timeout", c.HTTP.IdleTimeout},
		{"drain_timeout", c.HTTP.DrainTimeout},
	} {
		p.Check(d.value > 0, d.name, "%s is not above 0s", d.value)
	}
	p.Check(c.HTTP.DrainDelay >= 0, "drain_delay", "%s is below 0s", c.HTTP.DrainDelay)
	p.Check(c.HTTP.HeaderBytesMax >= config.KiB && c.HTTP.HeaderBytesMax <= 16*config.MiB,
		"header_bytes_max", "%s is not between 1KiB and 16MiB", c.HTTP.HeaderBytesMax)
}

// Options say what a service serves.
type Options struct {
	// Name is the service's, for messages.
	Name string
	// Handler gets every request but those of /healthz, /readyz and /metrics; nil
	// answers 404.
	Handler http.Handler
	// Ready returns nil when the service can do its work, else why not; nil is
	// always ready. It must be quick: load balancers ask every second.
	Ready func() error
}

// Server is one listener. Make it with New.
type Server struct {
	cfg      Config
	opt      Options
	log      *zap.Logger
	http     *http.Server
	ready    chan struct{}
	addr     atomic.Pointer[string]
	stopping atomic.Bool
}

// New builds a server that does not listen yet. The metrics of reg are served
// at /metrics.
func New(cfg Config, opt Options, log *zap.Logger, reg *prometheus.Registry) (*Server, error) {
	s := &Server{cfg: cfg, opt: opt, log: log, ready: make(chan struct{})}
	if opt.Handler == nil {
		s.opt.Handler = http.HandlerFunc(NotFound)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { plain(w, http.StatusOK, "ok") })
	mux.HandleFunc("GET /readyz", s.serveReady)
	mux.Handle("GET /metrics", promhttp.HandlerFor(reg, promhttp.HandlerOpts{Registry: reg}))
	mux.Handle("/", s.opt.Handler)
	errorLog, err := zap.NewStdLogAt(log, zap.WarnLevel)
	if err != nil {
		return nil, fmt.Errorf("make error log of %s: %w", opt.Name, err)
	}
	l := cfg.HTTP
	s.http = &http.Server{
		Handler:           mux,
		ReadHeaderTimeout: l.ReadHeaderTimeout,
		ReadTimeout:       l.ReadTimeout,
		WriteTimeout:      l.WriteTimeout,
		IdleTimeout:       l.IdleTimeout,
		MaxHeaderBytes:    int(l.HeaderBytesMax),
		ErrorLog:          errorLog,
	}
	return s, nil
}

// Ready is closed once the server listens.
func (s *Server) Ready() <-chan struct{} { return s.ready }

// Addr returns host:port as listened on, "" before Ready.
func (s *Server) Addr() string {
	if addr := s.addr.Load(); addr != nil {
		return *addr
	}
	return ""
}

// Run listens and serves until ctx is done, then drains. A port that is taken
// is an error that names it.
func (s *Server) Run(ctx context.Context) error {
	var lc net.ListenConfig
	ln, err := lc.Listen(ctx, "tcp", s.cfg.Listen)
	if err != nil {
		return listenError(s.opt.Name, s.cfg.Listen, err)
	}
	addr := ln.Addr().String()
	s.addr.Store(&addr)
	s.log.Info("listening", telemetry.Addr(addr))
	close(s.ready)

	served := make(chan error, 1)
	go func() { served <- s.http.Serve(ln) }()
	select {
	case err := <-served:
		return fmt.Errorf("serve %s: %w", addr, err)
	case <-ctx.Done():
	}
	err = s.drain()
	<-served
	return err
}

// drain lets running requests finish. Those that do not within DrainTimeout are
// cut off, which is no fault of the service: their callers repeat them.
func (s *Server) drain() error {
	s.stopping.Store(true)
	time.Sleep(s.cfg.HTTP.DrainDelay)
	ctx, cancel := context.WithTimeout(context.Background(), s.cfg.HTTP.DrainTimeout)
	defer cancel()
	if err := s.http.Shutdown(ctx); err != nil {
		s.log.Warn("requests cut off at the stop", telemetry.Err(err))
		if err := s.http.Close(); err != nil {
			return fmt.Errorf("close listener of %s: %w", s.opt.Name, err)
		}
	}
	return nil
}

func listenError(name, addr string, err error) error {
	if errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("listen on %s for %s: the port is taken by another process: %w", addr, name, err)
	}
	return fmt.Errorf("listen on %s for %s: %w", addr, name, err)
}

func (s *Server) serveReady(w http.ResponseWriter, _ *http.Request) {
	if s.stopping.Load() {
		plain(w, http.StatusServiceUnavailable, "stopping")
		return
	}
	if s.opt.Ready != nil {
		if err := s.opt.Ready(); err != nil {
			plain(w, http.StatusServiceUnavailable, err.Error())
			return
		}
	}
	plain(w, http.StatusOK, "ready")
}

func plain(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(text + "\n")) // a gone client is nobody's fault
}
