// Package kafka is the only way to Kafka. Here is how to reach the brokers and
// authenticate, the options of every client, and the fate of every error of the
// library. The packages below do the work:
//
//   - produce: a producer that returns nil only when all in-sync replicas have
//     acknowledged every record
//   - group: a member of a consumer group, with the one place that commits offsets
//   - read: a reader of chosen partitions from chosen offsets, without a group
//   - membership: which of the running instances has which partition
//   - offsets: where partitions begin and end, and how far a reader is
//   - admin: the topics and their settings
//
// Together they guarantee at-least-once in both directions: no record is lost, and
// a reader must expect duplicates. They do not look into a record, decide no dead
// letter, and offer no transactions.
package kafka

import (
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kgo"
	"go.uber.org/zap"

	"github.com/mailstream/mailstream/services/internal/platform/fate"
)

const (
	// dialTimeout bounds one connection attempt: long enough for a TLS handshake
	// across regions, short enough that the next broker is tried soon.
	dialTimeout = 5 * time.Second

	// requestTimeoutOverhead is added to what a request itself allows the broker.
	requestTimeoutOverhead = 10 * time.Second

	// metadataAgeMin bounds how often metadata is requested. The library's 5 s
	// would make a client wait that long after a broker comes back.
	metadataAgeMin = 250 * time.Millisecond

	// metadataAgeMax is after how long a client sees partitions that were added,
	// when nothing else makes it request metadata. With the library's 5 min their
	// records would stay unread for as long; one request in 10 s costs nothing.
	metadataAgeMax = 10 * time.Second

	// retryBackoffMin and retryBackoffMax bound the delay between attempts of one
	// request. The library's own maximum of 2.5 s suits batch work.
	retryBackoffMin = 50 * time.Millisecond
	retryBackoffMax = time.Second

	// decompressBytesMax bounds what one fetched batch may grow to: many times the
	// largest record of any topic, and a limit to decompression bombs.
	decompressBytesMax = 256 << 20
)

// NewClient returns a client with the connection settings of cfg (brokers, TLS,
// SASL, client id) and opts after them. Its connection events are counted in
// reg. The caller owns it and closes it; it does no I/O before the first
// request unless opts make it consume.
func NewClient(cfg Config, log *zap.Logger, reg prometheus.Registerer, opts ...kgo.Opt) (*kgo.Client, error) {
	all, err := ClientOptions(cfg, log, reg, opts...)
	if err != nil {
		return nil, err
	}
	cl, err := kgo.NewClient(all...)
	if err != nil {
		return nil, fate.Wrap(fate.Halt, fmt.Errorf("configure kafka client: %w", err))
	}
	return cl, nil
}

// ClientOptions puts the settings of the connection before opts. Its error is
// final: a file of the configuration cannot be used.
func ClientOptions(cfg Config, log *zap.Logger, reg prometheus.Registerer, opts ...kgo.Opt) ([]kgo.Opt, error) {
	base := []kgo.Opt{
		kgo.SeedBrokers(cfg.Brokers...),
		kgo.ClientID(cfg.ClientID),
		kgo.SoftwareNameAndVersion("mailstream", "1"),
		kgo.DialTimeout(dialTimeout),
		kgo.RequestTimeoutOverhead(requestTimeoutOverhead),
		kgo.MetadataMinAge(metadataAgeMin),
		kgo.MetadataMaxAge(metadataAgeMax),
		kgo.RetryBackoffFn(retryDelay),
		kgo.MaxDecompressBatchBytes(decompressBytesMax),
		kgo.DisableClientMetrics(), // ours are scraped; brokers need no push from us
		kgo.WithLogger(newClientLogger(log)),
		kgo.WithHooks(newConnectionMetrics(reg)),
	}
	security, err := securityOptions(cfg)
	if err != nil {
		return nil, fate.Wrap(fate.Halt, err)
	}
	return append(append(base, security...), opts...), nil
}

// retryDelay is the wait before the given attempt of one request, from 1.
func retryDelay(attempt int) time.Duration {
	return requestBackoff.Next(attempt)
}

// Membership returns the options of a group member that say who it is.
func (c Config) Membership() []kgo.Opt {
	if c.InstanceID == "" {
		return nil
	}
	return []kgo.Opt{kgo.InstanceID(c.InstanceID)}
}

// TopicPartition is one partition of one topic.
type TopicPartition struct {
	Topic     string
	Partition int32
}

// RecordSize is what a record counts for where bytes are bounded: its key, value
// and headers.
func RecordSize(r *kgo.Record) int {
	n := len(r.Key) + len(r.Value)
	for _, h := range r.Headers {
		n += len(h.Key) + len(h.Value)
	}
	return n
}
