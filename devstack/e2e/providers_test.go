package e2e

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mailstream/mailstream/services/pipeline"
	"github.com/mailstream/mailstream/services/simulate"
)

// played is a provider's share of a run of all providers: what came of it in
// ClickHouse must be what was accepted.
func played(t *testing.T, w *world, provider string, scenario simulate.Scenario) simulate.Summary {
	t.Helper()
	cfg := simulate.Default()
	cfg.URL, cfg.Source, cfg.Provider, cfg.Scenario = w.stack.URL(pipeline.Ingress), provider, provider, scenario
	cfg.Rate, cfg.Duration, cfg.Group, cfg.Reorder, cfg.Duplicates = 600, 500*time.Millisecond, 10, true, 0.2
	cfg.Domain = strings.ReplaceAll(provider, "_", "-") + "-spike.example"
	for _, s := range w.stack.Config().Ingress.Sources {
		if s.Name == provider {
			cfg.Auth = pipeline.SimulatedAuth(s)
		}
	}
	summary, err := simulate.Run(t.Context(), cfg, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	return summary
}

func TestProviders_EachGetsIntoOneVocabulary(t *testing.T) {
	w := newWorld(t)
	for _, provider := range simulate.Providers() {
		summary := played(t, w, provider, simulate.Complaints)
		if summary.DeadLettered != 0 || summary.GivenUp != 0 || summary.Retries != 0 || summary.Accepted < 100 {
			t.Errorf("%s: %+v", provider, summary)
		}
	}
	var got []string
	w.eventually(func() bool {
		got = w.sql("SELECT DISTINCT provider FROM events ORDER BY provider")
		return slices.Equal(got, simulate.Providers())
	}, func() string { return fmt.Sprint(got) })
	for _, row := range w.sql("SELECT provider, groupUniqArray(type) FROM events GROUP BY provider FORMAT TSVRaw") {
		t.Log(row)
		if strings.Contains(row, "'other'") {
			t.Errorf("unknown events of %s", row)
		}
	}
}

func TestProviders_OnePersonWhicheverReports(t *testing.T) {
	w := newWorld(t)
	at := time.Now()
	mailjet := fmt.Sprintf(`{"event":"bounce","time":%d,"MessageID":%d,"email":"Gone@Example.com","hard_bounce":true,"error":"user unknown"}`, at.Unix(), messageID)
	w.post(http.StatusOK, mailjet)
	postmark := fmt.Sprintf(`{"RecordType":"Bounce","MessageStream":"outbound","ID":42,"Type":"HardBounce","TypeCode":1,"Email":"gone2@example.com","From":"a@example.net","BouncedAt":%q,"MessageID":"883953f4-6105-42a2-a16a-77a8eac79483","Inactive":true}`, at.UTC().Format(time.RFC3339))
	status, text := w.call(http.MethodPost, w.stack.URL(pipeline.Ingress)+"/v1/webhooks/postmark", postmark, func(r *http.Request) { r.SetBasicAuth("dev", "dev") })
	if status != http.StatusOK {
		t.Fatalf("postmark webhook answered %d %s", status, text)
	}
	var got map[string]suppressed
	w.eventually(func() bool { got = w.check("marketing", "gone@example.com", "GONE2@example.com"); return len(got) == 2 }, func() string { return fmt.Sprint(got) })
	for address, s := range got {
		if s.Reason != "hard_bounce" {
			t.Errorf("%s: %+v", address, s)
		}
	}
}

func TestProviders_OneRuleOverTwo(t *testing.T) {
	w := newWorld(t)
	for _, provider := range []string{"mailjet", "sendgrid"} {
		played(t, w, provider, simulate.BlockSpike)
		domain := provider + "-spike.example"
		w.eventually(func() bool { return w.told(domain) == 1 }, func() string { return "no message about " + domain })
	}
}
