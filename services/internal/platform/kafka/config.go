package kafka

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/internal/platform/config"
)

// Config is the section `kafka`: where the brokers are, how to be let in, and
// what the topics look like.
type Config struct {
	// Brokers are the first addresses to ask, host:port; one reachable is enough.
	// Default [127.0.0.1:9092].
	Brokers []string `yaml:"brokers"`
	// TopicPrefix begins every topic name, dot included. Default "email.".
	TopicPrefix string `yaml:"topic_prefix"`
	// GroupPrefix begins the name of every consumer group; the name of the service
	// follows. After a change everything is read a second time, which changes no
	// answer. Deployments that share brokers need one each. Default "mailstream-".
	GroupPrefix string `yaml:"group_prefix"`
	// InstanceID makes the group memberships of this process static: it returns
	// after a crash without waiting for the session of its former self to end.
	// It must differ between processes of one service; the host's name fits.
	// Default "": dynamic.
	InstanceID string `yaml:"instance_id"`
	// ClientID names this process to the brokers (quotas, logs). Default "mailstream".
	ClientID string `yaml:"client_id"`
	// TLS encrypts the connection; off by default.
	TLS TLS `yaml:"tls"`
	// SASL authenticates; off by default.
	SASL SASL `yaml:"sasl"`
	// Topics is what `mailstream topics apply` makes and services insist on.
	Topics TopicsConfig `yaml:"topics"`
	// Webhooks are the topics of generic sources, full names: they are made and
	// checked like the event topics. They follow from the section `ingress`.
	Webhooks []string `yaml:"-"`
	// Dial, when not nil, makes the connections instead of TCP: tests run brokers
	// on an in-memory network. It excludes TLS.
	Dial func(ctx context.Context, network, address string) (net.Conn, error) `yaml:"-"`
}

// TLS is how the connection is encrypted. There is no switch that skips
// verification: a private authority goes into CAFile.
type TLS struct {
	// Enabled turns it on; without the files, the system's authorities are trusted.
	// Default false.
	Enabled bool `yaml:"enabled"`
	// CAFile holds the PEM certificates to trust instead of the system's. Default "".
	CAFile string `yaml:"ca_file"`
	// CertFile is our own certificate, PEM; KeyFile goes with it. Default "".
	CertFile string `yaml:"cert_file"`
	// KeyFile is the key of CertFile, PEM. Default "".
	KeyFile string `yaml:"key_file"`
	// ServerName is checked in the broker's certificate. Default "": the dialled host.
	ServerName string `yaml:"server_name"`
}

// The mechanisms of SASL.Mechanism.
const (
	SASLPlain       = "PLAIN"
	SASLScramSHA256 = "SCRAM-SHA-256"
	SASLScramSHA512 = "SCRAM-SHA-512"
)

// SASL is how we authenticate.
type SASL struct {
	// Mechanism is PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512. PLAIN needs TLS: it sends
	// the password itself. Default "": no authentication.
	Mechanism string `yaml:"mechanism"`
	// Username goes with mechanism. Default "".
	Username string `yaml:"username"`
	// Password goes with mechanism. Default "".
	Password config.Secret `yaml:"password"`
	// AllowPlaintext permits PLAIN without TLS, for a broker on the same host.
	// Default false.
	AllowPlaintext bool `yaml:"allow_plaintext"`
}

