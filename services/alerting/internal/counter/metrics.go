package counter

import "github.com/prometheus/client_golang/prometheus"

// outcome is what became of a record. Every record read has exactly one.
type outcome uint8

// The outcomes, in the order of outcomes.
const (
	counted    outcome = iota
	duplicate          // the same event was counted before
	late               // older than the window
	keyless            // neither domain nor provider
	replayed           // published again from history
	unreadable         // no event; analytics parks it as a dead letter
	marker             // of a transaction
)

// outcomes are the values of the label `outcome`.
func outcomes() []string {
	return []string{"counted", "duplicate", "late", "keyless", "replayed", "unreadable", "marker"}
}

type metrics struct {
	finished  []prometheus.Counter // by outcome
	skewed    prometheus.Counter
	rounds    prometheus.Histogram
	sets      prometheus.Gauge
	age       prometheus.Gauge
	published prometheus.Counter
	faults    prometheus.Counter
}

func newMetrics(reg prometheus.Registerer) *metrics {
	finished := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "mailstream_alerting_records_finished_total",
		Help: "Event records read, by what became of them. Worry when unreadable grows.",
	}, []string{"outcome"})
	m := &metrics{
		skewed: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "mailstream_alerting_clock_skew_total",
			Help: "Events dated more than five minutes after they were recorded. Worry when it grows: a provider's clock is wrong.",
		}),
		rounds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "mailstream_alerting_round_duration_seconds",
			Help:    "How long it took to read all topics of a partition up to one moment.",
			Buckets: []float64{.005, .025, .1, .25, .5, 1, 2.5, 10, 60, 300},
		}),
		sets: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "mailstream_alerting_lanes",
			Help: "Partition numbers this instance counts.",
		}),
		age: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "mailstream_alerting_round_age_seconds",
			Help: "How long ago the oldest round of a partition began. Page above 60: a topic cannot be read, and its alerts wait.",
		}),
		published: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "mailstream_alerting_rates_published_total",
			Help: "Records of partial counts written.",
		}),
		faults: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "mailstream_alerting_counting_errors_total",
			Help: "Requests to Kafka by the counter that went wrong and are repeated. Worry when it keeps growing.",
		}),
	}
	for _, o := range outcomes() {
		m.finished = append(m.finished, finished.WithLabelValues(o))
	}
	reg.MustRegister(finished, m.skewed, m.rounds, m.sets, m.age, m.published, m.faults)
	return m
}
