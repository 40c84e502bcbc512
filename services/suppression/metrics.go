package suppression

import (
	"math"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mailstream/mailstream/services/suppression/internal/store"
)

// metrics show the store while it is open. How far it lags is in
// mailstream_kafka_tail_lag_seconds.
type metrics struct {
	store atomic.Pointer[store.Pebble]
}

func newMetrics(s *Service, reg prometheus.Registerer) *metrics {
	m := &metrics{}
	gauge := func(name, help string, value func(*store.Pebble) float64) {
		reg.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, func() float64 {
			if p := m.store.Load(); p != nil {
				return value(p)
			}
			return 0
		}))
	}
	gauge("mailstream_suppression_known_addresses", "Addresses the local store knows, lifted ones included.", func(p *store.Pebble) float64 { return float64(p.Len()) })
	gauge("mailstream_suppression_filter_bytes", "Memory of the filter in front of the local store.", func(p *store.Pebble) float64 { return float64(p.FilterBytes()) })
	gauge("mailstream_suppression_copy_bytes", "Size of the copy that checks of listed addresses read. 0 while there is none: below 100,000 addresses, and for seconds after a long list was read.", func(p *store.Pebble) float64 { return float64(p.CopyBytes()) })
	reg.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "mailstream_suppression_open",
		Help: "1 while checks are answered, 0 before the list has been read. Page when it stays 0.",
	}, func() float64 {
		if s.life.IsReady() {
			return 1
		}
		return 0
	}))
	reg.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "mailstream_suppression_state_free_bytes",
		Help: "Room on the file system of the local store. Below 128 MiB nothing is written and the list is not updated.",
	}, func() float64 {
		free, err := s.room.Bytes()
		if err != nil {
			return math.NaN()
		}
		return float64(free)
	}))
	return m
}
