package kafka

import (
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kgo"
)

// The metrics of one registry are shared by all clients that use it; the label
// `client` tells them apart. Its values are the names given in ProducerConfig,
// the groups of ConsumerConfig and the topics of TailConfig: a closed set.
const labelClient = "client"

// secondsBuckets reach from a local broker's answer to a broker that is away.
func secondsBuckets() []float64 {
	return []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60}
}

// register adds c to reg, or returns the equal collector that is there already.
func register[C prometheus.Collector](reg prometheus.Registerer, c C) (C, error) {
	err := reg.Register(c)
	if err == nil {
		return c, nil
	}
	if there, ok := errors.AsType[prometheus.AlreadyRegisteredError](err); ok {
		if same, ok := there.ExistingCollector.(C); ok {
			return same, nil
		}
	}
	return c, fmt.Errorf("register kafka metrics: %w", err)
}

// family makes vectors and keeps the first fault, so that a list of them reads
// as a list.
type family struct {
	reg prometheus.Registerer
	err error
}

func (f *family) counter(name, help string, labels ...string) *prometheus.CounterVec {
	return keep(f, prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels))
}

func (f *family) gauge(name, help string, labels ...string) *prometheus.GaugeVec {
	return keep(f, prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: name, Help: help}, labels))
}

func (f *family) seconds(name, help string, labels ...string) *prometheus.HistogramVec {
	return keep(f, prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: name, Help: help, Buckets: secondsBuckets(),
	}, labels))
}

func keep[C prometheus.Collector](f *family, c C) C {
	got, err := register(f.reg, c)
	if err != nil && f.err == nil {
		f.err = err
	}
	return got
}

// connectionMetrics counts what happens to connections, as a hook of the client.
type connectionMetrics struct {
	connects    *prometheus.CounterVec
	disconnects *prometheus.CounterVec
}

func newConnectionMetrics(reg prometheus.Registerer) (*connectionMetrics, error) {
	f := family{reg: reg}
	m := &connectionMetrics{
		connects:    f.counter("mailstream_kafka_connects_total", "Connection attempts to brokers, by outcome. Worry when failed keeps growing.", "outcome"),
		disconnects: f.counter("mailstream_kafka_disconnects_total", "Connections to brokers that ended."),
	}
	m.connects.WithLabelValues("ok")
	m.connects.WithLabelValues("failed")
	m.disconnects.WithLabelValues()
	return m, f.err
}

// OnBrokerConnect counts one attempt.
func (m *connectionMetrics) OnBrokerConnect(_ kgo.BrokerMetadata, _ time.Duration, _ net.Conn, err error) {
	if err != nil {
		m.connects.WithLabelValues("failed").Inc()
		return
	}
	m.connects.WithLabelValues("ok").Inc()
}

// OnBrokerDisconnect counts one end.
func (m *connectionMetrics) OnBrokerDisconnect(kgo.BrokerMetadata, net.Conn) {
	m.disconnects.WithLabelValues().Inc()
}

// producerMetrics are the numbers of one Producer.
type producerMetrics struct {
	produced *prometheus.CounterVec // curried: topic
	byTopic  map[string]prometheus.Counter
	errors   *prometheus.CounterVec // curried: reason
	records  prometheus.Gauge
	bytes    prometheus.Gauge
	waited   prometheus.Observer
}

func newProducerMetrics(reg prometheus.Registerer, name string, topics []string) (*producerMetrics, error) {
	f := family{reg: reg}
	client := prometheus.Labels{labelClient: name}
	m := &producerMetrics{
		produced: f.counter("mailstream_kafka_produced_records_total", "Records acknowledged by all in-sync replicas.", labelClient, "topic"),
		errors:   f.counter("mailstream_kafka_produce_errors_total", "Publish calls that did not end well, by reason. Page when denied or unknown_topic grows.", labelClient, "reason"),
		records:  f.gauge("mailstream_kafka_buffered_records", "Records taken and not yet acknowledged.", labelClient).With(client),
		bytes:    f.gauge("mailstream_kafka_buffered_bytes", "Bytes of records taken and not yet acknowledged.", labelClient).With(client),
		waited:   f.seconds("mailstream_kafka_publish_duration_seconds", "Time from Publish to its answer. Worry when p99 nears the provider's timeout.", labelClient).With(client),
		byTopic:  make(map[string]prometheus.Counter, len(topics)),
	}
	m.produced = m.produced.MustCurryWith(client)
	m.errors = m.errors.MustCurryWith(client)
	for _, t := range topics {
		m.byTopic[t] = m.produced.WithLabelValues(t)
	}
	for _, r := range reasons() {
		m.errors.WithLabelValues(r.label)
	}
	m.errors.WithLabelValues("other")
	return m, f.err
}

