package intake

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/mailstream/mailstream/services/suppression/internal/list"
)

// The outcomes of a record. Consumed = their sum + what is in flight.
const (
	outcomeChanged      = "changed"
	outcomeUnchanged    = "unchanged"
	outcomeIgnored      = "ignored"
	outcomeDeadLettered = "dead_lettered"
)

// Metrics are the numbers of one intake.
type Metrics struct {
	events  *prometheus.CounterVec
	changes *prometheus.CounterVec
	strange prometheus.Counter
}

// NewMetrics registers the numbers in reg.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	m := &Metrics{
		events: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "mailstream_suppression_events_total",
			Help: "Event records by outcome; repeats count as unchanged. Page when dead_lettered grows.",
		}, []string{"outcome"}),
		changes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "mailstream_suppression_changes_total",
			Help: "Changes of the list made by events, by action and reason. Look at it when hard_bounce jumps: a provider may be lying.",
		}, []string{"action", "reason"}),
		strange: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "mailstream_suppression_strange_hashes_total",
			Help: "Events whose recipient hash is not the one we give that address. Page when it grows: the ingress has another pepper, and checks do not find whom it reports.",
		}),
	}
	reg.MustRegister(m.events, m.changes, m.strange)
	for _, outcome := range []string{outcomeChanged, outcomeUnchanged, outcomeIgnored, outcomeDeadLettered} {
		m.events.WithLabelValues(outcome)
	}
	for _, action := range []list.Action{list.Suppress, list.Lift} {
		for _, reason := range list.Reasons() {
			m.changes.WithLabelValues(string(action), string(reason))
		}
	}
	return m
}

func (m *Metrics) finished(outcome string, n int) { m.events.WithLabelValues(outcome).Add(float64(n)) }

func (m *Metrics) changed(r list.Rule) {
	m.changes.WithLabelValues(string(r.Do), string(r.Reason)).Inc()
}
