package outbox

import "github.com/prometheus/client_golang/prometheus"

// Outcomes, the values of the label `outcome`.
const (
	attemptDelivered = "delivered"
	attemptFailed    = "failed"
	attemptRefused   = "refused"

	noticeDelivered = "delivered"
	noticeGivenUp   = "given_up"
)

// Metrics are shared by all outboxes of a process.
type Metrics struct {
	attempts *prometheus.CounterVec
	notices  *prometheus.CounterVec
	waiting  *prometheus.GaugeVec
	refused  *prometheus.GaugeVec
}

// NewMetrics registers the metrics; receivers are the values of the label
// `receiver`.
func NewMetrics(reg prometheus.Registerer, receivers ...string) *Metrics {
	m := &Metrics{
		attempts: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "mailstream_alerting_notification_attempts_total",
			Help: "Attempts to deliver a message, by outcome. Worry when failed or refused grows and delivered does not.",
		}, []string{"receiver", "outcome"}),
		notices: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "mailstream_alerting_notifications_total",
			Help: "Notifications that ended, by outcome; a digest ends many. Worry when given_up grows: an incident was over for a day and nobody ever heard of it.",
		}, []string{"receiver", "outcome"}),
		waiting: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "mailstream_alerting_notifications_waiting",
			Help: "Notifications not yet delivered. Page when it stays above 0 for minutes.",
		}, []string{"receiver"}),
		refused: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "mailstream_alerting_notifications_refused",
			Help: "Those waiting that the receiver refused at the last try; they are tried again, ever more slowly. Page above 0: the webhook is gone, forbidden or wrong.",
		}, []string{"receiver"}),
	}
	for _, r := range receivers {
		for _, o := range []string{attemptDelivered, attemptFailed, attemptRefused} {
			m.attempts.WithLabelValues(r, o)
		}
		m.notices.WithLabelValues(r, noticeDelivered)
		m.notices.WithLabelValues(r, noticeGivenUp)
		m.waiting.WithLabelValues(r)
		m.refused.WithLabelValues(r)
	}
	reg.MustRegister(m.attempts, m.notices, m.waiting, m.refused)
	return m
}
