package evaluator

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/mailstream/mailstream/schemas"
)

type metrics struct {
	partitions  prometheus.Gauge
	series      prometheus.Gauge
	overflowed  prometheus.Gauge
	firing      prometheus.Gauge
	silenced    prometheus.Gauge
	stale       prometheus.Gauge
	evaluations prometheus.Counter
	transitions *prometheus.CounterVec
	explained   *prometheus.CounterVec
	conflicts   prometheus.Counter
	dropped     prometheus.Counter
	unreadable  prometheus.Counter
	faults      prometheus.Counter
}

func newMetrics(reg prometheus.Registerer) *metrics {
	gauge := func(name, help string) prometheus.Gauge {
		return prometheus.NewGauge(prometheus.GaugeOpts{Name: "mailstream_alerting_" + name, Help: help})
	}
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: "mailstream_alerting_" + name, Help: help})
	}
	m := &metrics{
		partitions: gauge("rate_partitions", "Partitions of the rates topic this instance judges."),
		series:     gauge("series", "Keys with mail in the window. Memory follows it: about 150 bytes each."),
		overflowed: gauge("series_overflowed", "Reports counted as __other__ because a source has too many keys. Worry when it is above 0."),
		firing:     gauge("alerts_firing", "Alerts under way that this instance judges."),
		silenced:   gauge("alerts_silenced", "Alerts under way, of those that this instance judges, whose messages a silence or a maintenance window hides."),
		stale:      gauge("stale_lanes", "Input partitions whose counts are older than 30 s. Page when it stays above 0: no alert is judged meanwhile."),
		evaluations: counter("evaluations_total",
			"Steps of a rule over a key with an alert or over its threshold."),
		transitions: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "mailstream_alerting_transitions_total",
			Help: "Incidents that began (firing) or ended (resolved).",
		}, []string{"state"}),
		explained: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "mailstream_alerting_carriers_asked_total",
			Help: "Questions to ClickHouse about who carries an incident judged from the stream: named, nobody, failed. Worry when failed keeps growing: messages come without it.",
		}, []string{"result"}),
		conflicts: counter("write_conflicts_total",
			"Alert records that lost to another instance's. A few around a rebalance are normal."),
		dropped:    counter("notifications_dropped_total", "Notifications not queued because the alert owes too many already."),
		unreadable: counter("rates_unreadable_total", "Records of rates that could not be read. Worry when it grows."),
		faults:     counter("evaluator_errors_total", "Requests to Kafka by the evaluator that went wrong and are repeated. Worry when it keeps growing."),
	}
	m.transitions.WithLabelValues(string(schemas.AlertFiring))
	m.transitions.WithLabelValues(string(schemas.AlertResolved))
	for _, result := range []string{"named", "nobody", "failed"} {
		m.explained.WithLabelValues(result)
	}
	reg.MustRegister(m.explained, m.partitions, m.series, m.overflowed, m.firing, m.silenced, m.stale, m.evaluations, m.transitions, m.conflicts, m.dropped, m.unreadable, m.faults)
	return m
}
