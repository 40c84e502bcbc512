package email

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	"math/big"
	"net"
	"net/mail"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/alerting/internal/outbox"
	"github.com/mailstream/mailstream/services/alerting/internal/wording"
	"github.com/mailstream/mailstream/services/internal/platform/config"
	"github.com/mailstream/mailstream/services/internal/platform/fate"
)

// server is a mail server that lets in one user and knows one recipient.
type server struct {
	mu    sync.Mutex
	mails []string // guarded by mu
	code  int      // answered to DATA when not 0
	ca    string   // file with its certificate
	port  int
	open  bool // wants no login
}

func (s *server) NewSession(*smtp.Conn) (smtp.Session, error) {
	return &session{server: s, in: s.open}, nil
}

// session is one client of the server.
type session struct {
	server *server
	in     bool // logged in
}

func (s *session) AuthMechanisms() []string { return []string{sasl.Plain} }

func (s *session) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, username, password string) error {
		if username != "alerts" || password != "hunter2" {
			return smtp.ErrAuthFailed
		}
		s.in = true
		return nil
	}), nil
}

func (s *session) Mail(from string, _ *smtp.MailOptions) error {
	switch {
	case !s.in:
		return smtp.ErrAuthRequired
	case from != "alerts@example.com":
		return &smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 7, 1}, Message: "not your address"}
	default:
		return nil
	}
}

func (s *session) Rcpt(to string, _ *smtp.RcptOptions) error {
	switch to {
	case "full@example.com":
		return &smtp.SMTPError{Code: 452, EnhancedCode: smtp.EnhancedCode{4, 2, 2}, Message: "mailbox full"}
	case "ops@example.com", "second@example.com":
		return nil
	default:
		return &smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 1, 1}, Message: "user unknown: " + to}
	}
}

func (s *session) Data(r io.Reader) error {
	body, err := io.ReadAll(r)
	s.server.mu.Lock()
	defer s.server.mu.Unlock()
	if s.server.code != 0 {
		return &smtp.SMTPError{Code: s.server.code, EnhancedCode: smtp.EnhancedCode{s.server.code / 100, 7, 1}, Message: "no"}
	}
	s.server.mails = append(s.server.mails, string(body))
	return err
}

func (s *session) Reset() {}

func (s *session) Logout() error { return nil }

// certificate returns one for names, and the file a client trusts it by.
func certificate(t *testing.T, names ...string) (tls.Certificate, string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), DNSNames: names,
		IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, file
}

// serve starts a mail server; how is the word for its TLS.
func serve(t *testing.T, how string, names ...string) *server {
	t.Helper()
	cert, ca := certificate(t, names...)
	s := &server{ca: ca, open: how == noTLS}
	srv := smtp.NewServer(s)
	srv.Domain, srv.AllowInsecureAuth, srv.MaxMessageBytes = "localhost", how == noTLS, 1<<20
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.port = ln.Addr().(*net.TCPAddr).Port
	secure := &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12}
	switch how {
	case implicit:
		ln = tls.NewListener(ln, secure)
	case startTLS:
		srv.TLSConfig = secure
	}
	done := make(chan error, 1)
	go func() { done <- srv.Serve(ln) }()
	t.Cleanup(func() {
		_ = srv.Close() // clients are gone
		_ = ln.Close()  // which Close does not know of before Serve began
		if err := <-done; err != nil && !errors.Is(err, smtp.ErrServerClosed) && !errors.Is(err, net.ErrClosed) {
			t.Errorf("serve: %v", err)
		}
	})
	return s
}

func (s *server) config(how string) Config {
	return Config{
		Host: "localhost", Port: s.port, TLS: how, CAFile: s.ca, Username: "alerts", Password: config.Literal("hunter2"),
		From: "alerts@example.com", To: []string{"ops@example.com", "second@example.com"},
	}
}

func deliver(cfg Config, kind string) error {
	c := New(cfg, wording.Links{Runbook: "https://docs.example.com/runbook"})
	return c.Deliver(context.Background(), []outbox.Notice{wording.Example(kind, time.Unix(1_800_000_000, 0))})
}

func TestDeliver_ArrivesInOneThread(t *testing.T) {
	t.Parallel()
	for _, how := range []string{startTLS, implicit, noTLS} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			s := serve(t, how, "localhost")
			cfg := s.config(how)
			if how == noTLS {
				cfg.CAFile, cfg.Username, cfg.Password = "", "", config.Secret{}
			}
			for _, kind := range []string{schemas.NotifyFiring, schemas.NotifyResolved} {
				if err := deliver(cfg, kind); err != nil {
					t.Fatalf("deliver %s: %v", kind, err)
				}
			}
			var heads []mail.Header
			for _, text := range s.mails {
				m, err := mail.ReadMessage(strings.NewReader(text))
				if err != nil {
					t.Fatalf("read mail: %v", err)
				}
				heads = append(heads, m.Header)
			}
			if len(heads) != 2 || heads[0].Get("References") == "" || heads[0].Get("References") != heads[1].Get("References") ||
				heads[0].Get("Message-Id") == heads[1].Get("Message-Id") {
				t.Errorf("heads: %v", heads)
			}
			if !strings.HasPrefix(heads[0].Get("Subject"), "[info] Block rate 78 %") || !strings.HasPrefix(heads[1].Get("Subject"), "[resolved] ") ||
				heads[0].Get("Auto-Submitted") != "auto-generated" {
				t.Errorf("subjects: %q, %q", heads[0].Get("Subject"), heads[1].Get("Subject"))
			}
			for _, want := range []string{"example.com", "reputation", "What usually helps", "https://docs.example.com/runbook"} {
				if !strings.Contains(s.mails[0], want) {
					t.Errorf("lacks %q: %s", want, s.mails[0])
				}
			}
		})
	}
}

