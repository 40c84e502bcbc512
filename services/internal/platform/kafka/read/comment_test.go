package read

import (
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/mailstream/mailstream/services/internal/platform/config/configtest"
	"github.com/mailstream/mailstream/services/internal/platform/kafka"
)

func TestTailConfig_CommentsNameTheDefaults(t *testing.T) {
	t.Parallel()
	tail, err := NewTail(kafka.Default(), TailConfig{Topic: "t"}, zap.NewNop(), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	configtest.CommentsNameDefaults(t, "tail.go", tail.cfg, 4)
}
