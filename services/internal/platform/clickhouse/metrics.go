package clickhouse

import (
	"errors"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	rows          prometheus.Counter
	bytes         prometheus.Counter
	insertsFailed prometheus.Counter
	duration      prometheus.Histogram
}

func newMetrics(reg prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		rows: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "mailstream_clickhouse_rows_inserted_total",
			Help: "Rows the server has stored, repeats included.",
		}),
		bytes: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "mailstream_clickhouse_insert_bytes_total",
			Help: "Compressed bytes of stored inserts.",
		}),
		insertsFailed: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "mailstream_clickhouse_inserts_failed_total",
			Help: "Inserts that ended in an error and are retried. Look when it grows for minutes.",
		}),
		duration: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "mailstream_clickhouse_insert_duration_seconds",
			Help:    "Time to encode, send and store one block. Look when the upper end nears the flush interval.",
			Buckets: prometheus.ExponentialBuckets(0.001, 2, 16),
		}),
	}
	var errs []error
	for _, c := range []prometheus.Collector{m.rows, m.bytes, m.insertsFailed, m.duration} {
		errs = append(errs, reg.Register(c))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, fmt.Errorf("register clickhouse metrics: %w", err)
	}
	return m, nil
}

func (m *metrics) stored(rows, bytes int, took time.Duration) {
	m.rows.Add(float64(rows))
	m.bytes.Add(float64(bytes))
	m.duration.Observe(took.Seconds())
}
