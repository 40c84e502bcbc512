package group

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/mailstream/mailstream/services/internal/platform/kafka"
)

// The outcomes of a consumed record. Consumed = sum of these + in flight.
const (
	outcomeSettled   = "settled"   // handled, its offset committed or passed over by a later one
	outcomeAbandoned = "abandoned" // given back unhandled: it will be redelivered
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

func newConsumerMetrics(reg prometheus.Registerer, name string, topics []string) *consumerMetrics {
	f := kafka.Metrics{Registerer: reg}
	client := prometheus.Labels{kafka.LabelClient: name}
	m := &consumerMetrics{
		consumed:   f.Counter("mailstream_kafka_consumed_records_total", "Records read, repeats included.", kafka.LabelClient, "topic"),
		finished:   f.Counter("mailstream_kafka_finished_records_total", "Records that left the consumer, by outcome; consumed = sum of outcomes + in flight.", kafka.LabelClient, "outcome"),
		retries:    f.Counter("mailstream_kafka_batch_retries_total", "Batches handed over once more after a fault. Page when it grows and settled does not.", kafka.LabelClient).With(client),
		commits:    f.Counter("mailstream_kafka_commit_errors_total", "Commits of offsets that were refused or not answered; the records may be read twice.", kafka.LabelClient).With(client),
		fetches:    f.Counter("mailstream_kafka_fetch_errors_total", "Faults reported while reading. Worry when it keeps growing.", kafka.LabelClient).With(client),
		lost:       f.Counter("mailstream_kafka_lost_records_total", "Records that the brokers deleted before they were read. Page when it grows: retention is too short for the lag.", kafka.LabelClient).With(client),
		rebalances: f.Counter("mailstream_kafka_rebalances_total", "Changes of the assignment, by kind. Page when lost grows.", kafka.LabelClient, "kind"),
		batch:      f.Seconds("mailstream_kafka_batch_duration_seconds", "Time to settle one batch, retries included.", kafka.LabelClient).With(client),
		lagSeconds: f.Gauge("mailstream_kafka_lag_seconds", "Age of the oldest record not yet settled; 0 when there is none. Page by the promise of the service.", kafka.LabelClient).With(client),
		lagRecords: f.Gauge("mailstream_kafka_lag_records", "Records not yet settled, over the assigned partitions.", kafka.LabelClient).With(client),
		assigned:   f.Gauge("mailstream_kafka_assigned_partitions", "Partitions this process reads.", kafka.LabelClient).With(client),
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
	return m
}
