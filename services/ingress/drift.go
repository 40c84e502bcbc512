package ingress

import (
	"strings"
	"sync"
	"time"
	"unicode"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mailstream/mailstream/services/internal/platform/telemetry"
	"github.com/mailstream/mailstream/services/internal/provider"
)

const (
	// driftPathsMax bounds the paths of one provider that have series of their own: names
	// come from outside. What is beyond is counted by its kind alone.
	driftPathsMax = 64
	// driftPathBytesMax bounds one of them. The longest one of a documented field is SES's
	// subscription.newTopicPreferences.topicSubscriptionStatus[].subscriptionStatus.
	driftPathBytesMax = 128
)

// unprintable is shown for what does not look like a name.
const unprintable = "(unprintable)"

// drifted is what a provider sends that its package does not know.
type drifted struct {
	provider string
	kind     provider.Drift
	path     string // in the provider's JSON, or its word for an event; as received
}

// drifts counts by path.
type drifts struct {
	paths *prometheus.CounterVec
	first *prometheus.GaugeVec

	mu    sync.Mutex
	seen  map[drifted]prometheus.Counter // guarded by mu
	count map[string]int                 // paths by provider; guarded by mu
}

func newDrifts(m *metrics) *drifts {
	return &drifts{paths: m.driftPaths, first: m.driftFirst, seen: map[drifted]prometheus.Counter{}, count: map[string]int{}}
}

// note counts d and says whether it is new. Paths that are shown alike are counted together.
func (q *drifts) note(d drifted, at time.Time) (isNew bool) {
	d.path = harmless(d.path)
	q.mu.Lock()
	counter := q.seen[d]
	if counter == nil && q.count[d.provider] < driftPathsMax {
		isNew = true
		d.path = strings.Clone(d.path) // it would keep the request it is a part of
		labels := []string{d.provider, string(d.kind), d.path}
		counter = q.paths.WithLabelValues(labels...)
		q.first.WithLabelValues(labels...).Set(float64(at.UnixMilli()) / 1000)
		q.seen[d] = counter
		q.count[d.provider]++
	}
	q.mu.Unlock()
	if counter != nil {
		counter.Inc()
	}
	return isNew
}

// noteDrift counts what the provider's package does not know and logs each path once.
func (s *Service) noteDrift(x *exchange) {
	for _, d := range x.batch.Drifts() {
		s.countDrift(x, d.Kind, d.Name)
	}
}

func (s *Service) countDrift(x *exchange, kind provider.Drift, path string) {
	x.source.metrics.drift[kind].Inc()
	if s.drifts.note(drifted{x.source.providerName, kind, path}, time.Now()) {
		s.log.Info("provider drifted", telemetry.Provider(x.source.providerName), telemetry.Reason(string(kind)), telemetry.Name(harmless(path)))
	}
}

// harmless returns the name of an event or the path of a field when it looks like one, so
// that no address or text gets into the log or a metric by way of a key.
func harmless(path string) string {
	if path == "" || len(path) > driftPathBytesMax {
		return unprintable
	}
	for _, r := range path {
		if r > unicode.MaxASCII || !unicode.IsLetter(r) && !unicode.IsDigit(r) && r != '_' && r != '-' && r != '.' && r != '[' && r != ']' {
			return unprintable
		}
	}
	return path
}
