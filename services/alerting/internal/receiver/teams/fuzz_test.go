package teams

import (
	"net/http"
	"testing"

	"github.com/mailstream/mailstream/services/alerting/internal/outbox"
	"github.com/mailstream/mailstream/services/alerting/internal/receiver/receivertest"
	"github.com/mailstream/mailstream/services/alerting/internal/wording"
	"github.com/mailstream/mailstream/services/internal/platform/config"
)

func FuzzAnswer(f *testing.F) {
	receivertest.Fuzz(f, nil, func(rt http.RoundTripper) outbox.Receiver {
		return New(Config{URL: config.Literal("https://teams.example/x")}, wording.Links{}, rt)
	}, `{"error":{"code":"WorkflowTriggerIsNotEnabled"}}`, `{"error":"x"}`, `{"error":{"code":1}}`, `null`)
}
