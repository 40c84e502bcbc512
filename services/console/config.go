package console

import (
	"net"
	"net/netip"

	"github.com/mailstream/mailstream/services/console/internal/auth"
	"github.com/mailstream/mailstream/services/console/internal/peer"
	"github.com/mailstream/mailstream/services/internal/platform/config"
	"github.com/mailstream/mailstream/services/internal/platform/httpserver"
)

// Config is the section `console`.
type Config struct {
	httpserver.Config `yaml:",inline"`
	// Auth says who may use the pages. Without any way in, everybody on this host may
	// do everything, and the console listens on loopback only.
	Auth auth.Config `yaml:"auth"`
	// ClickHouse is the user that the console reads as.
	ClickHouse Reader `yaml:"clickhouse"`
	// Suppression is the API of the list, at http://127.0.0.1:8082 unless set.
	Suppression peer.Config `yaml:"suppression"`
	// Alerting is the API of alerts, at http://127.0.0.1:8083 unless set.
	Alerting peer.Config `yaml:"alerting"`
	// Analytics is the API of dead letters, at http://127.0.0.1:8081 unless set; its
	// token is one of analytics.tokens.
	Analytics peer.Config `yaml:"analytics"`
	// Ingress is where the numbers of the ingress are.
	Ingress Ingress `yaml:"ingress"`
}

// Reader is a user of ClickHouse that may only read, such as the user console
// of deploy/clickhouse.
type Reader struct {
	// Username is who the console is to the server. Default "": that of the section
	// clickhouse, which each query then keeps from writing.
	Username string `yaml:"username"`
	// Password of Username. Default "".
	Password config.Secret `yaml:"password"`
}

// Ingress is where the numbers of the ingress are.
type Ingress struct {
	// MetricsURL is its /metrics: what was refused is in no event. Where several
	// processes share the work, dns+http://name:9080/metrics sums up those of each
	// address of the name. Default "http://127.0.0.1:9080/metrics".
	MetricsURL string `yaml:"metrics_url"`
}

// Default returns the settings of an empty section.
func Default() Config {
	return Config{
		Config:      httpserver.Default("127.0.0.1:8088"),
		Auth:        auth.Default(),
		Suppression: peer.Config{URL: "http://127.0.0.1:8082"},
		Alerting:    peer.Config{URL: "http://127.0.0.1:8083"},
		Analytics:   peer.Config{URL: "http://127.0.0.1:8081"},
		Ingress:     Ingress{MetricsURL: "http://127.0.0.1:9080/metrics"},
	}
}

// Validate reports every fault to p.
func (c Config) Validate(p *config.Problems) {
	c.Config.Validate(p)
	c.Auth.Validate(p.At("auth"))
	p.Check(!c.Auth.Open() || loopback(c.Listen), "auth", "has no way in, and listen %s is not on this host: everybody who reaches it would be admin. Set users, tokens, proxy or oidc", c.Listen)
	c.Suppression.Validate(p.At("suppression"))
	c.Alerting.Validate(p.At("alerting"))
	c.Analytics.Validate(p.At("analytics"))
	p.Check(c.ClickHouse.Username != "" || !c.ClickHouse.Password.IsSet(), "clickhouse.username", "is empty although there is a password")
	if err := peer.CheckMetricsURL(c.Ingress.MetricsURL); err != nil {
		p.Check(false, "ingress.metrics_url", "%s", err.Error())
	}
}

// loopback says whether only this host reaches a listen address.
func loopback(listen string) bool {
	host, _, err := net.SplitHostPort(listen)
	if err != nil {
		return false
	}
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.Unmap().IsLoopback()
}
