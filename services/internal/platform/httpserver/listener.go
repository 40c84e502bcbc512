package httpserver

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"sync/atomic"
	"syscall"

	"github.com/mailstream/mailstream/services/internal/platform/config"
)

const (
	// MetricsOff as Config.MetricsListen serves no metrics. It is a word, since an
	// empty value looks like a variable that is not set.
	MetricsOff = "off"

	// metricsPortOffset is added to the port of the API: 8080 and 9080.
	metricsPortOffset = 1000
	portMax           = 65_535
)

// metricsListen returns where the metrics are served, by rule where nothing is
// configured.
func (c Config) metricsListen() string {
	if c.MetricsListen != "" {
		return c.MetricsListen
	}
	port := portOf(c.Listen)
	if port > 0 {
		port += metricsPortOffset
	}
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
}

// Addresses returns where the service listens, by the names of the fields.
func (c Config) Addresses() map[string]string {
	at := map[string]string{"listen": c.Listen}
	if c.MetricsListen != MetricsOff {
		at["metrics_listen"] = c.metricsListen()
	}
	return at
}

// portOf returns the port of host:port, a number; -1 where there is none.
func portOf(addr string) int {
	_, text, err := net.SplitHostPort(addr)
	if err != nil {
		return -1
	}
	port, err := strconv.ParseUint(text, 10, 16)
	if err != nil {
		return -1
	}
	return int(port)
}

func (c Config) validateListeners(p *config.Problems) {
	port := portOf(c.Listen)
	p.Check(port >= 0, "listen", "%q is not host:port", c.Listen)
	if port < 0 || c.MetricsListen == MetricsOff {
		return
	}
	if c.MetricsListen == "" {
		p.Check(port <= portMax-metricsPortOffset, "metrics_listen", "is not set, and the port of listen plus %d is above %d", metricsPortOffset, portMax)
		return
	}
	metrics := portOf(c.MetricsListen)
	p.Check(metrics >= 0, "metrics_listen", "%q is neither host:port nor %s", c.MetricsListen, MetricsOff)
	p.Check(metrics == 0 || metrics != port, "metrics_listen", "%q has the port of listen; set another port for the metrics", c.MetricsListen)
}

// listener is one address and what is served there.
type listener struct {
	listen string // host:port as configured
	http   *http.Server
	bound  atomic.Pointer[net.Listener]
	conns  *conns // nil bounds nothing
}

// open listens for the service called name, by TCP unless listen is given.
func (l *listener) open(ctx context.Context, name string, listen func(network, address string) (net.Listener, error)) error {
	if listen == nil {
		listen = func(network, address string) (net.Listener, error) {
			var lc net.ListenConfig
			return lc.Listen(ctx, network, address)
		}
	}
	ln, err := listen("tcp", l.listen)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Errorf("listen on %s for %s: the port is taken by another process: %w", l.listen, name, err)
	case err != nil:
		return fmt.Errorf("listen on %s for %s: %w", l.listen, name, err)
	}
	if l.conns != nil {
		ln = bounded{Listener: ln, conns: l.conns}
	}
	l.bound.Store(&ln)
	return nil
}

// serve ends with the server; before that with an error.
func (l *listener) serve() error {
	if err := l.http.Serve(*l.bound.Load()); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve %s: %w", l.addr(), err)
	}
	return nil
}

// addr returns host:port as listened on, "" before.
func (l *listener) addr() string {
	if ln := l.bound.Load(); ln != nil {
		return (*ln).Addr().String()
	}
	return ""
}

// close ends a listener that serves nothing yet.
func (l *listener) close() error {
	if ln := l.bound.Load(); ln != nil {
		return (*ln).Close()
	}
	return nil
}
