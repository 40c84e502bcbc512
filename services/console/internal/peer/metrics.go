package peer

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"golang.org/x/sync/errgroup"

	"github.com/mailstream/mailstream/services/console/internal/twin"
)

// Metrics reads the numbers that only the ingress knows: what it refused and what it
// could not read is in no event.
type Metrics struct {
	url  string
	each bool // each address of the URL's name is a process of its own
	http *http.Client
	// addresses returns those of a name.
	addresses func(ctx context.Context, host string) ([]string, error)
}

// eachPrefix before a URL says that each address of its name is to be asked.
const eachPrefix = "dns+"

// processesMax bounds the processes of an ingress that are asked for one page.
const processesMax = 64

// NewMetrics returns a reader of a /metrics, such as http://ingress:9080/metrics, or of
// those of all addresses of a name, dns+http://ingress-pods:9080/metrics; "" knows nothing.
func NewMetrics(url string) *Metrics {
	plain, each := strings.CutPrefix(url, eachPrefix)
	return &Metrics{plain, each, &http.Client{Timeout: callTimeout, CheckRedirect: noRedirect}, net.DefaultResolver.LookupHost}
}

// CheckMetricsURL says what is wrong with a URL of NewMetrics.
func CheckMetricsURL(text string) error {
	u, err := url.Parse(strings.TrimPrefix(text, eachPrefix))
	if text != "" && (err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "") {
		return fmt.Errorf("%q is not an http or https URL, alone or behind %s", text, eachPrefix)
	}
	return nil
}

// Close ends idle connections.
func (m *Metrics) Close() { m.http.CloseIdleConnections() }

// Refusal is how many requests were refused for one cause.
type Refusal struct {
	Status int    `json:"status"`
	Cause  string `json:"cause"`
	Count  uint64 `json:"count"`
}

// Unproven says that credentials, a signature or its key were missing or wrong. The status
// does not: some providers are answered another one than 401, so that they send again.
func (r Refusal) Unproven() bool {
	return slices.Contains([]string{"missing_credentials", "wrong_credentials", "missing_signature", "malformed_signature", "wrong_signature", "unknown_key"}, r.Cause)
}

// Balance is what became of the items of one source since the ingress started.
type Balance struct {
	Since        time.Time          `json:"since,omitzero"` // the start of the ingress, of the oldest process
	Processes    int                `json:"processes"`      // whose numbers these are
	Received     uint64             `json:"received"`
	Published    uint64             `json:"published"`
	DeadLettered uint64             `json:"dead_lettered"`
	Rejected     uint64             `json:"rejected"`
	Refusals     twin.List[Refusal] `json:"refusals"`
	Drift        twin.List[Drift]   `json:"drift"`
}

// Open is how many items are still on their way; below zero is a fault of ours.
func (b Balance) Open() int64 {
	return int64(b.Received) - int64(b.Published) - int64(b.DeadLettered) - int64(b.Rejected)
}

// and adds up the balances of two processes.
func (b Balance) and(c Balance) Balance {
	if b.Since.IsZero() || !c.Since.IsZero() && c.Since.Before(b.Since) {
		b.Since = c.Since
	}
	b.Processes += c.Processes
	b.Received, b.Published, b.DeadLettered, b.Rejected = b.Received+c.Received, b.Published+c.Published, b.DeadLettered+c.DeadLettered, b.Rejected+c.Rejected
	for _, r := range c.Refusals {
		if i := slices.IndexFunc(b.Refusals, func(o Refusal) bool { return o.Status == r.Status && o.Cause == r.Cause }); i >= 0 {
			b.Refusals[i].Count += r.Count
		} else {
			b.Refusals = append(b.Refusals, r)
		}
	}
	for _, d := range c.Drift {
		i := slices.IndexFunc(b.Drift, func(o Drift) bool { return o.Kind == d.Kind && o.Path == d.Path })
		if i < 0 {
			b.Drift = append(b.Drift, d)
			continue
		}
		b.Drift[i].Count += d.Count
		if known := &b.Drift[i].First; known.IsZero() || !d.First.IsZero() && d.First.Before(*known) {
			*known = d.First
		}
	}
	sortDrift(b.Drift)
	return b
}

// sortDrift puts what is new first, and what has no path and time last.
func sortDrift(list []Drift) {
	slices.SortFunc(list, func(x, y Drift) int {
		return cmp.Or(y.First.Compare(x.First), cmp.Compare(x.Path, y.Path), cmp.Compare(x.Kind, y.Kind))
	})
}

