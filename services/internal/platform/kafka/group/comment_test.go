package group

import (
	"testing"

	"github.com/mailstream/mailstream/services/internal/platform/config/configtest"
)

func TestConfig_CommentsNameTheDefaults(t *testing.T) {
	t.Parallel()
	configtest.CommentsNameDefaults(t, "consumer.go", Config{}.withDefaults(), 11)
}
