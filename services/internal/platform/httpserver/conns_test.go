package httpserver_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/mailstream/mailstream/services/internal/platform/httpserver"
	"github.com/mailstream/mailstream/services/servicetest"
)

// peerWait bounds every wait for the other end of a connection.
const peerWait = servicetest.Patience

// crowd is a running server with room for eight connections, four of a peer.
type crowd struct {
	t    *testing.T
	addr string
}

func newCrowd(t *testing.T, proxies ...netip.Prefix) *crowd {
	t.Helper()
	cfg := httpserver.Default("127.0.0.1:0")
	cfg.MetricsListen = httpserver.MetricsOff
	cfg.HTTP.ConnectionsMax, cfg.HTTP.ConnectionsPeerMax = 8, 4
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/trusted":
			httpserver.Trust(r)
		case "/busy":
			_, _ = io.Copy(io.Discard, r.Body) // until the sender ends it
		}
		_, _ = io.WriteString(w, "done")
	})
	s, err := httpserver.New(cfg, httpserver.Options{Name: "test", Handler: handler, Proxies: proxies}, zap.NewNop(), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	<-s.Ready()
	return &crowd{t: t, addr: s.Addr()}
}

// sender is one connection.
type sender struct {
	net.Conn
	t *testing.T
}

// dial connects from 127.0.0.host.
func (c *crowd) dial(host int) *sender {
	c.t.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, byte(host))}}
	conn, err := d.DialContext(c.t.Context(), "tcp", c.addr)
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() { _ = conn.Close() }) // it may be closed already
	if err := conn.SetDeadline(time.Now().Add(peerWait)); err != nil {
		c.t.Fatal(err)
	}
	return &sender{Conn: conn, t: c.t}
}

// get asks for path and wants an answer.
func (s *sender) get(path string) {
	s.t.Helper()
	fmt.Fprintf(s, "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", path)
	s.answer()
}

func (s *sender) answer() {
	s.t.Helper()
	resp, err := http.ReadResponse(bufio.NewReader(s), nil)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		s.t.Fatal(err)
	}
}

// closed waits until the server has closed the connection.
func (s *sender) closed() bool {
	_, err := s.Read(make([]byte, 1))
	var timeout net.Error
	return err != nil && !(errors.As(err, &timeout) && timeout.Timeout())
}

func TestConns_TheOldestOfAPeerMakesPlace(t *testing.T) {
	t.Parallel()
	c := newCrowd(t)
	other := c.dial(2)
	other.get("/healthz")
	var waiting []*sender
	for _, start := range []string{"", "GET /slow", "GET / HTTP/1.1\r\nX: y\r\n", ""} { // all ways to wait
		s := c.dial(1)
		fmt.Fprint(s, start)
		waiting = append(waiting, s)
	}
	c.dial(1).get("/healthz")
	if !waiting[0].closed() {
		t.Error("the oldest is still there")
	}
	other.get("/healthz")
}

func TestConns_WhoIsServedOrTrustedStays(t *testing.T) {
	t.Parallel()
	c := newCrowd(t)
	trusted, busy := c.dial(1), c.dial(1)
	trusted.get("/trusted")
	fmt.Fprint(busy, "POST /busy HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n")
	if line, err := bufio.NewReader(busy).ReadString('\n'); err != nil || !strings.Contains(line, "100") {
		t.Fatalf("%q, %v", line, err)
	}
	for range 20 {
		c.dial(1).get("/healthz")
	}
	trusted.get("/healthz")
	fmt.Fprint(busy, "ab")
	busy.answer()
}

func TestConns_TheHeaviestPeerMakesPlaceForOthers(t *testing.T) {
	t.Parallel()
	c := newCrowd(t)
	var light []*sender
	for host := range 4 {
		light = append(light, c.dial(10+host))
		light[host].get("/healthz")
	}
	for range 20 {
		c.dial(1).get("/healthz")
	}
	c.dial(3).get("/healthz")
	for _, s := range light {
		s.get("/healthz")
	}
}

func TestConns_AProxyCarriesMany(t *testing.T) {
	t.Parallel()
	c := newCrowd(t, netip.MustParsePrefix("127.0.0.1/32"))
	var all []*sender
	for range 6 {
		all = append(all, c.dial(1))
	}
	for _, s := range all {
		s.get("/healthz")
	}
	for range 20 {
		c.dial(2).get("/healthz")
	}
	for _, s := range all {
		s.get("/healthz")
	}
}

func TestConns_WhoComesWhileAllAreServedIsRefused(t *testing.T) {
	t.Parallel()
	c := newCrowd(t)
	var served []*sender
	for host := range 8 {
		s := c.dial(1 + host)
		fmt.Fprint(s, "POST /busy HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n")
		if _, err := bufio.NewReader(s).ReadString('\n'); err != nil {
			t.Fatal(err)
		}
		served = append(served, s)
	}
	if late := c.dial(20); !late.closed() {
		t.Error("a ninth connection is open")
	}
	for _, s := range served {
		fmt.Fprint(s, "a")
		s.answer()
	}
}

func TestNetwork(t *testing.T) {
	t.Parallel()
	for addr, want := range map[string]string{
		"192.0.2.7": "192.0.2.7/32", "::ffff:192.0.2.7": "192.0.2.7/32",
		"2001:db8:1:2:3:4:5:6": "2001:db8:1:2::/64", "fe80::1%eth0": "fe80::/64",
	} {
		if got := httpserver.Network(netip.MustParseAddr(addr)).String(); got != want {
			t.Errorf("%s is of %s, want %s", addr, got, want)
		}
	}
}
