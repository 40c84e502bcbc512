package clickhouse_test

import (
	"crypto/tls"
	"encoding/pem"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/mailstream/mailstream/services/internal/platform/clickhouse"
	"github.com/mailstream/mailstream/services/internal/platform/clickhouse/clickhousetest"
	"github.com/mailstream/mailstream/services/internal/platform/config"
)

func TestConfig_FaultsAreNamed(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		spoil func(*clickhouse.Config)
		want  string // "" is none
	}{
		{"default", func(*clickhouse.Config) {}, ""},
		{"https", func(c *clickhouse.Config) { c.URL, c.TLS.ServerName = "https://ch.example", "ch" }, ""},
		{"no scheme", func(c *clickhouse.Config) { c.URL = "127.0.0.1:8123" }, "clickhouse.url:"},
		{"native port scheme", func(c *clickhouse.Config) { c.URL = "tcp://h:9000" }, "clickhouse.url:"},
		{"password in url", func(c *clickhouse.Config) { c.URL = "http://u:p@h:8123" }, "clickhouse.url: user, password"},
		{"database that is SQL", func(c *clickhouse.Config) { c.Database = "a; DROP" }, "clickhouse.database:"},
		{"no database", func(c *clickhouse.Config) { c.Database = "" }, "clickhouse.database:"},
		{"cluster that is SQL", func(c *clickhouse.Config) { c.Cluster = "a'b" }, "clickhouse.cluster:"},
		{"no user", func(c *clickhouse.Config) { c.Username = "" }, "clickhouse.username:"},
		{"tls without https", func(c *clickhouse.Config) { c.TLS.CAFile = "ca.pem" }, "clickhouse.tls:"},
		{"half a certificate", func(c *clickhouse.Config) { c.URL, c.TLS.CertFile = "https://h", "c.pem" }, "clickhouse.tls.cert_file:"},
		{"no timeout", func(c *clickhouse.Config) { c.InsertTimeout = 0 }, "clickhouse.insert_timeout: 0s"},
		{"endless timeout", func(c *clickhouse.Config) { c.QueryTimeout = 48 * time.Hour }, "clickhouse.query_timeout: 48h"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cfg := clickhouse.Default()
			tt.spoil(&cfg)
			var p config.Problems
			cfg.Validate(p.At("clickhouse"))
			err := p.Err()
			if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

func TestClient_SpeaksTLSAndVerifies(t *testing.T) {
	t.Parallel()
	srv := clickhousetest.Start(t)
	front := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// Over TLS the driver sends the credentials in headers of ClickHouse's own.
		r.SetBasicAuth(r.Header.Get("X-ClickHouse-User"), r.Header.Get("X-ClickHouse-Key"))
		srv.ServeHTTP(w, r)
	}))
	front.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
	front.Config.ErrorLog = log.New(io.Discard, "", 0) // the handshake that we refuse
	front.StartTLS()
	t.Cleanup(front.Close)

	cfg := srv.Config()
	cfg.URL = front.URL
	if err := open(t, cfg).Ping(t.Context()); err == nil {
		t.Error("an unknown authority was trusted")
	}
	cfg.TLS.CAFile = filepath.Join(t.TempDir(), "ca.pem")
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: front.Certificate().Raw})
	if err := os.WriteFile(cfg.TLS.CAFile, text, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := open(t, cfg).Ping(t.Context()); err != nil {
		t.Errorf("with the authority: %v", err)
	}
	cfg.TLS.CAFile = filepath.Join(t.TempDir(), "missing.pem")
	if _, err := clickhouse.Open(cfg, zap.NewNop(), prometheus.NewRegistry()); err == nil || !strings.Contains(err.Error(), "tls.ca_file") {
		t.Errorf("got %v, want an error that names tls.ca_file", err)
	}
}
