package produce

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/mailstream/mailstream/services/internal/platform/kafka"
)

// producerMetrics are the numbers of one Producer.
type producerMetrics struct {
	produced *prometheus.CounterVec // curried: topic
	byTopic  map[string]prometheus.Counter
	errors   *prometheus.CounterVec // curried: reason
	records  prometheus.Gauge
	bytes    prometheus.Gauge
	waited   prometheus.Observer
}

func newProducerMetrics(reg prometheus.Registerer, name string, topics []string) *producerMetrics {
	f := kafka.Metrics{Registerer: reg}
	client := prometheus.Labels{kafka.LabelClient: name}
	m := &producerMetrics{
		produced: f.Counter("mailstream_kafka_produced_records_total", "Records acknowledged by all in-sync replicas.", kafka.LabelClient, "topic"),
		errors:   f.Counter("mailstream_kafka_produce_errors_total", "Publish calls that did not end well, by reason. Page when denied or unknown_topic grows.", kafka.LabelClient, "reason"),
		records:  f.Gauge("mailstream_kafka_buffered_records", "Records taken and not yet acknowledged.", kafka.LabelClient).With(client),
		bytes:    f.Gauge("mailstream_kafka_buffered_bytes", "Bytes of records taken and not yet acknowledged.", kafka.LabelClient).With(client),
		waited:   f.Seconds("mailstream_kafka_publish_duration_seconds", "Time from Publish to its answer. Worry when p99 nears the provider's timeout.", kafka.LabelClient).With(client),
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
	return m
}

func (m *producerMetrics) acknowledged(topic string) {
	if c, ok := m.byTopic[topic]; ok {
		c.Inc()
		return
	}
	m.produced.WithLabelValues(topic).Inc()
}
