package kafka_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/mailstream/mailstream/services/internal/platform/config"
	"github.com/mailstream/mailstream/services/internal/platform/fate"
	"github.com/mailstream/mailstream/services/internal/platform/kafka"
	"github.com/mailstream/mailstream/services/internal/platform/kafka/admin"
	"github.com/mailstream/mailstream/services/internal/platform/kafka/group"
	"github.com/mailstream/mailstream/services/internal/platform/kafka/kafkatest"
	"github.com/mailstream/mailstream/services/internal/platform/kafka/produce"
	"github.com/mailstream/mailstream/services/internal/platform/kafka/read"
)

func TestSASL_LetsInWhoKnowsThePassword(t *testing.T) {
	t.Parallel()
	for _, mechanism := range []string{kafka.SASLPlain, kafka.SASLScramSHA256, kafka.SASLScramSHA512} {
		t.Run(mechanism, func(t *testing.T) {
			t.Parallel()
			b := kafkatest.StartEmpty(t, kfake.EnableSASL(), kfake.Superuser(mechanism, "mailstream", "right"))
			cfg := b.Config
			cfg.SASL = kafka.SASL{Mechanism: mechanism, Username: "mailstream", Password: config.Literal("right"), AllowPlaintext: true}
			if err := admin.Apply(kafkatest.Context(t), kafkatest.Client(t, cfg), cfg, kafkatest.Logger(t)); err != nil {
				t.Fatalf("Apply with the password = %v", err)
			}
			if err := kafkatest.Producer(t, cfg, produce.Config{}).Publish(kafkatest.Context(t), kafkatest.Record(kafkatest.Bounced, 1)); err != nil {
				t.Errorf("Publish with the password = %v", err)
			}
			cfg.SASL.Password = config.Literal("wrong")
			if err := kafkatest.Producer(t, cfg, produce.Config{}).Ping(kafkatest.Context(t)); err == nil {
				t.Error("Ping with a wrong password = nil, want an error")
			}
			cfg.SASL = kafka.SASL{}
			short, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			if err := kafkatest.Producer(t, cfg, produce.Config{}).Ping(short); err == nil {
				t.Error("Ping without a password = nil, want an error")
			}
		})
	}
}

// The test broker hangs up on a wrong password; Kafka answers with a code.
func TestSASL_RefusalHalts(t *testing.T) {
	t.Parallel()
	b := kafkatest.StartEmpty(t, kfake.EnableSASL(), kfake.Superuser(kafka.SASLPlain, "mailstream", "right"))
	b.ControlKey(int16(kmsg.SASLAuthenticate), func(req kmsg.Request) (kmsg.Response, error, bool) {
		b.KeepControl()
		resp := req.ResponseKind().(*kmsg.SASLAuthenticateResponse)
		resp.ErrorCode = kerr.SaslAuthenticationFailed.Code
		return resp, nil, true
	})
	cfg := b.Config
	cfg.SASL = kafka.SASL{Mechanism: kafka.SASLPlain, Username: "mailstream", Password: config.Literal("wrong"), AllowPlaintext: true}
	err := kafkatest.Producer(t, cfg, produce.Config{}).Ping(kafkatest.Context(t))
	if !errors.Is(err, kafka.ErrDenied) || fate.Of(err) != fate.Halt {
		t.Errorf("Ping = %v (%s), want ErrDenied (halt)", err, fate.Of(err))
	}
	r := kafkatest.Go(t, func(ctx context.Context) error {
		return kafkatest.Consumer(t, cfg, group.Config{}).Run(ctx, func(context.Context, []*kgo.Record) error { return nil })
	})
	if err := r.Wait(t); !errors.Is(err, kafka.ErrDenied) {
		t.Errorf("Consumer.Run = %v, want ErrDenied", err)
	}
	r = kafkatest.Go(t, func(ctx context.Context) error {
		return kafkatest.Tail(t, cfg, read.TailConfig{}).Run(ctx, func(context.Context, []*kgo.Record) error { return nil })
	})
	if err := r.Wait(t); !errors.Is(err, kafka.ErrDenied) {
		t.Errorf("Tail.Run = %v, want ErrDenied", err)
	}
}

func TestTLS_TrustsTheGivenAuthorityOnly(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	server := ca.issue(t, "127.0.0.1")
	b := kafkatest.StartEmpty(t, kfake.TLS(&tls.Config{
		Certificates: []tls.Certificate{server.pair}, ClientCAs: ca.pool, ClientAuth: tls.RequireAndVerifyClientCert,
	}))
	client := ca.issue(t, "client")
	right := kafka.TLS{Enabled: true, CAFile: ca.file, CertFile: client.certFile, KeyFile: client.keyFile}
	for _, tc := range []struct {
		name string
		tls  kafka.TLS
		ok   bool
	}{
		{"our authority and our certificate", right, true},
		{"system's authorities", kafka.TLS{Enabled: true, CertFile: client.certFile, KeyFile: client.keyFile}, false},
		{"no certificate of ours", kafka.TLS{Enabled: true, CAFile: ca.file}, false},
		{"another name", kafka.TLS{Enabled: true, CAFile: ca.file, CertFile: client.certFile, KeyFile: client.keyFile, ServerName: "kafka.example.test"}, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			cfg := b.Config
			cfg.TLS = tc.tls
			p, err := produce.New(cfg, produce.Config{}, kafkatest.Silent(), prometheus.NewRegistry())
			if err != nil {
				t.Fatal(err)
			}
			defer p.Close(kafkatest.Context(t)) // nothing is buffered
			if err := p.Ping(kafkatest.Context(t)); (err == nil) != tc.ok {
				t.Errorf("Ping = %v, want ok %t", err, tc.ok)
			}
		})
	}
}

