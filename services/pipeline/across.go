package pipeline

import (
	"net"
	"net/netip"
	"strconv"

	"github.com/mailstream/mailstream/services/internal/platform/config"
)

// across reports the faults that no section sees alone, of the named services or
// of all. Load is the one place that calls it, for a check and for a start.
func (c Config) across(p *config.Problems, names []Name) {
	if len(names) == 0 {
		names = Names()
	}
	listeners := map[string]string{}
	for _, name := range names {
		switch name {
		case Ingress:
			c.Ingress.ValidateBeside(c.Kafka, p)
		case Alerting:
			c.Alerting.ValidateBeside(c.Kafka, p)
		}
		if at := c.listen(name); at != "" {
			field := string(name) + ".listen"
			other := listeners[at]
			p.Check(other == "" || portOf(at) == "0", field, "%s is taken by %s in the same process", at, other)
			listeners[at] = field
		}
	}
	c.checkSecrets(p, names)
}

// listen returns the address that a service listens on, "" for what does not.
func (c Config) listen(name Name) string {
	switch name {
	case Ingress:
		return c.Ingress.Listen
	case Analytics:
		return c.Analytics.Listen
	case Suppression:
		return c.Suppression.Listen
	case Alerting:
		return c.Alerting.Listen
	}
	return ""
}

func portOf(hostport string) string {
	_, port, err := net.SplitHostPort(hostport)
	if err != nil {
		return "" // its section says so
	}
	return port
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
