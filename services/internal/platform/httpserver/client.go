package httpserver

import (
	"net/http"
	"net/netip"
	"strings"
)

// hopsMax bounds the X-Forwarded-For entries looked at.
const hopsMax = 32

// Client returns the address the request came from, false where that is not said in
// full. X-Forwarded-For is read from its end, as long as the hop that added the entry is
// one of the proxies: entries further left are the sender's unverified claim.
func Client(r *http.Request, proxies []netip.Prefix) (netip.Addr, bool) {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}, false
	}
	addr := peer.Addr().Unmap().WithZone("")
	chain := strings.Join(r.Header.Values("X-Forwarded-For"), ",")
	for range hopsMax {
		if chain == "" || !Within(addr, proxies) {
			return addr, true
		}
		last := chain
		if i := strings.LastIndexByte(chain, ','); i >= 0 {
			chain, last = chain[:i], chain[i+1:]
		} else {
			chain = ""
		}
		next, ok := hop(strings.TrimSpace(last))
		if !ok {
			return netip.Addr{}, false
		}
		addr = next
	}
	return netip.Addr{}, false
}

// hop reads an entry of X-Forwarded-For: an address, with or without a port.
func hop(text string) (netip.Addr, bool) {
	if addr, err := netip.ParseAddr(text); err == nil {
		return addr.Unmap().WithZone(""), true
	}
	peer, err := netip.ParseAddrPort(text)
	return peer.Addr().Unmap().WithZone(""), err == nil
}
