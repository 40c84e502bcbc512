package httpserver

import "net/netip"

// v6NetworkBits is the prefix that one IPv6 host has as a rule, with 2^64 addresses
// to come from (RFC 6177).
const v6NetworkBits = 64

// Network returns what one peer is told by: an IPv4 address, or an IPv6 /64.
func Network(addr netip.Addr) netip.Prefix {
	addr = addr.Unmap().WithZone("")
	bits := addr.BitLen()
	if addr.Is6() {
		bits = v6NetworkBits
	}
	network, _ := addr.Prefix(bits) // the zero Prefix for the zero Addr
	return network
}
