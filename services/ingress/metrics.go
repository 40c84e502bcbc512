package ingress

import (
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/ingress/internal/provider"
)

// outcome is how a request ended: a metric label.
type outcome string

// The outcomes.
const (
	taken           outcome = "ok"
	probed          outcome = "probe"           // GET, HEAD, or a handshake: 200 and no events
	unknownSource   outcome = "unknown_source"  // 404
	wrongMethod     outcome = "wrong_method"    // 405
	unauthenticated outcome = "unauthenticated" // 401
	unproven        outcome = "unproven"        // 503: a key could not be fetched
	malformed       outcome = "malformed"       // 400
	unsupported     outcome = "unsupported"     // 415
	tooLarge        outcome = "too_large"       // 413
	slow            outcome = "slow"            // 408
	overloaded      outcome = "overloaded"      // 503: a limit of ours
	notReady        outcome = "not_ready"       // 503: starting
	unpublished     outcome = "unpublished"     // 503: Kafka did not acknowledge
)

func outcomes() []outcome {
	return []outcome{
		taken, probed, unknownSource, wrongMethod, unauthenticated, unproven, malformed,
		unsupported, tooLarge, slow, overloaded, notReady, unpublished,
	}
}

// metrics are the numbers of one service. For every source, once it is quiet:
// received = published + dead_lettered + rejected.
type metrics struct {
	requests     *prometheus.CounterVec
	received     *prometheus.CounterVec
	published    *prometheus.CounterVec
	deadLettered *prometheus.CounterVec
	rejected     *prometheus.CounterVec
	drift        *prometheus.CounterVec
	seconds      prometheus.Histogram
}

// newMetrics registers everything; s is asked for its gauges at each scrape.
func newMetrics(reg prometheus.Registerer, s *Service) (*metrics, error) {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: "mailstream_ingress_" + name, Help: help}, labels)
	}
	gauge := func(name, help string, of *atomic.Int64) prometheus.Collector {
		opts := prometheus.GaugeOpts{Name: "mailstream_ingress_" + name, Help: help}
		return prometheus.NewGaugeFunc(opts, func() float64 { return float64(of.Load()) })
	}
	m := &metrics{
		requests: counter("requests_total",
			"Requests by outcome; the source is empty when it is unknown. Page when unpublished grows.", "source", "outcome"),
		received: counter("items_received_total",
			"Items found in requests. Equals published, dead-lettered and rejected ones together.", "source"),
		published: counter("events_published_total",
			"Events acknowledged by Kafka and answered for.", "source", "type"),
		deadLettered: counter("items_dead_lettered_total",
			"Items that could not be events, kept in the dead-letter topic. Worry when it grows.", "source", "reason"),
		rejected: counter("items_rejected_total",
			"Items whose request was refused after they were read; the provider sends them again. Page when it grows.", "source"),
		drift: counter("drift_total",
			"Fields, events or times a provider package does not know. Worry when it starts to grow.", "provider", "kind"),
		seconds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "mailstream_ingress_request_duration_seconds",
			Help:    "Time from the first byte of the handler to its answer. Worry when p99 nears the provider's timeout.",
			Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
		}),
	}
	for _, c := range []prometheus.Collector{
		m.requests, m.received, m.published, m.deadLettered, m.rejected, m.drift, m.seconds,
		gauge("requests_in_flight", "Requests being worked on.", &s.requests),
		gauge("body_bytes_in_flight", "Bytes of their bodies. Worry when it nears the limit.", &s.bytes),
	} {
		if err := reg.Register(c); err != nil {
			return nil, err
		}
	}
	for _, o := range []outcome{unknownSource, wrongMethod, overloaded, notReady} {
		m.requests.WithLabelValues("", string(o))
	}
	return m, nil
}

// sourceMetrics are the series of one source, looked up once.
type sourceMetrics struct {
	requests     map[outcome]prometheus.Counter
	taken        prometheus.Counter // requests[taken]
	received     prometheus.Counter
	published    map[schemas.Type]prometheus.Counter
	deadLettered map[provider.Fault]prometheus.Counter
	rejected     prometheus.Counter
	drift        map[provider.Drift]prometheus.Counter
}

func (m *metrics) of(source, providerName string) *sourceMetrics {
	s := &sourceMetrics{
		requests:     map[outcome]prometheus.Counter{},
		received:     m.received.WithLabelValues(source),
		published:    map[schemas.Type]prometheus.Counter{},
		deadLettered: map[provider.Fault]prometheus.Counter{},
		rejected:     m.rejected.WithLabelValues(source),
		drift:        map[provider.Drift]prometheus.Counter{},
	}
	for _, o := range outcomes() {
		s.requests[o] = m.requests.WithLabelValues(source, string(o))
	}
	s.taken = s.requests[taken]
	for _, t := range schemas.Types() {
		s.published[t] = m.published.WithLabelValues(source, string(t))
	}
	for _, f := range provider.Faults() {
		s.deadLettered[f] = m.deadLettered.WithLabelValues(source, string(f))
	}
	for _, d := range provider.Drifts() {
		s.drift[d] = m.drift.WithLabelValues(providerName, string(d))
	}
	return s
}