// TopicsConfig is what the topics look like. Zero of a replica setting leaves
// it to the broker.
type TopicsConfig struct {
	// Partitions of every topic. All event topics and suppressions must have the
	// same number, so that a person has one partition number everywhere, and it
	// can never be changed in place. Range [1, 1000]. Default 12.
	Partitions int32 `yaml:"partitions"`
	// ReplicationFactor of every topic; 0 is the broker's own. Production wants 3.
	// Default 0. Range [0, 10].
	ReplicationFactor int16 `yaml:"replication_factor"`
	// MinInsyncReplicas must have a write before it is acknowledged; 0 is the
	// broker's own. Production wants 2. At most ReplicationFactor where that is set.
	// Default 0. Range [0, 10].
	MinInsyncReplicas int16 `yaml:"min_insync_replicas"`
	// Retention of the event topics. Default 14d. Range [1m, 3650d].
	Retention time.Duration `yaml:"retention"`
	// DeadLetterRetention is how long dead letters wait to be replayed. Default 30d.
	// Range [1m, 3650d].
	DeadLetterRetention time.Duration `yaml:"dead_letter_retention"`
	// RatesRetention covers the longest alert window twice over. Default 2h.
	// Range [1m, 3650d].
	RatesRetention time.Duration `yaml:"rates_retention"`
	// CompactionLagMin is how long a compacted topic keeps every version of a
	// key. Default 1d. Range [0s, compaction_lag_max].
	CompactionLagMin time.Duration `yaml:"compaction_lag_min"`
	// CompactionLagMax is after how long superseded versions must be gone, so
	// that an erased address does not linger. Default 7d. Range [1m, 3650d].
	CompactionLagMax time.Duration `yaml:"compaction_lag_max"`
	// TombstoneRetention is how long a deletion stays readable in a compacted
	// topic; local state older than this must be rebuilt. Default 7d.
	// Range [1m, 3650d].
	TombstoneRetention time.Duration `yaml:"tombstone_retention"`
	// RecordBytesMax bounds one record batch, compressed. Default 1MiB. Range
	// [64KiB, 16MiB].
	RecordBytesMax config.ByteSize `yaml:"record_bytes_max"`
	// DeadLetterBytesMax is the same for dead letters, which carry a whole
	// webhook body in base64. Default 8MiB. Range [RecordBytesMax, 32MiB].
	DeadLetterBytesMax config.ByteSize `yaml:"dead_letter_bytes_max"`
}

const (
	partitionsMax        = 1000 // a replica has open files for each; Kafka's own advice is below 4,000 a broker
	replicationFactorMax = 10
	recordBytesMaxLow    = 64 * config.KiB
	recordBytesMaxHigh   = 16 * config.MiB
	deadLetterBytesHigh  = 32 * config.MiB
	retentionMin         = time.Minute
	retentionMax         = 3650 * 24 * time.Hour
	topicNameBytesMax    = 249 // Kafka's own bound on a topic name
)

// Default returns the settings of a broker on this host.
func Default() Config {
	return Config{
		Brokers:     []string{"127.0.0.1:9092"},
		TopicPrefix: schemas.DefaultTopicPrefix,
		GroupPrefix: "mailstream-",
		ClientID:    "mailstream",
		Topics: TopicsConfig{
			Partitions:          12,
			Retention:           14 * 24 * time.Hour,
			DeadLetterRetention: 30 * 24 * time.Hour,
			RatesRetention:      2 * time.Hour,
			CompactionLagMin:    24 * time.Hour,
			CompactionLagMax:    7 * 24 * time.Hour,
			TombstoneRetention:  7 * 24 * time.Hour,
			RecordBytesMax:      config.MiB,
			DeadLetterBytesMax:  8 * config.MiB,
		},
	}
}

// Group returns the consumer group of the service called name.
func (c Config) Group(name string) string { return c.GroupPrefix + name }

// TopicNames returns the names of all topics.
func (c Config) TopicNames() []string {
	prefix := c.TopicPrefix
	return append(append(schemas.EventTopics(prefix), c.Webhooks...), schemas.DeadLetterTopic(prefix),
		schemas.SuppressionsTopic(prefix), schemas.AlertsTopic(prefix), schemas.AlertControlsTopic(prefix), schemas.RatesTopic(prefix),
		schemas.ErasuresTopic(prefix), schemas.AuditTopic(prefix), schemas.OperationsTopic(prefix), schemas.DriftTopic(prefix))
}

// Validate reports every fault to p. It reads no file and asks no broker.
func (c Config) Validate(p *config.Problems) {
	p.Check(len(c.Brokers) > 0, "brokers", "need at least one host:port")
	for i, b := range c.Brokers {
		p.Check(validBroker(b), fmt.Sprintf("brokers[%d]", i), "%q is not host:port, such as 127.0.0.1:9092", b)
	}
	p.Check(validTopicPart(c.TopicPrefix), "topic_prefix", "%q: only a-z, A-Z, 0-9, '.', '_' and '-' are allowed in a topic name", c.TopicPrefix)
	p.Check(len(c.TopicPrefix) <= topicNameBytesMax/2, "topic_prefix", "%d bytes, at most %d", len(c.TopicPrefix), topicNameBytesMax/2)
	p.Check(c.ClientID != "", "client_id", "must not be empty")
	p.Check(!strings.ContainsFunc(c.ClientID, unicode.IsControl), "client_id", "holds a control character: it is shown in the brokers' logs and metrics")
	c.TLS.Validate(p.At("tls"))
	c.SASL.validate(p.At("sasl"), c.TLS.Enabled)
	c.Topics.Validate(p.At("topics"))
}