func (m *producerMetrics) acknowledged(topic string) {
	if c, ok := m.byTopic[topic]; ok {
		c.Inc()
		return
	}
	m.produced.WithLabelValues(topic).Inc()
}

// The outcomes of a consumed record. Consumed = sum of these + in flight.
const (
	outcomeSettled   = "settled"   // handled, its offset committed or passed over by a later one
	outcomeAbandoned = "abandoned" // given back unhandled: it will be read again
)

// consumerMetrics are the numbers of one Consumer.
type consumerMetrics struct {
	consumed   *prometheus.CounterVec // curried: topic
	finished   *prometheus.CounterVec // curried: outcome
	retries    prometheus.Counter
	commits    prometheus.Counter // failed
	fetches    prometheus.Counter // failed
	lost       prometheus.Counter
	rebalances *prometheus.CounterVec
	batch      prometheus.Observer
	lagSeconds prometheus.Gauge
	lagRecords prometheus.Gauge
	assigned   prometheus.Gauge
}

func newConsumerMetrics(reg prometheus.Registerer, name string, topics []string) (*consumerMetrics, error) {
	f := family{reg: reg}
	client := prometheus.Labels{labelClient: name}
	m := &consumerMetrics{
		consumed:   f.counter("mailstream_kafka_consumed_records_total", "Records read, repeats included.", labelClient, "topic"),
		finished:   f.counter("mailstream_kafka_finished_records_total", "Records that left the consumer, by outcome; consumed = sum of outcomes + in flight.", labelClient, "outcome"),
		retries:    f.counter("mailstream_kafka_batch_retries_total", "Batches handed over once more after a fault. Page when it grows and settled does not.", labelClient).With(client),
		commits:    f.counter("mailstream_kafka_commit_errors_total", "Commits of offsets that were refused or not answered; the records may be read twice.", labelClient).With(client),
		fetches:    f.counter("mailstream_kafka_fetch_errors_total", "Faults reported while reading. Worry when it keeps growing.", labelClient).With(client),
		lost:       f.counter("mailstream_kafka_lost_records_total", "Records that the brokers deleted before they were read. Page when it grows: retention is too short for the lag.", labelClient).With(client),
		rebalances: f.counter("mailstream_kafka_rebalances_total", "Changes of the assignment, by kind. Page when lost grows.", labelClient, "kind"),
		batch:      f.seconds("mailstream_kafka_batch_duration_seconds", "Time to settle one batch, retries included.", labelClient).With(client),
		lagSeconds: f.gauge("mailstream_kafka_lag_seconds", "Age of the oldest record not yet settled; 0 when there is none. Page by the promise of the service.", labelClient).With(client),
		lagRecords: f.gauge("mailstream_kafka_lag_records", "Records not yet settled, over the assigned partitions.", labelClient).With(client),
		assigned:   f.gauge("mailstream_kafka_assigned_partitions", "Partitions this process reads.", labelClient).With(client),
	}
	m.consumed = m.consumed.MustCurryWith(client)
	m.finished = m.finished.MustCurryWith(client)
	m.rebalances = m.rebalances.MustCurryWith(client)
	for _, t := range topics {
		m.consumed.WithLabelValues(t)
	}
	m.finished.WithLabelValues(outcomeSettled)
	m.finished.WithLabelValues(outcomeAbandoned)
	for _, kind := range []string{"assigned", "revoked", "lost"} {
		m.rebalances.WithLabelValues(kind)
	}
	return m, f.err
}
