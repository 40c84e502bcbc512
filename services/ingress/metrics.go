package ingress

import (
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/internal/provider"
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
	refusals     *prometheus.CounterVec
	drift        *prometheus.CounterVec
	driftPaths   *prometheus.CounterVec
	driftFirst   *prometheus.GaugeVec
	driftSkipped prometheus.Counter
	lastEvent    *prometheus.GaugeVec
	seconds      prometheus.Histogram
}

// newMetrics registers everything but what the room holds.
func newMetrics(reg prometheus.Registerer) (*metrics, error) {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: "mailstream_ingress_" + name, Help: help}, labels)
	}
	m := &metrics{
		requests: counter("requests_total",
			"Requests by outcome; the source is empty when it is unknown. Page when unpublished grows.", "source", "outcome"),
		refusals: counter("refusals_total",
			"Requests that were refused, by what the sender was answered and why; the source is empty when it is unknown. Look at the cause when a source is refused.",
			"source", "status", "cause"),
		received: counter("items_received_total",
			"Items found in requests. Equals published, dead-lettered and rejected ones together.", "source"),
		published: counter("events_published_total",
			"Events acknowledged by Kafka and answered for.", "source", "type"),
		deadLettered: counter("items_dead_lettered_total",
			"Items that could not be events, kept in the dead-letter topic. Worry when it grows.", "source", "reason"),
		rejected: counter("items_rejected_total",
			"Items whose request was refused after they were read; the provider resends them. Page when it grows.", "source"),
		drift: counter("drift_total",
			"Fields, events or times a provider package does not know. Worry when it starts to grow.", "provider", "kind"),
		driftPaths: counter("drift_paths_total",
			"Fields and events a provider package does not know, by their path in the provider's JSON; 64 paths a provider. Look here when drift_total grows.", "provider", "kind", "path"),
		driftFirst: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "mailstream_ingress_drift_first_timestamp_seconds",
			Help: "When any ingress first met the path, Unix time; when this process did, while the topic of drift is not read. Look here when drift_total grows.",
		}, []string{"provider", "kind", "path"}),
		driftSkipped: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "mailstream_ingress_drift_records_skipped_total",
			Help: "Records of the topic of drift that are not as an ingress writes them, or beyond 256 paths of a provider. Worry when it grows while no ingress starts.",
		}),
		lastEvent: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "mailstream_ingress_last_event_timestamp_seconds",
			Help: "When an event of the type was last taken, Unix time; absent until then. Worry when a source that is never silent is.",
		}, []string{"source", "type"}),
		seconds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "mailstream_ingress_request_duration_seconds",
			Help:    "Time from the first byte of the handler to its answer. Worry when p99 nears the provider's timeout.",
			Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
		}),
	}
	for _, c := range []prometheus.Collector{
		m.requests, m.refusals, m.received, m.published, m.deadLettered, m.rejected, m.drift, m.driftPaths, m.driftFirst, m.driftSkipped, m.lastEvent, m.seconds,
	} {
		if err := reg.Register(c); err != nil {
			return nil, err
		}
	}
	for _, o := range []outcome{unknownSource, wrongMethod, overloaded, notReady} {
		m.requests.WithLabelValues("", string(o))
	}
	for _, c := range causesOf(unknownSource) {
		m.refusals.WithLabelValues("", strconv.Itoa(http.StatusNotFound), string(c))
	}
	return m, nil
}

// sourceMetrics are the series of one source, looked up once.
type sourceMetrics struct {
	requests     map[outcome]prometheus.Counter
	taken        prometheus.Counter // requests[taken]
	received     prometheus.Counter
	published    map[schemas.Type]prometheus.Counter
	lastEvent    map[schemas.Type]*stamp
	deadLettered map[provider.Fault]prometheus.Counter
	rejected     prometheus.Counter
	drift        map[provider.Drift]prometheus.Counter
}

// of makes the series of a source. A counter that begins above 0 hides its first
// step from increase(), so all there may be begin at 0.
func (m *metrics) of(source string, p provider.Provider) *sourceMetrics {
	s := &sourceMetrics{
		requests:     map[outcome]prometheus.Counter{},
		received:     m.received.WithLabelValues(source),
		published:    map[schemas.Type]prometheus.Counter{},
		lastEvent:    map[schemas.Type]*stamp{},
		deadLettered: map[provider.Fault]prometheus.Counter{},
		rejected:     m.rejected.WithLabelValues(source),
		drift:        map[provider.Drift]prometheus.Counter{},
	}
	for _, o := range outcomes() {
		s.requests[o] = m.requests.WithLabelValues(source, string(o))
		for _, c := range causesOf(o) {
			m.refusals.WithLabelValues(source, strconv.Itoa(statusOf(o, p.Answers())), string(c))
		}
	}
	s.taken = s.requests[taken]
	for _, t := range schemas.Types() {
		m.addType(s, source, t)
	}
	for _, f := range provider.Faults() {
		s.deadLettered[f] = m.deadLettered.WithLabelValues(source, string(f))
	}
	for _, d := range provider.Drifts() {
		s.drift[d] = m.drift.WithLabelValues(p.Name(), string(d))
	}
	return s
}

// addType makes the series of a type of events.
func (m *metrics) addType(s *sourceMetrics, source string, t schemas.Type) {
	s.published[t] = m.published.WithLabelValues(source, string(t))
	s.lastEvent[t] = &stamp{make: func() prometheus.Gauge { return m.lastEvent.WithLabelValues(source, string(t)) }}
}

// stamp is a gauge of a time that is not there before the first: 0 would be 1970.
type stamp struct {
	make  func() prometheus.Gauge
	once  sync.Once
	gauge prometheus.Gauge // set by once
}

func (s *stamp) set(t time.Time) {
	s.once.Do(func() { s.gauge = s.make() })
	s.gauge.Set(float64(t.UnixMilli()) / 1000)
}
