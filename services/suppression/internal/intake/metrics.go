package intake

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/mailstream/mailstream/schemas"
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
	doubted prometheus.Counter
	outage  *prometheus.Desc
	outages func() []string // set by New
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
			Help: "Changes of the list made by events, by action and reason: count keeps a soft bounce, heal ends what bounces of any reason made. Look at it when hard_bounce jumps: a provider may be lying.",
		}, []string{"action", "reason"}),
		strange: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "mailstream_suppression_strange_hashes_total",
			Help: "Events whose recipient hash is not the one we give that address. Page when it grows: the ingress has another pepper, and checks do not find whom it reports.",
		}),
	}
	m.doubted = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "mailstream_suppression_doubted_bounces_total",
		Help: "Hard bounces that were put on probation because their mailbox provider bounces far more than usual.",
	})
	m.outage = prometheus.NewDesc("mailstream_suppression_outage",
		"1 for each mailbox provider that bounces far more than usual, so that its bounces are put on probation. Page when it is there: look at its replies, and lift what it listed.",
		[]string{"mailbox_provider"}, nil)
	reg.MustRegister(m.events, m.changes, m.strange, m.doubted, m)
	for _, outcome := range []string{outcomeChanged, outcomeUnchanged, outcomeIgnored, outcomeDeadLettered} {
		m.events.WithLabelValues(outcome)
	}
	for _, action := range []list.Action{list.Suppress, list.Lift} {
		for _, reason := range list.Reasons() {
			m.changes.WithLabelValues(string(action), string(reason))
		}
	}
	m.changes.WithLabelValues(string(list.Count), string(schemas.SuppressSoftBounce))
	m.changes.WithLabelValues(string(list.End), "")
	return m
}

func (m *Metrics) finished(outcome string, n int) { m.events.WithLabelValues(outcome).Add(float64(n)) }

func (m *Metrics) changed(r list.Rule) {
	m.changes.WithLabelValues(string(r.Do), string(r.Reason)).Inc()
}

// Describe implements prometheus.Collector.
func (m *Metrics) Describe(out chan<- *prometheus.Desc) { out <- m.outage }

// Collect implements prometheus.Collector. The names are those of a table, and
// bounded by package outage.
func (m *Metrics) Collect(out chan<- prometheus.Metric) {
	if m.outages == nil {
		return
	}
	for _, name := range m.outages() {
		out <- prometheus.MustNewConstMetric(m.outage, prometheus.GaugeValue, 1, name)
	}
}
