package httpserver

import (
	"context"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// v6NetworkBits is the prefix that one IPv6 host has as a rule, with 2^64 addresses
// to come from (RFC 6177).
const v6NetworkBits = 64

// Network returns what identifies a peer: an IPv4 address, or an IPv6 /64.
func Network(addr netip.Addr) netip.Prefix {
	addr = addr.Unmap().WithZone("")
	bits := addr.BitLen()
	if addr.Is6() {
		bits = v6NetworkBits
	}
	network, _ := addr.Prefix(bits) // the zero Prefix for the zero Addr
	return network
}

// conns are the connections of one listener. Where there are as many as may be,
// of all or of one peer, one that waits makes place for the one that comes:
// first those that have shown nothing yet but patience, of the peer that has the
// most, the oldest first.
type conns struct {
	max, peerMax int
	proxies      []netip.Prefix // have no bound per peer
	closed       *prometheus.CounterVec
	unread       *unread // nil notes nothing

	mu    sync.Mutex
	open  []*conn // in no order
	peers map[netip.Prefix]int
}

func newConns(l Limits, proxies []netip.Prefix, reg prometheus.Registerer) (*conns, error) {
	c := &conns{max: l.ConnectionsMax, peerMax: l.ConnectionsPeerMax, proxies: proxies, peers: map[netip.Prefix]int{}}
	return c, c.register(reg)
}

// conn is one connection.
type conn struct {
	net.Conn
	in      *conns
	peer    netip.Prefix
	proxy   bool
	trusted bool      // guarded by in.mu, as what follows
	busy    bool      // a handler has it
	waits   time.Time // since when it is not busy
	index   int       // in in.open, -1 once it is closed
}

// Write writes an answer.
func (c *conn) Write(p []byte) (int, error) {
	if c.in.unread != nil {
		c.in.unread.note(p)
	}
	return c.Conn.Write(p)
}

// Close closes the connection.
func (c *conn) Close() error {
	c.in.mu.Lock()
	c.in.forget(c)
	c.in.mu.Unlock()
	return c.Conn.Close()
}

// CloseWrite lets the sender read an answer before the connection is reset.
func (c *conn) CloseWrite() error {
	if w, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return w.CloseWrite()
	}
	return nil
}

func (c *conn) setBusy(busy bool) {
	now := time.Now()
	c.in.mu.Lock()
	defer c.in.mu.Unlock()
	c.busy, c.waits = busy, now
}

// admit takes a connection in, or closes it and returns nil.
func (l *conns) admit(raw net.Conn) net.Conn {
	c := &conn{Conn: raw, in: l, waits: time.Now()}
	if peer, err := netip.ParseAddrPort(raw.RemoteAddr().String()); err == nil {
		addr := peer.Addr().Unmap().WithZone("")
		c.peer, c.proxy = Network(addr), Within(addr, l.proxies)
	}
	l.mu.Lock()
	victim, ok := l.room(c)
	if ok {
		c.index = len(l.open)
		l.open = append(l.open, c)
		l.peers[c.peer]++
	}
	l.mu.Unlock()
	switch {
	case !ok:
		l.closed.WithLabelValues(closedRefused).Inc()
		_ = raw.Close() // nothing was sent
		return nil
	case victim != nil:
		l.closed.WithLabelValues(closedEvicted).Inc()
		_ = victim.Conn.Close() // it waited
	}
	return c
}

// room says whether c has place, and who was made to go for it; l.mu is held.
func (l *conns) room(c *conn) (victim *conn, ok bool) {
	crowded := !c.proxy && l.peers[c.peer] >= l.peerMax
	if !crowded && len(l.open) < l.max {
		return nil, true
	}
	for _, o := range l.open {
		if o.busy || crowded && o.peer != c.peer {
			continue
		}
		if victim == nil || l.goesBefore(o, victim) {
			victim = o
		}
	}
	if victim == nil {
		return nil, false
	}
	l.forget(victim)
	return victim, true
}

func (l *conns) goesBefore(a, b *conn) bool {
	if x, y := a.trusted || a.proxy, b.trusted || b.proxy; x != y {
		return y
	}
	if x, y := l.peers[a.peer], l.peers[b.peer]; x != y {
		return x > y
	}
	return a.waits.Before(b.waits)
}

// forget takes c out of the books; l.mu is held.
func (l *conns) forget(c *conn) {
	if c.index < 0 {
		return
	}
	last := len(l.open) - 1
	l.open[c.index] = l.open[last]
	l.open[c.index].index = c.index
	l.open[last] = nil
	l.open = l.open[:last]
	c.index = -1
	if l.peers[c.peer]--; l.peers[c.peer] == 0 {
		delete(l.peers, c.peer)
	}
}

func (l *conns) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.open)
}

// bounded is a listener whose connections are conns.
type bounded struct {
	net.Listener
	conns *conns
}

// Accept returns the next connection that has place.
func (b bounded) Accept() (net.Conn, error) {
	for {
		raw, err := b.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if c := b.conns.admit(raw); c != nil {
			return c, nil
		}
	}
}

type connKey struct{}

// noteConn is http.Server.ConnContext.
func noteConn(ctx context.Context, c net.Conn) context.Context {
	return context.WithValue(ctx, connKey{}, c)
}

// busy marks a connection that a handler serves.
func busy(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if c, ok := r.Context().Value(connKey{}).(*conn); ok {
			c.setBusy(true)
			defer c.setBusy(false)
		}
		next.ServeHTTP(w, r)
	})
}

// Trust says that the sender of a request has proven who it is: its connection
// is among the last to be closed for want of place.
func Trust(r *http.Request) {
	if c, ok := r.Context().Value(connKey{}).(*conn); ok {
		c.in.mu.Lock()
		defer c.in.mu.Unlock()
		c.trusted = true
	}
}

// Within says whether one of prefixes has addr.
func Within(addr netip.Addr, prefixes []netip.Prefix) bool {
	for _, p := range prefixes {
		if p.Contains(addr) {
			return true
		}
	}
	return false
}

// What a connection was closed for.
const (
	closedEvicted = "evicted" // another one needed its place
	closedRefused = "refused" // all others were being served
)

// register adds how many connections there are and how many were closed.
func (l *conns) register(reg prometheus.Registerer) error {
	l.closed = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "mailstream_http_closed_connections_total",
		Help: "Connections closed for want of place: evicted ones were waiting, refused ones found all others busy. Worry when refused grows.",
	}, []string{"reason"})
	l.closed.WithLabelValues(closedEvicted)
	l.closed.WithLabelValues(closedRefused)
	open := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "mailstream_http_open_connections",
		Help: "Connections to the API. Worry when it stays at http.connections_max.",
	}, func() float64 { return float64(l.count()) })
	for _, c := range []prometheus.Collector{l.closed, open} {
		if err := reg.Register(c); err != nil {
			return err
		}
	}
	return nil
}
