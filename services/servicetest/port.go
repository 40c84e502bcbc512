package servicetest

import (
	"math/rand/v2"
	"net"
	"strconv"
	"testing"
)

// Ports that systems give to nobody who asks for any: Linux does from 32768 on, others
// from 49152.
const (
	ownPortsFrom = 20_000
	ownPortsTo   = 32_000
	portTries    = 100 // in vain: something else is wrong
)

// Port is a TCP port of this host.
type Port struct {
	// Addr is its host:port.
	Addr string
	// Number is the port alone.
	Number int
}

// FreePort returns a port that was free a moment ago and that no connection and no
// other listener is given by chance: a server can be started there later, go away and
// come back.
func FreePort(tb testing.TB) Port {
	tb.Helper()
	for range portTries {
		n := ownPortsFrom + rand.IntN(ownPortsTo-ownPortsFrom)
		addr := net.JoinHostPort("127.0.0.1", strconv.Itoa(n))
		l, err := net.Listen("tcp", addr)
		if err != nil {
			continue // taken
		}
		if err := l.Close(); err != nil {
			tb.Fatalf("close listener of a free port: %v", err)
		}
		return Port{addr, n}
	}
	tb.Fatalf("no port of %d to %d is free", ownPortsFrom, ownPortsTo)
	return Port{}
}
