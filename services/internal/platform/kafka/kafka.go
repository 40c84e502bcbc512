// Package kafka is the door to Kafka for what services share: a producer that says yes only when
// every record is acknowledged by all in-sync replicas, a consumer with the one
// place that commits offsets, a tail that reads a whole topic without a group,
// and the topics themselves with their settings. What one service alone needs it
// asks the library for itself, on a client made here: alerting reads chosen
// offsets and holds leases.
//
// It guarantees at-least-once in both directions and never loses a record by
// itself; duplicates are the reader's to absorb. It knows nothing of what is in
// a record, decides no dead letter, and offers no transactions.
package kafka

import (
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kgo"
	"go.uber.org/zap"
)

const (
	// dialTimeout bounds one connection attempt: long enough for a TLS handshake
	// across regions, short enough that a dead broker is left for the next.
	dialTimeout = 5 * time.Second

	// requestTimeoutOverhead is added to what a request itself allows the broker.
	requestTimeoutOverhead = 10 * time.Second

	// metadataAgeMin bounds how often metadata is asked for. The library's 5 s
	// would make a client wait that long after a broker comes back.
	metadataAgeMin = 250 * time.Millisecond

	// metadataAgeMax is after how long partitions that were added are seen by a
	// client that has no other reason to ask. The library's 5 min would leave their
	// records unread for as long; one request in 10 s costs nothing.
	metadataAgeMax = 10 * time.Second

	// retryBackoffMin and retryBackoffMax bound the delay between attempts of one
	// request. The library's own maximum of 2.5 s suits batch work.
	retryBackoffMin = 50 * time.Millisecond
	retryBackoffMax = time.Second

	// decompressBytesMax bounds what one fetched batch may grow to: the largest
	// record of any topic many times over, and no bomb.
	decompressBytesMax = 256 << 20
)

// NewClient returns a client with the connection settings of cfg (brokers, TLS,
// SASL, client id) and opts after them. Its connection events are counted in
// reg. The caller owns it and closes it; it does no I/O before the first
// request unless opts make it consume.
func NewClient(cfg Config, log *zap.Logger, reg prometheus.Registerer, opts ...kgo.Opt) (*kgo.Client, error) {
	all, err := clientOptions(cfg, log, reg, opts)
	if err != nil {
		return nil, err
	}
	cl, err := kgo.NewClient(all...)
	if err != nil {
		return nil, fmt.Errorf("configure kafka client: %w", err)
	}
	return cl, nil
}

// clientOptions puts the settings of the connection before opts.
func clientOptions(cfg Config, log *zap.Logger, reg prometheus.Registerer, opts []kgo.Opt) ([]kgo.Opt, error) {
	hooks, err := newConnectionMetrics(reg)
	if err != nil {
		return nil, err
	}
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
		kgo.WithHooks(hooks),
	}
	security, err := securityOptions(cfg)
	if err != nil {
		return nil, err
	}
	return append(append(base, security...), opts...), nil
}

// retryDelay is the wait before the given attempt of one request, from 1.
func retryDelay(attempt int) time.Duration {
	return requestBackoff.Next(attempt)
}
