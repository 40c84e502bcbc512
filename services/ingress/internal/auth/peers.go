package auth

import (
	"net/http"
	"net/netip"

	"github.com/mailstream/mailstream/services/internal/platform/httpserver"
)

// peers says from where requests are taken.
type peers struct {
	allowed []netip.Prefix
	proxies []netip.Prefix
}

func (p peers) allow(r *http.Request) bool {
	if len(p.allowed) == 0 {
		return true
	}
	addr, ok := httpserver.Client(r, p.proxies)
	return ok && httpserver.Within(addr, p.allowed)
}
