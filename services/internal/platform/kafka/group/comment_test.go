package group

import (
	"testing"

	"github.com/mailstream/mailstream/services/internal/platform/kafka/kafkatest"
)

func TestConfig_CommentsNameTheDefaults(t *testing.T) {
	t.Parallel()
	kafkatest.CommentsNameDefaults(t, "consumer.go", Config{}.withDefaults(), 11)
}
