package peer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// process is one of the ingress, up since start, which met a path at first.
type process struct {
	host                         string
	port, received, start, first int
}

// serve has p answer, and returns its port.
func (p process) serve(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", net.JoinHostPort(p.host, fmt.Sprint(p.port)))
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain")
		_, _ = io.WriteString(w, fmt.Sprintf(`# TYPE mailstream_ingress_items_received_total counter
mailstream_ingress_items_received_total{source="shop"} %d
mailstream_ingress_items_received_total{source="other"} 7
# TYPE mailstream_ingress_refusals_total counter
mailstream_ingress_refusals_total{source="shop",status="401",cause="password"} 2
# TYPE mailstream_ingress_drift_total counter
mailstream_ingress_drift_total{provider="mailjet",kind="unknown_field"} 5
# TYPE mailstream_ingress_drift_paths_total counter
mailstream_ingress_drift_paths_total{provider="mailjet",kind="unknown_field",path="data.new"} 3
# TYPE mailstream_ingress_drift_first_timestamp_seconds gauge
mailstream_ingress_drift_first_timestamp_seconds{provider="mailjet",kind="unknown_field",path="data.new"} %d
# TYPE process_start_time_seconds gauge
process_start_time_seconds %d
`, p.received, p.first, p.start)) // the client may have gone
	}))
	_ = s.Listener.Close() // of another address
	s.Listener = l
	s.Start()
	t.Cleanup(s.Close)
	return l.Addr().(*net.TCPAddr).Port
}

// Each pod of the ingress has its own numbers: the balance of a source is their sum, and
// where one is missing there is none.
func TestMetrics_AreTheSumOfAllProcesses(t *testing.T) {
	t.Parallel()
	port := process{host: "127.0.0.1", received: 10, start: 1000, first: 2000}.serve(t)
	process{"127.0.0.2", port, 5, 900, 1500}.serve(t)
	hosts := []string{"127.0.0.1", "127.0.0.2"}
	m := NewMetrics(fmt.Sprintf("dns+http://ingress-pods:%d/metrics", port))
	defer m.Close()
	m.addresses = func(_ context.Context, host string) ([]string, error) {
		if host != "ingress-pods" {
			return nil, errors.New("no such host")
		}
		return hosts, nil
	}
	got, err := m.Balances(t.Context(), map[string]string{"shop": "mailjet"})
	want := map[string]Balance{"shop": {
		Since: time.Unix(900, 0).UTC(), Processes: 2, Received: 15, Refusals: []Refusal{{401, "password", 4}},
		Drift: []Drift{{"unknown_field", "data.new", time.Unix(1500, 0).UTC(), 6}, {Kind: "unknown_field", Count: 4}},
	}}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("%v, %s", err, diff)
	}
	for _, bad := range [][]string{{"127.0.0.1", "127.0.0.3"}, {}, make([]string, processesMax+1)} {
		if hosts = bad; true {
			if _, err := m.Balances(t.Context(), map[string]string{"shop": "mailjet"}); !errors.Is(err, ErrAway) {
				t.Errorf("%d addresses, one without an answer: %v", len(bad), err)
			}
		}
	}
}

func FuzzMetrics(f *testing.F) {
	f.Add("mailstream_ingress_drift_paths_total{provider=\"p\",kind=\"k\",path=\"a\"} 1e300\n")
	f.Add("# TYPE process_start_time_seconds gauge\nprocess_start_time_seconds NaN\n")
	f.Fuzz(func(t *testing.T, text string) {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, text) }))
		defer s.Close()
		m := NewMetrics(s.URL)
		defer m.Close()
		if all, err := m.Balances(t.Context(), map[string]string{"s": "p"}); err == nil && len(all) != 1 {
			t.Errorf("%+v", all)
		}
	})
}

// TestBalance_KeepsTheFirstTimeThatIsKnown has one of two processes not know when a path was
// first seen, whichever is asked first, and what is new be first.
func TestBalance_KeepsTheFirstTimeThatIsKnown(t *testing.T) {
	t.Parallel()
	at := func(second int64) time.Time { return time.Unix(second, 0).UTC() }
	one := func() Balance {
		return Balance{Processes: 1, Drift: []Drift{{"unknown_field", "late", time.Time{}, 1}, {"unknown_field", "early", at(1000), 2}}}
	}
	other := func() Balance {
		return Balance{Processes: 1, Drift: []Drift{{"unknown_field", "late", at(3000), 4}, {"unknown_field", "early", time.Time{}, 8}, {"unknown_field", "newest", at(4000), 16}}}
	}
	want := Balance{Processes: 2, Drift: []Drift{{"unknown_field", "newest", at(4000), 16}, {"unknown_field", "late", at(3000), 5}, {"unknown_field", "early", at(1000), 10}}}
	for _, got := range []Balance{one().and(other()), other().and(one())} {
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	}
}