func TestTLS_NamesTheFileItCannotUse(t *testing.T) {
	t.Parallel()
	empty := filepath.Join(t.TempDir(), "empty.pem")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name string
		tls  kafka.TLS
	}{
		{"authority is not there", kafka.TLS{Enabled: true, CAFile: "/does/not/exist.pem"}},
		{"authority is empty", kafka.TLS{Enabled: true, CAFile: empty}},
		{"certificate is empty", kafka.TLS{Enabled: true, CertFile: empty, KeyFile: empty}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			cfg := kafka.Default()
			cfg.TLS = tc.tls
			if _, err := produce.New(cfg, produce.Config{}, kafkatest.Silent(), prometheus.NewRegistry()); err == nil {
				t.Error("NewProducer = nil, want an error")
			}
		})
	}
}

func TestConfig_ReportsEveryFault(t *testing.T) {
	t.Parallel()
	cfg := kafka.Config{
		Brokers:     []string{"localhost"},
		TopicPrefix: "e mail.",
		TLS:         kafka.TLS{CertFile: "cert.pem"},
		SASL:        kafka.SASL{Mechanism: kafka.SASLPlain},
		Topics: kafka.TopicsConfig{
			ReplicationFactor: 1, MinInsyncReplicas: 2, Retention: time.Hour, DeadLetterRetention: time.Hour, RatesRetention: time.Second,
			TombstoneRetention: time.Hour, CompactionLagMax: time.Hour, CompactionLagMin: 2 * time.Hour, RecordBytesMax: 1, DeadLetterBytesMax: 1 << 30,
		},
	}
	var p config.Problems
	cfg.Validate(p.At("kafka"))
	bad, ok := errors.AsType[*config.InvalidError](p.Err())
	if !ok {
		t.Fatal("no fault was found")
	}
	want := []string{
		`kafka.brokers[0]: "localhost" is not host:port, such as 127.0.0.1:9092`,
		`kafka.topic_prefix: "e mail.": only a-z, A-Z, 0-9, '.', '_' and '-' are allowed in a topic name`,
		`kafka.client_id: must not be empty`,
		`kafka.tls.cert_file: cert_file and key_file go together`,
		`kafka.tls.enabled: is false although files or server_name are given`,
		`kafka.sasl.username: must not be empty`,
		`kafka.sasl.password: must be set`,
		`kafka.sasl.mechanism: PLAIN sends the password itself: enable tls, or set allow_plaintext for a broker on this host`,
		`kafka.topics.partitions: 0 is not in [1, 1000]`,
		`kafka.topics.min_insync_replicas: 2 is above replication_factor 1: nothing could be written`,
		`kafka.topics.rates_retention: 1s is not in [1m, 3650d]`,
		`kafka.topics.compaction_lag_min: 2h0m0s is not in [0s, compaction_lag_max 1h0m0s]`,
		`kafka.topics.record_bytes_max: 1B is not in [64KiB, 16MiB]`,
		`kafka.topics.dead_letter_bytes_max: 1GiB is not in [record_bytes_max 1B, 32MiB]`,
	}
	if diff := cmp.Diff(want, bad.Faults); diff != "" {
		t.Error(diff)
	}
	p = config.Problems{}
	kafka.Default().Validate(p.At("kafka"))
	if err := p.Err(); err != nil {
		t.Errorf("the default is refused: %v", err)
	}
}

type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pool *x509.CertPool
	file string
}

type issued struct {
	pair              tls.Certificate
	certFile, keyFile string
}

func newAuthority(t *testing.T) authority {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test authority"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageCertSign,
	}
	key := newKey(t)
	der := sign(t, template, template, key, key)
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	a := authority{cert: cert, key: key, pool: x509.NewCertPool(), file: filepath.Join(t.TempDir(), "ca.pem")}
	a.pool.AddCert(cert)
	writePEM(t, a.file, "CERTIFICATE", der)
	return a
}

func (a authority) issue(t *testing.T, name string) issued {
	t.Helper()
	key := newKey(t)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der := sign(t, template, a.cert, key, a.key)
	raw, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	i := issued{certFile: filepath.Join(dir, "cert.pem"), keyFile: filepath.Join(dir, "key.pem")}
	writePEM(t, i.certFile, "CERTIFICATE", der)
	writePEM(t, i.keyFile, "PRIVATE KEY", raw)
	if i.pair, err = tls.LoadX509KeyPair(i.certFile, i.keyFile); err != nil {
		t.Fatal(err)
	}
	return i
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func sign(t *testing.T, template, parent *x509.Certificate, key, by *ecdsa.PrivateKey) []byte {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), by)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func writePEM(t *testing.T, name, kind string, der []byte) {
	t.Helper()
	if err := os.WriteFile(name, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestConfig_BrokersAreHostAndPort(t *testing.T) {
	t.Parallel()
	for broker, want := range map[string]bool{
		"127.0.0.1:9092": true, "kafka-1.kafka_net:9092": true, "[::1]:9092": true, "[fe80::1%eth0]:9092": true, "käfka.example:9092": true,
		"broker 127.0.0.1:9092": false, ":9092": false, "kafka": false, "kafka:": false, "kafka:0": false, "kafka:99999": false,
		"kafka://a:9092": false, "a:9092,b:9092": false, "a:9092,": false, " a:9092": false, "a:9092 ": false, "a/b:9092": false,
	} {
		cfg := kafka.Default()
		cfg.Brokers = []string{broker}
		var faults config.Problems
		cfg.Validate(faults.At("kafka"))
		if got := faults.Err() == nil; got != want {
			t.Errorf("%q: taken %v, want %v: %v", broker, got, want, faults.Err())
		}
	}
}
