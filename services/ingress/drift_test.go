package ingress

import (
	"net/http"
	"testing"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/internal/platform/kafka/kafkatest"
	"github.com/mailstream/mailstream/services/servicetest"
)

func TestIngress_SaysAfterARestartSinceWhenAProviderDrifts(t *testing.T) {
	t.Parallel()
	kc := kafkatest.Start(t)
	const item = `{"event":"sent","time":1767225600,"MessageID":1,"email":"ana@example.com","brand_new":1,"customcampaign":{"a":1},"ana@example.com":1}`
	first := map[string]float64{}
	for range 2 {
		shared := testShared(t, kc)
		s, err := New(testConfig(), shared)
		if err != nil {
			t.Fatal(err)
		}
		running := servicetest.Start(t, s)
		h := &harness{Service: s, tb: t, kafkaCfg: kc, registry: shared.Registry, client: &http.Client{Timeout: servicetest.Patience}}
		wantStatus(t, h.post(item), http.StatusOK)
		records := func() (n int) { return len(kafkatest.ReadAll(t, kc, schemas.DriftTopic(kc.TopicPrefix))) }
		servicetest.Eventually(t, "each path has a record", func() bool { return records() == 3 })
		for _, path := range []string{"brand_new", "customcampaign", "(unprintable)"} {
			if n := h.metric("mailstream_ingress_drift_paths_total", "path", path); n != 1 {
				t.Errorf("%s is counted %v times", path, n)
			}
			since := func() float64 { return h.metric("mailstream_ingress_drift_first_timestamp_seconds", "path", path) }
			if first[path] == 0 {
				first[path] = since()
			}
			servicetest.Eventually(t, path+" is known since the first start", func() bool { return since() == first[path] })
		}
		if err := running.Stop(); err != nil {
			t.Fatal(err)
		}
		if n := records(); n != 3 {
			t.Errorf("%d records, want one a path", n)
		}
	}
}
