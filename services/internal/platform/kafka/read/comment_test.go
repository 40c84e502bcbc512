package read

import (
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/mailstream/mailstream/services/internal/platform/kafka"
	"github.com/mailstream/mailstream/services/internal/platform/kafka/kafkatest"
)

func TestTailConfig_CommentsNameTheDefaults(t *testing.T) {
	t.Parallel()
	tail, err := NewTail(kafka.Default(), TailConfig{Topic: "t"}, zap.NewNop(), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	kafkatest.CommentsNameDefaults(t, "tail.go", tail.cfg, 4)
}
