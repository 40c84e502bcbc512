package pagerduty

import (
	"net/http"
	"strings"
	"testing"

	"github.com/mailstream/mailstream/services/alerting/internal/outbox"
	"github.com/mailstream/mailstream/services/alerting/internal/receiver/receivertest"
	"github.com/mailstream/mailstream/services/alerting/internal/wording"
	"github.com/mailstream/mailstream/services/internal/platform/config"
)

func FuzzAnswer(f *testing.F) {
	receivertest.Fuzz(f, nil, func(rt http.RoundTripper) outbox.Receiver {
		return New(Config{RoutingKey: config.Literal(strings.Repeat("k", keyBytes))}, wording.Links{}, rt)
	}, `{"status":"success","dedup_key":"x"}`, `{"errors":["'routing_key' is invalid"]}`, `{"errors":[1]}`, `{"errors":null}`, `[]`)
}