func TestDeliver_ReadsRefusals(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		server string // its TLS
		names  []string
		change func(*server, *Config)
		want   fate.Fate
		reason string
	}{
		{"server without starttls", noTLS, []string{"localhost"}, func(*server, *Config) {}, fate.Halt, "no_tls_or_login"},
		{"certificate of another", startTLS, []string{"other.example"}, func(*server, *Config) {}, fate.Retry, "certificate"},
		{"certificate that no authority signed", startTLS, []string{"localhost"}, func(_ *server, c *Config) { c.CAFile = "" }, fate.Retry, "certificate"},
		{"certificate of another, implicit", implicit, []string{"other.example"}, func(_ *server, c *Config) { c.TLS = implicit }, fate.Retry, "certificate"},
		{"wrong password", startTLS, []string{"localhost"}, func(_ *server, c *Config) { c.Password = config.Literal("wrong-secret") }, fate.Halt, "login_refused"},
		{"login missing", startTLS, []string{"localhost"}, func(_ *server, c *Config) { c.Username, c.Password = "", config.Secret{} }, fate.Halt, "sender_refused"},
		{"sender", startTLS, []string{"localhost"}, func(_ *server, c *Config) { c.From = "x@example.com" }, fate.Halt, "sender_refused"},
		{"recipient", startTLS, []string{"localhost"}, func(_ *server, c *Config) { c.To = append(c.To, "gone@example.com") }, fate.Halt, "recipient_refused"},
		{"full", startTLS, []string{"localhost"}, func(_ *server, c *Config) { c.To = []string{"full@example.com"} }, fate.Retry, "status_452"},
		{"content", startTLS, []string{"localhost"}, func(s *server, _ *Config) { s.code = 554 }, fate.DeadLetter, "message_refused"},
		{"later", startTLS, []string{"localhost"}, func(s *server, _ *Config) { s.code = 451 }, fate.Retry, "status_451"},
		{"closed port", startTLS, []string{"localhost"}, func(_ *server, c *Config) { c.Port = 1 }, fate.Retry, "connection"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := serve(t, tt.server, tt.names...)
			cfg := s.config(startTLS)
			tt.change(s, &cfg)
			err := deliver(cfg, schemas.NotifyFiring)
			f, ok := errors.AsType[*outbox.Fault](err)
			if !ok || fate.Of(err) != tt.want || f.Reason != tt.reason {
				t.Fatalf("%v, fate %v, want %s, %v", err, fate.Of(err), tt.reason, tt.want)
			}
			if strings.Contains(err.Error(), "@") || strings.Contains(err.Error(), "hunter2") || strings.Contains(err.Error(), "wrong-secret") {
				t.Errorf("error tells too much: %v", err)
			}
			if len(s.mails) != 0 {
				t.Errorf("%d mails arrived", len(s.mails))
			}
		})
	}
}

func TestValidate(t *testing.T) {
	t.Parallel()
	good := Config{Host: "mail.example.com", From: "alerts@example.com", To: []string{"ops@example.com"}}
	for _, tt := range []struct {
		field  string
		change func(*Config)
	}{
		{"", func(*Config) {}},
		{"host", func(c *Config) { c.Host = "" }},
		{"host", func(c *Config) { c.Host = "smtp://mail.example.com" }},
		{"port", func(c *Config) { c.Port = 70_000 }},
		{"tls", func(c *Config) { c.TLS = "maybe" }},
		{"tls", func(c *Config) { c.TLS = noTLS }},
		{"", func(c *Config) { c.TLS, c.Host = noTLS, "127.0.0.1" }},
		{"username", func(c *Config) { c.TLS, c.Host, c.Username, c.Password = noTLS, "localhost", "a", config.Literal("b") }},
		{"password", func(c *Config) { c.Username = "alerts" }},
		{"password", func(c *Config) { c.Password = config.Literal("x") }},
		{"from", func(c *Config) { c.From = "alerts" }},
		{"from", func(c *Config) { c.From = "a@example.com\r\nBcc: b@example.com" }},
		{"to", func(c *Config) { c.To = nil }},
		{"to[0]", func(c *Config) { c.To = []string{"Ops <ops@example.com>"} }},
		{"ca_file", func(c *Config) { c.CAFile = "/does/not/exist" }},
	} {
		c := good
		tt.change(&c)
		var p config.Problems
		c.Validate(&p)
		if err := p.Err(); (err == nil) != (tt.field == "") || err != nil && !strings.Contains(err.Error(), tt.field+":") {
			t.Errorf("%s: %v", tt.field, err)
		}
	}
	if c := (Config{TLS: implicit}).WithDefaults(); c.Port != 465 {
		t.Errorf("port of implicit TLS is %d", c.Port)
	}
}
