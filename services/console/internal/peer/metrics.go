package peer

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// Metrics reads the numbers that only the ingress knows: what it refused and what it
// could not read is in no event.
type Metrics struct {
	url  string
	http *http.Client
}

// NewMetrics returns a reader of a /metrics; "" knows nothing.
func NewMetrics(url string) *Metrics {
	return &Metrics{url, &http.Client{Timeout: callTimeout, CheckRedirect: noRedirect}}
}

// Close ends idle connections.
func (m *Metrics) Close() { m.http.CloseIdleConnections() }

// Refusal is how many requests were refused for one cause.
type Refusal struct {
	Status string `json:"status"`
	Cause  string `json:"cause"`
	Count  uint64 `json:"count"`
}

// Balance is what became of the items of one source since the ingress started.
type Balance struct {
	Since        time.Time `json:"since,omitzero"` // the start of the ingress
	Received     uint64    `json:"received"`
	Published    uint64    `json:"published"`
	DeadLettered uint64    `json:"dead_lettered"`
	Rejected     uint64    `json:"rejected"`
	Refusals     []Refusal `json:"refusals,omitempty"`
	Drift        []Drift   `json:"drift,omitempty"`
}

// Open is how many items are still on their way; below zero is a fault of ours.
func (b Balance) Open() int64 {
	return int64(b.Received) - int64(b.Published) - int64(b.DeadLettered) - int64(b.Rejected)
}

// Drift is what a provider sent that is not known here.
type Drift struct {
	Kind  string `json:"kind"`
	Count uint64 `json:"count"`
}

// Balances returns the balance of each of the sources, given with its provider.
func (m *Metrics) Balances(ctx context.Context, providers map[string]string) (map[string]Balance, error) {
	families, err := m.read(ctx)
	if err != nil {
		return nil, err
	}
	all := make(map[string]Balance, len(providers))
	for source, provider := range providers {
		all[source] = balanceOf(families, source, provider)
	}
	return all, nil
}

func balanceOf(families map[string]*dto.MetricFamily, source, provider string) Balance {
	var b Balance
	of := func(name, label, value string, each func(labels map[string]string, n uint64)) {
		for _, metric := range families["mailstream_ingress_"+name].GetMetric() {
			labels := map[string]string{}
			for _, pair := range metric.GetLabel() {
				labels[pair.GetName()] = pair.GetValue()
			}
			if labels[label] == value && metric.GetCounter().GetValue() > 0 {
				each(labels, uint64(metric.GetCounter().GetValue()))
			}
		}
	}
	sum := func(to *uint64) func(map[string]string, uint64) {
		return func(_ map[string]string, n uint64) { *to += n }
	}
	of("items_received_total", "source", source, sum(&b.Received))
	of("events_published_total", "source", source, sum(&b.Published))
	of("items_dead_lettered_total", "source", source, sum(&b.DeadLettered))
	of("items_rejected_total", "source", source, sum(&b.Rejected))
	of("refusals_total", "source", source, func(l map[string]string, n uint64) {
		b.Refusals = append(b.Refusals, Refusal{l["status"], l["cause"], n})
	})
	of("drift_total", "provider", provider, func(l map[string]string, n uint64) { b.Drift = append(b.Drift, Drift{l["kind"], n}) })
	for _, metric := range families["process_start_time_seconds"].GetMetric() {
		b.Since = time.Unix(int64(metric.GetGauge().GetValue()), 0).UTC()
	}
	return b
}

// Configured says whether there is a /metrics to read.
func (m *Metrics) Configured() bool { return m.url != "" }

func (m *Metrics) read(ctx context.Context) (map[string]*dto.MetricFamily, error) {
	if m.url == "" {
		return nil, fmt.Errorf("read metrics of the ingress: %w", ErrAway)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, m.url, nil)
	if err != nil {
		return nil, fmt.Errorf("read metrics of the ingress: %w", err)
	}
	req.Header.Set("Accept", "text/plain")
	resp, err := m.http.Do(req)
	if err != nil {
		return nil, fmt.Errorf("read metrics of the ingress: %w", ErrAway)
	}
	defer func() { _ = resp.Body.Close() }() // it was read
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("read metrics of the ingress: %w", ErrAway)
	}
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(io.LimitReader(resp.Body, answerBytesMax))
	if err != nil {
		return nil, fmt.Errorf("read metrics of the ingress: %w", err)
	}
	return families, nil
}
