package ingress

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/mailstream/mailstream/services/internal/platform/kafka/kafkatest"
)

// TestIngress_ThePublicPortNamesNoSource asks the port that providers reach for
// everything that is often beside an API.
func TestIngress_ThePublicPortNamesNoSource(t *testing.T) {
	t.Parallel()
	h := start(t, testConfig(), kafkatest.Start(t))
	wantStatus(t, h.post(bounceItem), http.StatusOK)
	for _, path := range []string{
		"/metrics", "/metrics/", "//metrics", "/./metrics", "/debug/pprof/", "/debug/vars", "/", "/v1", "/v1/webhooks", "/v1/webhooks/",
	} {
		for _, method := range []string{http.MethodGet, http.MethodPost} {
			got := h.do(call{method: method, path: path, noAuth: true})
			wantStatus(t, got, http.StatusNotFound)
			if strings.Contains(got.Body, testSource) {
				t.Errorf("%s %s names a source: %s", method, path, got.Body)
			}
		}
	}
	resp, err := http.Get("http://" + h.MetricsAddr() + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || !strings.Contains(string(body), `mailstream_ingress_items_received_total{source="`+testSource+`"} 1`) {
		t.Errorf("metrics are not at their listener: %d bytes, %v", len(body), err)
	}
	if got := h.do(call{method: http.MethodPost, path: "/" + Prefix + testSource, body: bounceItem}); got.Status != http.StatusNotFound {
		// A redirect is followed without the body, by a GET, and answered 200.
		t.Errorf("a mistyped URL is answered %d", got.Status)
	}
}
