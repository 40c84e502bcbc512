package slack

import (
	"net/http"
	"testing"

	"github.com/mailstream/mailstream/services/alerting/internal/outbox"
	"github.com/mailstream/mailstream/services/alerting/internal/receiver/receivertest"
	"github.com/mailstream/mailstream/services/alerting/internal/wording"
	"github.com/mailstream/mailstream/services/internal/platform/config"
)

// passing are the words by which Slack says that a fault passes, whatever the status.
var passing = []string{
	"rate_limited", "ratelimited", "message_limit_exceeded", "rollup_error", "internal_error", "fatal_error", "service_unavailable", "request_timeout",
}

func FuzzWebhookAnswer(f *testing.F) {
	receivertest.Fuzz(f, passing, func(rt http.RoundTripper) outbox.Receiver {
		return New(Webhook{WebhookURL: config.Literal("https://hooks.example/x")}, wording.Links{}, rt)
	}, "ok", "no_service", "invalid_payload", "rate_limited", `{"ok":false,"error":"ratelimited","retry_after":1e308}`, `{"ok":false}`, `{"ok":1}`, `{"error":"x\ny"}`)
}

func FuzzBotAnswer(f *testing.F) {
	receivertest.Fuzz(f, passing, func(rt http.RoundTripper) outbox.Receiver {
		return NewBot(BotConfig{Token: config.Literal("xoxb-1"), Channel: "C1"}, wording.Links{}, rt)
	}, `{"ok":true,"channel":"C1","ts":"1503435956.000247"}`, `{"ok":true,"channel":"C1:2","ts":"1"}`, `{"ok":true,"channel":"a\nb","ts":"1"}`, `{"ok":true,"ts":""}`,
		`{"ok":true,"channel":"CCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCC","ts":"1"}`,
		`{"ok":false,"error":"not_in_channel"}`, `{"ok":"yes"}`)
}
