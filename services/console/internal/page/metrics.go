package page

import (
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics are the numbers of the console.
type metrics struct {
	duration prometheus.Histogram
	answers  *prometheus.CounterVec
	missing  *prometheus.CounterVec
}

// How a page was answered.
const (
	answerShown   = "shown"
	answerRefused = "refused" // what was asked, or who asked
	answerFailed  = "failed"
)

func newMetrics(reg prometheus.Registerer) *metrics {
	m := &metrics{
		duration: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "mailstream_console_page_duration_seconds",
			Help:    "Time to answer one page or form, body included. Worry when p95 exceeds 300 ms.",
			Buckets: []float64{.01, .025, .05, .1, .2, .3, .5, 1, 2.5, 5, 10},
		}),
		answers: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "mailstream_console_pages_total", Help: "Pages and forms, by answer: shown, refused (what or who asked), failed.",
		}, []string{"answer"}),
		missing: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "mailstream_console_missing_parts_total", Help: "Parts that a page had to do without, by who did not answer. Worry when it keeps growing.",
		}, []string{"part"}),
	}
	reg.MustRegister(m.duration, m.answers, m.missing)
	for _, answer := range []string{answerShown, answerRefused, answerFailed} {
		m.answers.WithLabelValues(answer)
	}
	for _, part := range []string{partClickHouse, partAlerting, partSuppression, partAnalytics, partIngress, partKafka} {
		m.missing.WithLabelValues(partLabel(part))
	}
	return m
}

// The parts of a page, as people read their names.
const (
	partClickHouse  = "ClickHouse"
	partAlerting    = "The alerting service"
	partSuppression = "The suppression service"
	partAnalytics   = "The analytics service"
	partIngress     = "The ingress"
	partKafka       = "Kafka"
)

// partLabel is the name of a part in a metric.
func partLabel(part string) string {
	return strings.ToLower(strings.TrimSuffix(strings.TrimPrefix(part, "The "), " service"))
}

// answered counts a page.
func (m *metrics) answered(status int, took time.Duration) {
	answer := answerShown
	switch {
	case status >= 500:
		answer = answerFailed
	case status >= 400:
		answer = answerRefused
	}
	m.answers.WithLabelValues(answer).Inc()
	m.duration.Observe(took.Seconds())
}
