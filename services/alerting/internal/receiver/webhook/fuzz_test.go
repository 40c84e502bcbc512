package webhook

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
		return New(Config{URL: config.Literal("https://hook.example/x"), Secret: config.Literal("whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz")}, wording.Links{}, rt)
	}, `{"ok":false}`)
}
