package kafka

import (
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kgo"
)

// LabelClient is the label `client`. All clients of one registry share its metrics;
// the label distinguishes them. Its values are a closed set: the names of producers
// and watches, the groups of consumers and the topics of tails.
const LabelClient = "client"

// secondsBuckets reach from a local broker's answer to a broker that is away.
func secondsBuckets() []float64 {
	return []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60}
}

// Metrics makes the metrics of clients, or returns those that the registry has
// already. Like MustRegister, it panics when two of one name differ.
type Metrics struct{ Registerer prometheus.Registerer }

// Counter returns the counters of that name.
func (m Metrics) Counter(name, help string, labels ...string) *prometheus.CounterVec {
	return shared(m.Registerer, prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels))
}

// Gauge returns the gauges of that name.
func (m Metrics) Gauge(name, help string, labels ...string) *prometheus.GaugeVec {
	return shared(m.Registerer, prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: name, Help: help}, labels))
}

// Seconds returns the histograms of durations of that name.
func (m Metrics) Seconds(name, help string, labels ...string) *prometheus.HistogramVec {
	return shared(m.Registerer, prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: name, Help: help, Buckets: secondsBuckets(),
	}, labels))
}

// shared adds c to reg, or returns the equal collector that is there already.
func shared[C prometheus.Collector](reg prometheus.Registerer, c C) C {
	err := reg.Register(c)
	if there, ok := errors.AsType[prometheus.AlreadyRegisteredError](err); ok {
		if same, ok := there.ExistingCollector.(C); ok {
			return same
		}
	}
	if err != nil {
		panic(fmt.Errorf("register kafka metrics: %w", err))
	}
	return c
}

// connectionMetrics counts what happens to connections, as a hook of the client.
type connectionMetrics struct {
	connects    *prometheus.CounterVec
	disconnects *prometheus.CounterVec
}

func newConnectionMetrics(reg prometheus.Registerer) *connectionMetrics {
	f := Metrics{Registerer: reg}
	m := &connectionMetrics{
		connects:    f.Counter("mailstream_kafka_connects_total", "Connection attempts to brokers, by outcome. Worry when failed keeps growing.", "outcome"),
		disconnects: f.Counter("mailstream_kafka_disconnects_total", "Connections to brokers that ended."),
	}
	m.connects.WithLabelValues("ok")
	m.connects.WithLabelValues("failed")
	m.disconnects.WithLabelValues()
	return m
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
