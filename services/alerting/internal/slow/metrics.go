package slow

import "github.com/prometheus/client_golang/prometheus"

type metrics struct {
	duration  prometheus.Histogram
	errors    prometheus.Counter
	overflow  prometheus.Counter
	corrected prometheus.Counter
	notJudged prometheus.Gauge
}

func newMetrics(reg prometheus.Registerer) *metrics {
	m := &metrics{
		duration: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "mailstream_alerting_sql_duration_seconds", Help: "How long it took to read one scope of rules from ClickHouse.",
			Buckets: []float64{.05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60},
		}),
		errors: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "mailstream_alerting_sql_errors_total",
			Help: "Readings of rules from ClickHouse that went wrong and are repeated. Worry when it keeps growing.",
		}),
		overflow: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "mailstream_alerting_sql_keys_left_out_total",
			Help: "Keys beyond the 10,000 worst of one reading, which were not judged. Worry when it grows.",
		}),
		corrected: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "mailstream_alerting_sql_corrected_total",
			Help: "Readings over a threshold that only events corrected by a replay put there, which alarm nobody. Look when it grows without a replay.",
		}),
		notJudged: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "mailstream_alerting_rules_not_judged",
			Help: "Rules by SQL that this instance owns and has not judged for 15 minutes; 0 while ClickHouse never answered and no rule of the configuration wants it. Page when it stays above 0.",
		}),
	}
	reg.MustRegister(m.duration, m.errors, m.overflow, m.corrected, m.notJudged)
	return m
}
