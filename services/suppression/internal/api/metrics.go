package api

import (
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Metrics are the numbers of one API.
type Metrics struct {
	checks      prometheus.Counter
	addresses   prometheus.Counter
	suppressed  prometheus.Counter
	notYet      prometheus.Counter
	writeErrors prometheus.Counter
	busy        prometheus.Counter
	written     *prometheus.CounterVec
	duration    prometheus.Histogram
}

// NewMetrics registers the numbers in reg.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	counter := func(name, help string) prometheus.Counter {
		c := prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
		reg.MustRegister(c)
		return c
	}
	m := &Metrics{
		checks:      counter("mailstream_suppression_checks_total", "Checks answered."),
		addresses:   counter("mailstream_suppression_checked_addresses_total", "Addresses checked."),
		suppressed:  counter("mailstream_suppression_suppressed_addresses_total", "Addresses checked and found suppressed. Look at it when it jumps: a list may be poisoned."),
		notYet:      counter("mailstream_suppression_checks_not_yet_applied_total", "Checks refused because their token was not applied in time. Worry when it grows: this replica lags."),
		writeErrors: counter("mailstream_suppression_write_errors_total", "Writes that Kafka did not acknowledge. Page when it keeps growing."),
		busy:        counter("mailstream_suppression_busy_requests_total", "Requests answered 503 because too many were in progress. Worry when it grows: add replicas."),
		written: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "mailstream_suppression_writes_total", Help: "Writes acknowledged, by HTTP method.",
		}, []string{"method"}),
		duration: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "mailstream_suppression_check_duration_seconds",
			Help:    "Time to answer one check, body included. Worry when p99 exceeds 2 ms for single addresses.",
			Buckets: []float64{.0001, .00025, .0005, .001, .002, .005, .01, .02, .05, .1, .25, .5, 1},
		}),
	}
	reg.MustRegister(m.written, m.duration)
	for _, method := range []string{http.MethodPut, http.MethodPost} {
		m.written.WithLabelValues(method)
	}
	return m
}

func (m *Metrics) checked(addresses, suppressed int, took time.Duration) {
	m.checks.Inc()
	m.addresses.Add(float64(addresses))
	m.suppressed.Add(float64(suppressed))
	m.duration.Observe(took.Seconds())
}
