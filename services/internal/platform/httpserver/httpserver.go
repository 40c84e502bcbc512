// Package httpserver is the one HTTP server every service listens with: all
// limits set, /healthz and /readyz beside the service's own handler, /metrics on
// a separate listener, and a stop that first says "not ready", then drains. It
// knows no route of any service.
package httpserver

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.uber.org/zap"

	"github.com/mailstream/mailstream/services/internal/platform/config"
	"github.com/mailstream/mailstream/services/internal/platform/telemetry"
)

// Config is the part of a service's section that its listeners read. It is
// inlined there.
type Config struct {
	// Listen is host:port of the API; port 0 takes a free one. Default by service.
	Listen string `yaml:"listen"`
	// MetricsListen is host:port of /metrics, which reveals names of sources,
	// topics and receivers, so it is never served at listen. Default "": on
	// 127.0.0.1, at the port of listen plus 1000; "off" serves no metrics.
	MetricsListen string `yaml:"metrics_listen"`
	// HTTP holds the limits; the defaults fit every service.
	HTTP Limits `yaml:"http"`
	// ListenFunc, when not nil, makes the listeners instead of TCP: tests serve on a
	// network inside the process.
	ListenFunc func(network, address string) (net.Listener, error) `yaml:"-"`
}

// Limits bound one connection and the stop.
type Limits struct {
	// ReadHeaderTimeout bounds reading the request line and headers. Default 5s.
	// Range (0s, 1h].
	ReadHeaderTimeout time.Duration `yaml:"read_header_timeout"`
	// ReadTimeout bounds reading the whole request. Default 1m. Range (0s, 1h].
	ReadTimeout time.Duration `yaml:"read_timeout"`
	// WriteTimeout bounds everything from the end of the headers to the end of the
	// answer. Default 1m30s. Range (read_timeout, 1h].
	WriteTimeout time.Duration `yaml:"write_timeout"`
	// IdleTimeout closes a kept-alive connection. Default 2m. Range (0s, 1h].
	IdleTimeout time.Duration `yaml:"idle_timeout"`
	// HeaderBytesMax bounds all headers together, which each connection may leave
	// unfinished for ReadHeaderTimeout. Default 16KiB. Range [1KiB, 16MiB].
	HeaderBytesMax config.ByteSize `yaml:"header_bytes_max"`
	// ConnectionsMax bounds the connections of a listener, each of which takes about
	// 20 KiB; one that waits makes place for one that comes. Range [1, 1_000_000].
	// Default 4_096.
	ConnectionsMax int `yaml:"connections_max"`
	// ConnectionsPeerMax bounds those from one peer, an IPv4 address or an IPv6 /64,
	// but for trusted proxies. Range [1, 1_000_000]. Default 1_024.
	ConnectionsPeerMax int `yaml:"connections_peer_max"`
	// DrainTimeout bounds the wait for running requests at the stop. Default 15s.
	// Range (0s, 1h].
	DrainTimeout time.Duration `yaml:"drain_timeout"`
	// DrainDelay is how long /readyz already says no while requests are still
	// taken, so that a load balancer can notice; 5s fits Kubernetes. Default 0s.
	// Range [0s, 10m].
	DrainDelay time.Duration `yaml:"drain_delay"`
}

const (
	timeoutMax    = time.Hour // longer waits are forgotten digits
	drainDelayMax = 10 * time.Minute
)

// Default returns the limits with the given listen address.
func Default(listen string) Config {
	return Config{Listen: listen, HTTP: Limits{
		ReadHeaderTimeout:  5 * time.Second,
		ReadTimeout:        time.Minute,
		WriteTimeout:       90 * time.Second,
		IdleTimeout:        2 * time.Minute,
		HeaderBytesMax:     16 * config.KiB,
		ConnectionsMax:     4096,
		ConnectionsPeerMax: 1024,
		DrainTimeout:       15 * time.Second,
	}}
}

