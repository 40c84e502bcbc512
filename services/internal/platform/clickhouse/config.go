package clickhouse

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"net/url"
	"regexp"
	"time"

	driver "github.com/ClickHouse/clickhouse-go/v2"

	"github.com/mailstream/mailstream/services/internal/platform/config"
)

// Config is the section `clickhouse`: where the server is and how to be let in.
type Config struct {
	// URL is http://host:port or https://host:port, with a path where a proxy
	// wants one. Without a port it is 8123, or 8443 for https.
	// Default "http://127.0.0.1:8123".
	URL string `yaml:"url"`
	// Database holds all tables and views. `mailstream migrate` creates it. Default
	// "mailstream".
	Database string `yaml:"database"`
	// Username is who we are to the server. Default "default".
	Username string `yaml:"username"`
	// Password of Username. Default "".
	Password config.Secret `yaml:"password"`
	// TLS is for https only.
	TLS TLS `yaml:"tls"`
	// Cluster is a name of system.clusters: migrations then run ON CLUSTER and
	// make replicated tables. Default "": one server, or a managed service that
	// does the replication (ClickHouse Cloud).
	Cluster string `yaml:"cluster"`
	// DialTimeout bounds one TCP connect. Default 5s. Range (0s, 1h].
	DialTimeout time.Duration `yaml:"dial_timeout"`
	// QueryTimeout bounds one query or statement. Default 1m. Range (0s, 1h].
	QueryTimeout time.Duration `yaml:"query_timeout"`
	// InsertTimeout bounds one insert, after which its outcome is unknown and it is
	// retried. Default 1m. Range (0s, 1h].
	InsertTimeout time.Duration `yaml:"insert_timeout"`
	// Dial, when not nil, makes the connections instead of TCP: tests run servers on
	// a network inside the process.
	Dial func(ctx context.Context, network, address string) (net.Conn, error) `yaml:"-"`
}

// TLS is how the connection is encrypted. Verification cannot be switched off:
// a private authority goes into CAFile.
type TLS struct {
	// CAFile holds the PEM certificates to trust instead of the system's. Default "".
	CAFile string `yaml:"ca_file"`
	// CertFile is our own certificate, PEM; KeyFile goes with it. Default "".
	CertFile string `yaml:"cert_file"`
	// KeyFile is the key of CertFile, PEM. Default "".
	KeyFile string `yaml:"key_file"`
	// ServerName is checked in the server's certificate. Default "": the URL's host.
	ServerName string `yaml:"server_name"`
}

// timeoutMax bounds every timeout: a wait longer than this is a forgotten digit.
const timeoutMax = time.Hour

// Default returns the settings of a server on this host.
func Default() Config {
	return Config{
		URL:           "http://127.0.0.1:8123",
		Database:      "mailstream",
		Username:      "default",
		DialTimeout:   5 * time.Second,
		QueryTimeout:  time.Minute,
		InsertTimeout: time.Minute,
	}
}

// Validate reports every fault to p.
func (c Config) Validate(p *config.Problems) {
	_, err := c.address()
	p.Check(err == nil, "url", "%v", err)
	p.Check(identifier(c.Database), "database", "%q is not letters, digits and _", c.Database)
	p.Check(c.Cluster == "" || identifier(c.Cluster), "cluster", "%q is not letters, digits and _", c.Cluster)
	p.Check(c.Username != "", "username", "must not be empty")
	c.TLS.files().Validate(p.At("tls"))
	p.Check(c.TLS == (TLS{}) || err != nil || c.secure(), "tls", "needs an https url, not %q", c.URL)
	for _, d := range []struct {
		field string
		value time.Duration
	}{
		{"dial_timeout", c.DialTimeout}, {"query_timeout", c.QueryTimeout}, {"insert_timeout", c.InsertTimeout},
	} {
		p.Check(d.value > 0 && d.value <= timeoutMax, d.field, "%s is not in (0s, %s]", d.value, timeoutMax)
	}
}

var identifierForm = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]{0,127}$`)

// identifier says whether s is valid in SQL without quotes.
func identifier(s string) bool { return identifierForm.MatchString(s) }

func (c Config) secure() bool {
	u, err := url.Parse(c.URL)
	return err == nil && u.Scheme == "https"
}

// address checks the URL and returns it with a port.
func (c Config) address() (*url.URL, error) {
	u, err := url.Parse(c.URL)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Hostname() == "" {
		return nil, fmt.Errorf("%q is not http://host:port or https://host:port", c.URL)
	}
	if u.User != nil || u.RawQuery != "" {
		return nil, fmt.Errorf("user, password and settings belong in the fields user, password and settings, not in the url")
	}
	if u.Port() == "" {
		port := "8123"
		if u.Scheme == "https" {
			port = "8443"
		}
		u.Host = net.JoinHostPort(u.Hostname(), port)
	}
	return u, nil
}

// options turns c into the driver's settings.
func (c Config) options() (*driver.Options, error) {
	u, err := c.address()
	if err != nil {
		return nil, err
	}
	opt := &driver.Options{
		Protocol:        driver.HTTP,
		Addr:            []string{u.Host},
		HttpUrlPath:     u.Path,
		Auth:            driver.Auth{Database: c.Database, Username: c.Username, Password: c.Password.Reveal()},
		Compression:     &driver.Compression{Method: driver.CompressionLZ4},
		DialTimeout:     c.DialTimeout,
		ReadTimeout:     max(c.QueryTimeout, c.InsertTimeout),
		MaxOpenConns:    connectionsMax,
		MaxIdleConns:    connectionsMax,
		ConnMaxLifetime: connectionLife,
	}
	if c.Dial != nil {
		opt.DialContext = func(ctx context.Context, address string) (net.Conn, error) { return c.Dial(ctx, "tcp", address) }
	}
	if u.Scheme == "https" {
		files := c.TLS.files()
		files.ServerName = cmp.Or(files.ServerName, u.Hostname())
		if opt.TLS, err = files.Load("clickhouse.tls"); err != nil {
			return nil, err
		}
	}
	return opt, nil
}

func (t TLS) files() config.TLSFiles {
	return config.TLSFiles{CA: t.CAFile, Cert: t.CertFile, Key: t.KeyFile, ServerName: t.ServerName}
}
