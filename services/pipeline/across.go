package pipeline

import (
	"cmp"
	"maps"
	"net"
	"net/netip"
	"slices"
	"strconv"

	"github.com/mailstream/mailstream/services/internal/platform/config"
	"github.com/mailstream/mailstream/services/internal/platform/httpserver"
)

// across reports the faults that no section sees alone, of the named services or
// of all. Load is the one place that calls it, for a check and for a start.
func (c Config) across(p *config.Problems, names []Name) {
	if len(names) == 0 {
		names = Names()
	}
	var taken []listener
	for _, name := range names {
		switch name {
		case Ingress:
			c.Ingress.ValidateBeside(c.Kafka, p)
		case Analytics:
			c.Analytics.ValidateBeside(c.ClickHouse, p)
			c.checkKeptSources(p)
		case Alerting:
			c.Alerting.ValidateBeside(c.Kafka, p)
			if c.Analytics.Keep.Thins() {
				c.Alerting.ValidateThinned(p)
			}
		}
		at := c.listeners(name).Addresses()
		for _, field := range slices.Sorted(maps.Keys(at)) {
			l := listener{string(name) + "." + field, at[field]}
			for _, other := range taken {
				p.Check(!l.collides(other), l.field, "%s is taken by %s %s in the same process", l.at, other.field, other.at)
			}
			taken = append(taken, l)
		}
	}
	c.checkSecrets(p, names)
}

// checkKeptSources reports rules of analytics.keep of sources that are not configured, where the
// file has the sources.
func (c Config) checkKeptSources(p *config.Problems) {
	names := make([]string, len(c.Ingress.Sources))
	for i, s := range c.Ingress.Sources {
		names[i] = s.Name
	}
	if len(names) > 0 {
		c.Analytics.Keep.ValidateSources(names, p)
	}
}

// listeners points at the listeners of a service, at none of what has none.
func (c *Config) listeners(name Name) *httpserver.Config {
	switch name {
	case Ingress:
		return &c.Ingress.Config
	case Analytics:
		return &c.Analytics.Config
	case Suppression:
		return &c.Suppression.Config
	case Alerting:
		return &c.Alerting.Config
	case Console:
		return &c.Console.Config
	}
	return &httpserver.Config{MetricsListen: httpserver.MetricsOff}
}

// listen returns the address of a service's API, "" for what has none.
func (c Config) listen(name Name) string { return c.listeners(name).Listen }

// keepPorts has the next start of a service listen where svc did: a free port was
// shown to people when it was taken.
func (c *Config) keepPorts(name Name, svc Listeners) {
	to := c.listeners(name)
	to.Listen = cmp.Or(svc.Addr(), to.Listen)
	to.MetricsListen = cmp.Or(svc.MetricsAddr(), to.MetricsListen)
}

// listener is an address that one field gives away.
type listener struct{ field, at string }

// collides says whether l and other cannot both be listened at.
func (l listener) collides(other listener) bool {
	host, port, err := net.SplitHostPort(l.at)
	otherHost, otherPort, otherErr := net.SplitHostPort(other.at)
	if err != nil || otherErr != nil || port != otherPort || port == "0" {
		return false // its section says what is wrong with it
	}
	return host == otherHost || everywhere(host) || everywhere(otherHost)
}

// everywhere says whether a host means all addresses of this machine.
func everywhere(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "" || err == nil && ip.IsUnspecified()
}

// local says whether a host is this one: a name other than localhost may be any.
func local(host string) bool {
	if host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Unmap().IsLoopback()
}

// localAddress is local for host:port.
func localAddress(hostport string) bool {
	host, _, err := net.SplitHostPort(hostport)
	return err == nil && local(host)
}

func indexed(field string, i int) string { return field + "[" + strconv.Itoa(i) + "]" }
