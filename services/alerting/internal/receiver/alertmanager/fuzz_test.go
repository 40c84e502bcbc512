package alertmanager

import (
	"net/http"
	"testing"

	"go.uber.org/zap"

	"github.com/mailstream/mailstream/services/alerting/internal/outbox"
	"github.com/mailstream/mailstream/services/alerting/internal/receiver/receivertest"
	"github.com/mailstream/mailstream/services/alerting/internal/wording"
)

func FuzzAnswer(f *testing.F) {
	receivertest.Fuzz(f, nil, func(rt http.RoundTripper) outbox.Receiver {
		return New(Config{URLs: []string{"http://am.example", "http://other.example"}}, wording.Links{}, rt, zap.NewNop())
	}, `"start time must be before end time"`, `{"code":601,"message":"x"}`)
}
