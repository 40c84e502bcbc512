package outbox

import "github.com/prometheus/client_golang/prometheus"

// Outcomes, the values of the label `outcome`.
const (
	attemptDelivered = "delivered"
	attemptFailed    = "failed"
	attemptRefused   = "refused"
)

// Metrics are shared by all outboxes of a process.
type Metrics struct {
	attempts *prometheus.CounterVec
	notices  *prometheus.CounterVec
	waiting  prometheus.Gauge
}

// NewMetrics registers the metrics; receivers are the values of the label
// `receiver`.
func NewMetrics(reg prometheus.Registerer, receivers ...string) *Metrics {
	m := &Metrics{
		attempts: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "mailstream_alerting_notification_attempts_total",
			Help: "Attempts to deliver a message, by outcome. Worry when failed grows and delivered does not.",
		}, []string{"receiver", "outcome"}),
		notices: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "mailstream_alerting_notifications_total",
			Help: "Notifications that ended, by outcome; a digest ends many. Page when refused grows: nobody is told of alerts.",
		}, []string{"receiver", "outcome"}),
		waiting: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "mailstream_alerting_notifications_waiting",
			Help: "Notifications not yet delivered. Page when it stays above 0 for minutes.",
		}),
	}
	for _, r := range receivers {
		for _, o := range []string{attemptDelivered, attemptFailed, attemptRefused} {
			m.attempts.WithLabelValues(r, o)
		}
		m.notices.WithLabelValues(r, attemptDelivered)
		m.notices.WithLabelValues(r, attemptRefused)
	}
	reg.MustRegister(m.attempts, m.notices, m.waiting)
	return m
}
