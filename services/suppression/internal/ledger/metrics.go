package ledger

import "github.com/prometheus/client_golang/prometheus"

// Metrics are the numbers of one ledger.
type Metrics struct {
	followed   prometheus.Counter
	unreadable prometheus.Counter
	repairs    prometheus.Counter
	behind     prometheus.Gauge
}

// NewMetrics registers the numbers in reg.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	m := &Metrics{
		followed: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "mailstream_suppression_followed_records_total",
			Help: "Records of the suppressions topic applied to the local store.",
		}),
		unreadable: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "mailstream_suppression_unreadable_records_total",
			Help: "Records of the suppressions topic that were passed over. Page when it grows: another program writes there.",
		}),
		repairs: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "mailstream_suppression_repaired_states_total",
			Help: "States republished because a concurrent write had overwritten part of them. Worry when it keeps growing.",
		}),
		behind: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "mailstream_suppression_behind_addresses",
			Help: "Addresses of which the topic's last record lacks something. Worry when it does not return to 0 within a minute.",
		}),
	}
	reg.MustRegister(m.followed, m.unreadable, m.repairs, m.behind)
	return m
}