// Drift is what a provider sent that is not known here.
type Drift struct {
	Kind string `json:"kind"`
	// Path is where it is in an item of the provider's, or the provider's word for an event; ""
	// for all that the ingress does not tell apart any more.
	Path  string    `json:"path,omitempty"`
	First time.Time `json:"first_seen,omitzero"` // by any ingress, one that is gone too
	Count uint64    `json:"count"`               // since Balance.Since
}

// Balances returns the balance of each of the sources, given with its provider.
func (m *Metrics) Balances(ctx context.Context, providers map[string]string) (map[string]Balance, error) {
	processes, err := m.readAll(ctx)
	if err != nil {
		return nil, err
	}
	all := make(map[string]Balance, len(providers))
	for source, provider := range providers {
		var sum Balance
		for _, families := range processes {
			sum = sum.and(balanceOf(families, source, provider))
		}
		all[source] = sum
	}
	return all, nil
}

// readAll reads each process. One that does not answer makes the sum unknown.
func (m *Metrics) readAll(ctx context.Context) ([]map[string]*dto.MetricFamily, error) {
	if !m.each {
		families, err := m.read(ctx, m.url)
		return []map[string]*dto.MetricFamily{families}, err
	}
	at, err := url.Parse(m.url)
	if err != nil {
		return nil, fmt.Errorf("read metrics of the ingress: %w", err)
	}
	hosts, err := m.addresses(ctx, at.Hostname())
	if err != nil || len(hosts) == 0 || len(hosts) > processesMax {
		return nil, fmt.Errorf("read metrics of the ingress: %d addresses of %s, want 1 to %d: %w", len(hosts), at.Hostname(), processesMax, ErrAway)
	}
	all := make([]map[string]*dto.MetricFamily, len(hosts))
	group, ctx := errgroup.WithContext(ctx)
	for i, host := range hosts {
		one := *at
		if one.Host = host; at.Port() != "" {
			one.Host = net.JoinHostPort(host, at.Port())
		}
		group.Go(func() (err error) { all[i], err = m.read(ctx, one.String()); return err })
	}
	return all, group.Wait()
}

func balanceOf(families map[string]*dto.MetricFamily, source, provider string) Balance {
	b := Balance{Processes: 1}
	of := func(name, label, value string, each func(labels map[string]string, n uint64)) {
		for _, metric := range families["mailstream_ingress_"+name].GetMetric() {
			labels := labelsOf(metric)
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
		status, _ := strconv.Atoi(l["status"]) // 0 of what is no number
		b.Refusals = append(b.Refusals, Refusal{status, l["cause"], n})
	})
	first := map[[2]string]time.Time{}
	for _, metric := range families["mailstream_ingress_drift_first_timestamp_seconds"].GetMetric() {
		if l := labelsOf(metric); l["provider"] == provider {
			first[[2]string{l["kind"], l["path"]}] = time.UnixMilli(int64(1000 * metric.GetGauge().GetValue())).UTC()
		}
	}
	byPath := map[string]uint64{}
	of("drift_paths_total", "provider", provider, func(l map[string]string, n uint64) {
		b.Drift = append(b.Drift, Drift{l["kind"], l["path"], first[[2]string{l["kind"], l["path"]}], n})
		byPath[l["kind"]] += n
	})
	of("drift_total", "provider", provider, func(l map[string]string, n uint64) {
		if n > byPath[l["kind"]] {
			b.Drift = append(b.Drift, Drift{Kind: l["kind"], Count: n - byPath[l["kind"]]})
		}
	})
	sortDrift(b.Drift)
	for _, metric := range families["process_start_time_seconds"].GetMetric() {
		b.Since = time.Unix(int64(metric.GetGauge().GetValue()), 0).UTC()
	}
	return b
}

func labelsOf(metric *dto.Metric) map[string]string {
	labels := map[string]string{}
	for _, pair := range metric.GetLabel() {
		labels[pair.GetName()] = pair.GetValue()
	}
	return labels
}

// Configured says whether there is a /metrics to read.
func (m *Metrics) Configured() bool { return m.url != "" }

func (m *Metrics) read(ctx context.Context, at string) (map[string]*dto.MetricFamily, error) {
	if at == "" {
		return nil, fmt.Errorf("read metrics of the ingress: %w", ErrAway)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, at, nil)
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
