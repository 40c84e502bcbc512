package servicetest

import (
	"errors"
	"math/rand/v2"
	"net"
	"strconv"
	"syscall"
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

// FreePort returns a port that was free a moment ago and that no connection, no other
// listener and no other test is given until tb ends: a server can be started there later,
// go away and come back.
func FreePort(tb testing.TB) Port {
	tb.Helper()
	for range portTries {
		n := ownPortsFrom + rand.IntN(ownPortsTo-ownPortsFrom)
		if !claim(tb, n) {
			continue
		}
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

// claimHost is where tests of all processes claim a port, by listening there. Systems that
// have no such address go without.
const claimHost = "127.0.0.2"

// claim claims the port n until tb ends. It is false where another test has it.
func claim(tb testing.TB, n int) bool {
	tb.Helper()
	l, err := net.Listen("tcp", net.JoinHostPort(claimHost, strconv.Itoa(n)))
	if err != nil {
		return !errors.Is(err, syscall.EADDRINUSE)
	}
	tb.Cleanup(func() { _ = l.Close() }) // nobody connects
	return true
}
