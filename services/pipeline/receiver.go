package pipeline

import (
	"context"

	"go.uber.org/zap"

	"github.com/mailstream/mailstream/services/alerting"
)

// TryReceiver sends a test to one receiver of alerts.
func TryReceiver(ctx context.Context, cfg Config, name string, log *zap.Logger) (alerting.Trial, error) {
	return alerting.TryReceiver(ctx, cfg.Alerting, name, log)
}