// Validate reports every fault to p.
func (c Config) Validate(p *config.Problems) {
	c.validateListeners(p)
	p = p.At("http")
	for _, d := range []struct {
		name  string
		value time.Duration
	}{
		{"read_header_timeout", c.HTTP.ReadHeaderTimeout}, {"read_timeout", c.HTTP.ReadTimeout},
		{"write_timeout", c.HTTP.WriteTimeout}, {"idle_timeout", c.HTTP.IdleTimeout},
		{"drain_timeout", c.HTTP.DrainTimeout},
	} {
		p.Check(d.value > 0 && d.value <= timeoutMax, d.name, "%s is not in (0s, %s]", d.value, timeoutMax)
	}
	p.Check(c.HTTP.DrainDelay >= 0 && c.HTTP.DrainDelay <= drainDelayMax, "drain_delay", "%s is not in [0s, %s]", c.HTTP.DrainDelay, drainDelayMax)
	p.Check(c.HTTP.HeaderBytesMax >= config.KiB && c.HTTP.HeaderBytesMax <= 16*config.MiB,
		"header_bytes_max", "%s is not between 1KiB and 16MiB", c.HTTP.HeaderBytesMax)
	p.Check(c.HTTP.WriteTimeout > c.HTTP.ReadTimeout || c.HTTP.WriteTimeout <= 0, "write_timeout",
		"%s is not above read_timeout %s", c.HTTP.WriteTimeout, c.HTTP.ReadTimeout)
	for _, n := range []struct {
		name  string
		value int
	}{{"connections_max", c.HTTP.ConnectionsMax}, {"connections_peer_max", c.HTTP.ConnectionsPeerMax}} {
		p.Check(n.value >= 1 && n.value <= connectionsHigh, n.name, "%d is not in [1, %d]", n.value, connectionsHigh)
	}
}

// connectionsHigh is more than one process has files for.
const connectionsHigh = 1_000_000

// Options say what a service serves.
type Options struct {
	// Name is the service's, for messages.
	Name string
	// Handler gets every request but those of /healthz and /readyz; nil answers
	// 404.
	Handler http.Handler
	// Ready returns nil when the service can do its work, else why not; nil is
	// always ready. It must be quick: load balancers ask every second.
	Ready func() error
	// Proxies are the trusted ones, whose connections carry those of many peers.
	Proxies []netip.Prefix
}

// Server is the listeners of one service. Make it with New.
type Server struct {
	cfg      Config
	opt      Options
	log      *zap.Logger
	api      listener
	metrics  listener
	ready    chan struct{}
	stopping atomic.Bool
}

// New builds a server that does not listen yet. The metrics of reg are served
// at /metrics of MetricsListen.
func New(cfg Config, opt Options, log *zap.Logger, reg *prometheus.Registry) (*Server, error) {
	if opt.Handler == nil {
		opt.Handler = http.HandlerFunc(NotFound)
	}
	errorLog, err := zap.NewStdLogAt(telemetry.Reports(log, "http server reported"), zap.WarnLevel)
	if err != nil {
		return nil, fmt.Errorf("make error log of %s: %w", opt.Name, err)
	}
	s := &Server{cfg: cfg, opt: opt, log: log, ready: make(chan struct{})}
	scrape := promhttp.HandlerFor(reg, promhttp.HandlerOpts{Registry: reg, MaxRequestsInFlight: scrapesMax})
	s.api = listener{listen: cfg.Listen, http: cfg.HTTP.server(http.HandlerFunc(s.serveAPI))}
	s.metrics = listener{listen: cfg.metricsListen(), http: cfg.HTTP.server(s.serveMetrics(scrape))}
	if s.api.conns, err = newConns(cfg.HTTP, opt.Proxies, reg); err != nil {
		return nil, fmt.Errorf("register connections of %s: %w", opt.Name, err)
	}
	if s.api.conns.unread, err = newUnread(log, reg); err != nil {
		return nil, fmt.Errorf("register unread requests of %s: %w", opt.Name, err)
	}
	s.api.http.ErrorLog, s.metrics.http.ErrorLog = errorLog, errorLog
	return s, nil
}

// scrapesMax bounds scrapes at once, each of which holds all series as text; two
// Prometheus servers and a person fit.
const scrapesMax = 4

