package counter

import "github.com/prometheus/client_golang/prometheus"

// Outcomes of a record, the values of the label `outcome`. Every record read has
// exactly one.
const (
	outcomeCounted    = "counted"
	outcomeDuplicate  = "duplicate"
	outcomeLate       = "late"
	outcomeKeyless    = "keyless"
	outcomeReplayed   = "replayed"
	outcomeUnreadable = "unreadable"
	outcomeMarker     = "marker"
)

type metrics struct {
	finished  *prometheus.CounterVec
	skewed    prometheus.Counter
	rounds    prometheus.Histogram
	lanes     prometheus.Gauge
	age       prometheus.Gauge
	published prometheus.Counter
	faults    prometheus.Counter
}

func newMetrics(reg prometheus.Registerer) *metrics {
	m := &metrics{
		finished: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "mailstream_alerting_records_finished_total",
			Help: "Event records read, by what became of them. Worry when unreadable grows.",
		}, []string{"outcome"}),
		skewed: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "mailstream_alerting_clock_skew_total",
			Help: "Events dated more than five minutes after they were recorded. Worry when it grows: a provider's clock is wrong.",
		}),
		rounds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "mailstream_alerting_round_duration_seconds",
			Help:    "How long it took to read all topics of a partition up to one moment.",
			Buckets: []float64{.005, .025, .1, .25, .5, 1, 2.5, 10, 60, 300},
		}),
		lanes: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "mailstream_alerting_lanes",
			Help: "Partition numbers this instance counts.",
		}),
		age: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "mailstream_alerting_round_age_seconds",
			Help: "Age of the oldest round under way. Page above 60: a topic cannot be read, and its alerts wait.",
		}),
		published: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "mailstream_alerting_rates_published_total",
			Help: "Records of partial counts written.",
		}),
		faults: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "mailstream_alerting_counter_errors_total",
			Help: "Requests to Kafka by the counter that went wrong and are repeated. Worry when it keeps growing.",
		}),
	}
	for _, o := range []string{
		outcomeCounted, outcomeDuplicate, outcomeLate, outcomeKeyless, outcomeReplayed, outcomeUnreadable, outcomeMarker,
	} {
		m.finished.WithLabelValues(o)
	}
	reg.MustRegister(m.finished, m.skewed, m.rounds, m.lanes, m.age, m.published, m.faults)
	return m
}
