package apachekafka

import (
	"fmt"
	"math/rand/v2"
	"net"
)

// Ports come from below the range the system gives to outgoing connections
// (32768 on Linux, 49152 on macOS): none of those can take the port of a
// broker that is down for a restart.
const (
	portFirst = 20000
	portLast  = 32000
	// portTriesMax bounds the search on a machine where most are taken.
	portTriesMax = 200
)

// freePorts returns one free port of 127.0.0.1 for each name. Nothing keeps
// them free until the broker takes them, so its start may still fail on one.
func freePorts(names []string) (map[string]int, error) {
	ports := make(map[string]int, len(names))
	taken := map[int]bool{}
	for tries := 0; len(ports) < len(names); tries++ {
		if tries == portTriesMax {
			return nil, fmt.Errorf("find %d free ports between %d and %d: none after %d tries", len(names), portFirst, portLast, tries)
		}
		port := portFirst + rand.IntN(portLast-portFirst)
		if taken[port] || !portFree(port) {
			continue
		}
		taken[port] = true
		ports[names[len(ports)]] = port
	}
	return ports, nil
}

// portFree reports whether port of 127.0.0.1 can be listened on now.
func portFree(port int) bool {
	listener, err := net.Listen("tcp", loopback(port))
	return err == nil && listener.Close() == nil
}