// server returns a server with the limits.
func (l Limits) server(h http.Handler) *http.Server {
	return &http.Server{
		Handler:           busy(h),
		ConnContext:       noteConn,
		ReadHeaderTimeout: l.ReadHeaderTimeout,
		ReadTimeout:       l.ReadTimeout,
		WriteTimeout:      l.WriteTimeout,
		IdleTimeout:       l.IdleTimeout,
		MaxHeaderBytes:    int(l.HeaderBytesMax),
	}
}

// serveAPI serves health beside the service's handler. It compares whole paths:
// http.ServeMux would answer //v1/webhooks/x with a redirect, which senders of
// webhooks follow without their body, if at all.
func (s *Server) serveAPI(w http.ResponseWriter, r *http.Request) {
	if !s.serveHealth(w, r) {
		s.opt.Handler.ServeHTTP(w, r)
	}
}

// serveMetrics serves health and metrics, and nothing of the service.
func (s *Server) serveMetrics(scrape http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case s.serveHealth(w, r):
		case r.URL.Path == "/metrics" && reads(r):
			scrape.ServeHTTP(w, r)
		default:
			NotFound(w, r)
		}
	})
}

// serveHealth answers /healthz and /readyz, else it is false.
func (s *Server) serveHealth(w http.ResponseWriter, r *http.Request) bool {
	switch {
	case !reads(r):
		return false
	case r.URL.Path == "/healthz":
		plain(w, http.StatusOK, "ok")
	case r.URL.Path == "/readyz":
		s.serveReady(w)
	default:
		return false
	}
	return true
}

func reads(r *http.Request) bool { return r.Method == http.MethodGet || r.Method == http.MethodHead }

// Ready is closed once the server listens.
func (s *Server) Ready() <-chan struct{} { return s.ready }

// Addr returns host:port of the API as listened on, "" before Ready.
func (s *Server) Addr() string { return s.api.addr() }

// MetricsAddr returns host:port of the metrics as listened on, "" before Ready
// and where they are off.
func (s *Server) MetricsAddr() string { return s.metrics.addr() }

// Run listens and serves until ctx is done, then drains. A port that is taken
// is an error that names it.
func (s *Server) Run(ctx context.Context) error {
	listeners := []*listener{&s.metrics, &s.api}
	if s.metrics.listen == MetricsOff {
		listeners = listeners[1:]
	}
	served := make(chan error, len(listeners))
	for _, l := range listeners {
		if err := l.open(ctx, s.opt.Name, s.cfg.ListenFunc); err != nil {
			return errors.Join(err, s.metrics.close())
		}
	}
	for _, l := range listeners {
		go func() { served <- l.serve() }()
	}
	s.log.Info("listening", telemetry.Addr(s.Addr()), telemetry.MetricsAddr(s.MetricsAddr()))
	close(s.ready)

	running := len(listeners)
	var first error
	select {
	case first = <-served:
		running--
	case <-ctx.Done():
	}
	if err := s.drain(); first == nil {
		first = err
	}
	for range running {
		<-served
	}
	return first
}

// drain lets running requests finish, then ends the metrics, so that the last of
// them can be scraped. Requests that do not end within DrainTimeout are cut off,
// which is not a fault of the service: their callers repeat them.
func (s *Server) drain() error {
	s.stopping.Store(true)
	time.Sleep(s.cfg.HTTP.DrainDelay)
	ctx, cancel := context.WithTimeout(context.Background(), s.cfg.HTTP.DrainTimeout)
	defer cancel()
	if err := s.api.http.Shutdown(ctx); err != nil {
		s.log.Warn("requests cut off at the stop", telemetry.Err(err))
	}
	if err := errors.Join(s.api.http.Close(), s.metrics.http.Close()); err != nil {
		return fmt.Errorf("close listeners of %s: %w", s.opt.Name, err)
	}
	return nil
}

func (s *Server) serveReady(w http.ResponseWriter) {
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
	_, _ = w.Write([]byte(text + "\n")) // an error means that the client has gone
}
