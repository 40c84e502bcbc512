package analytics

import (
	"errors"
	"fmt"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mailstream/mailstream/services/analytics/internal/store"
)

// outcome is how a record left the service.
type outcome string

// The outcomes: consumed = stored + deadLettered + ignored.
const (
	stored       outcome = "stored"
	deadLettered outcome = "dead_lettered"
	ignored      outcome = "ignored" // a deletion in a table that keeps history
)

type metrics struct {
	consumed prometheus.Counter
	finished *prometheus.CounterVec
	parked   *prometheus.CounterVec
	batch    prometheus.Histogram
	age      prometheus.Histogram
	seals    prometheus.Counter
	erasing  prometheus.Gauge
	stalled  prometheus.GaugeFunc
	stall    stall
}

func newMetrics(reg prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		consumed: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "mailstream_analytics_records_consumed_total",
			Help: "Records of finished batches. Equals the sum of mailstream_analytics_records_finished_total.",
		}),
		finished: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "mailstream_analytics_records_finished_total",
			Help: "Records that left the service, by outcome. Look when dead_lettered grows.",
		}, []string{"outcome"}),
		parked: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "mailstream_analytics_dead_letters_total",
			Help: "Dead letters written, by reason; a retried batch writes its dead letters once more.",
		}, []string{"reason"}),
		batch: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "mailstream_analytics_batch_rows",
			Help:    "Rows of stored batches. Worry when nearly all are at the limit: it lags.",
			Buckets: prometheus.ExponentialBuckets(1, 4, 10),
		}),
		age: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "mailstream_analytics_batch_age_seconds",
			Help:    "Age of the oldest record of a batch when it was stored. Page when it exceeds minutes.",
			Buckets: []float64{.05, .1, .25, .5, 1, 2, 5, 10, 30, 60, 300, 900, 3600},
		}),
		seals: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "mailstream_analytics_seals_total",
			Help: "Past hours whose counts were sealed (made final); an hour that gets a late event is sealed once more.",
		}),
	}
	m.erasing = prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "mailstream_analytics_erasures_open",
		Help: "Requests to forget people of which something may be left in ClickHouse. Worry when it is not 0 for a day.",
	})
	m.stalled = prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "mailstream_analytics_stalled_seconds",
		Help: "For how long every batch has failed or hung, 0 when none does: ClickHouse is away, frozen or its disk is full. /readyz says why. Page at minutes.",
	}, func() float64 { return m.stall.length().Seconds() })
	for _, o := range []outcome{stored, deadLettered, ignored} {
		m.finished.WithLabelValues(string(o))
	}
	for _, r := range store.Reasons() {
		m.parked.WithLabelValues(string(r))
	}
	var errs []error
	for _, c := range []prometheus.Collector{m.consumed, m.finished, m.parked, m.batch, m.age, m.seals, m.erasing, m.stalled} {
		errs = append(errs, reg.Register(c))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, fmt.Errorf("register analytics metrics: %w", err)
	}
	return m, nil
}