// Validate reports every fault to p.
func (t TLS) Validate(p *config.Problems) {
	t.files().Validate(p)
	given := t.CAFile != "" || t.CertFile != "" || t.ServerName != ""
	p.Check(t.Enabled || !given, "enabled", "is false although files or server_name are given")
}

func (t TLS) files() config.TLSFiles {
	return config.TLSFiles{CA: t.CAFile, Cert: t.CertFile, Key: t.KeyFile, ServerName: t.ServerName}
}

func (s SASL) validate(p *config.Problems, encrypted bool) {
	if s.Mechanism == "" {
		p.Check(s.Username == "" && !s.Password.IsSet(), "mechanism", "is empty although username or password is given")
		return
	}
	known := s.Mechanism == SASLPlain || s.Mechanism == SASLScramSHA256 || s.Mechanism == SASLScramSHA512
	p.Check(known, "mechanism", "%q is not one of %s, %s, %s", s.Mechanism, SASLPlain, SASLScramSHA256, SASLScramSHA512)
	p.Check(s.Username != "", "username", "must not be empty")
	p.Check(s.Password.IsSet(), "password", "must be set")
	p.Check(s.Mechanism != SASLPlain || encrypted || s.AllowPlaintext, "mechanism",
		"PLAIN sends the password itself: enable tls, or set allow_plaintext for a broker on this host")
}

// Validate reports every fault to p.
func (t TopicsConfig) Validate(p *config.Problems) {
	p.Check(t.Partitions >= 1 && t.Partitions <= partitionsMax, "partitions", "%d is not in [1, %d]", t.Partitions, partitionsMax)
	p.Check(t.ReplicationFactor >= 0 && t.ReplicationFactor <= replicationFactorMax, "replication_factor", "%d is not in [0, %d]", t.ReplicationFactor, replicationFactorMax)
	p.Check(t.MinInsyncReplicas >= 0 && t.MinInsyncReplicas <= replicationFactorMax, "min_insync_replicas", "%d is not in [0, %d]", t.MinInsyncReplicas, replicationFactorMax)
	p.Check(t.ReplicationFactor == 0 || t.MinInsyncReplicas <= t.ReplicationFactor, "min_insync_replicas",
		"%d is above replication_factor %d: nothing could be written", t.MinInsyncReplicas, t.ReplicationFactor)
	for _, d := range []struct {
		name string
		d    time.Duration
	}{
		{"retention", t.Retention}, {"dead_letter_retention", t.DeadLetterRetention}, {"rates_retention", t.RatesRetention},
		{"tombstone_retention", t.TombstoneRetention}, {"compaction_lag_max", t.CompactionLagMax},
	} {
		p.Check(d.d >= retentionMin && d.d <= retentionMax, d.name, "%s is not in [%s, %s]",
			config.FormatDuration(d.d), config.FormatDuration(retentionMin), config.FormatDuration(retentionMax))
	}
	p.Check(t.CompactionLagMin >= 0 && t.CompactionLagMin <= t.CompactionLagMax, "compaction_lag_min",
		"%s is not in [0s, compaction_lag_max %s]", t.CompactionLagMin, t.CompactionLagMax)
	p.Check(t.RecordBytesMax >= recordBytesMaxLow && t.RecordBytesMax <= recordBytesMaxHigh, "record_bytes_max",
		"%s is not in [%s, %s]", t.RecordBytesMax, recordBytesMaxLow, recordBytesMaxHigh)
	p.Check(t.DeadLetterBytesMax >= t.RecordBytesMax && t.DeadLetterBytesMax <= deadLetterBytesHigh, "dead_letter_bytes_max",
		"%s is not in [record_bytes_max %s, %s]", t.DeadLetterBytesMax, t.RecordBytesMax, deadLetterBytesHigh)
}

func validTopicPart(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '.' || r == '_' || r == '-')
	}) < 0
}

// validBroker says whether b is a host, or an IPv6 address in brackets, and a port.
// No resolver takes a name with other characters, and the client would try for ever.
func validBroker(b string) bool {
	host, text, err := net.SplitHostPort(b)
	port, portErr := strconv.ParseUint(text, 10, 16)
	sign := func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune(".-_:%", r)
	}
	return err == nil && portErr == nil && port > 0 && host != "" && !strings.ContainsFunc(host, sign)
}
