package ingress

import (
	"net/http"
	"testing"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/internal/deadletter"
	"github.com/mailstream/mailstream/services/internal/platform/kafka/kafkatest"
)

// A request decides nothing about what its events are taken for, but where the
// source lets it say that it is simulated.
func TestIngress_MarksOnlyWhatASourceAllows(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		allow bool
		says  string
		want  schemas.Origin
	}{
		{false, "", schemas.OriginLive},
		{false, "simulate", schemas.OriginLive},
		{true, "", schemas.OriginLive},
		{true, "simulate", schemas.OriginSimulate},
		{true, "replay", schemas.OriginLive},
		{true, "backfill", schemas.OriginLive},
	} {
		cfg := testConfig()
		cfg.Sources[0].AllowSimulate = tt.allow
		h := start(t, cfg, kafkatest.Start(t))
		got := h.do(call{body: "[" + bounceItem + ",17]", header: map[string]string{"Mailstream-Origin": tt.says, "origin": "replay", schemas.HeaderReplay: "x"}})
		wantStatus(t, got, http.StatusOK)
		records := append(h.records(schemas.Bounced), kafkatest.ReadAll(t, h.kafkaCfg, schemas.DeadLetterTopic(h.kafkaCfg.TopicPrefix))...)
		if len(records) != 2 {
			t.Fatalf("%d records, want an event and a dead letter", len(records))
		}
		for _, rec := range records {
			if origin := deadletter.OriginOf(rec); origin != tt.want {
				t.Errorf("allowed %v, says %q: origin %s in %s, want %s", tt.allow, tt.says, origin, rec.Topic, tt.want)
			}
			for _, hd := range rec.Headers {
				if hd.Key == schemas.HeaderReplay {
					t.Error("a request has made itself a replay")
				}
			}
		}
	}
}
