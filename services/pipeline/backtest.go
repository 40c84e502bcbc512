package pipeline

import (
	"context"

	"go.uber.org/zap"

	"github.com/mailstream/mailstream/services/alerting/backtest"
	"github.com/mailstream/mailstream/services/internal/platform/clickhouse"
	"github.com/mailstream/mailstream/services/internal/platform/telemetry"
)

// Rules returns the rules of alerting as a back-test takes them.
func (c Config) Rules() backtest.Rules { return backtest.Of(c.Alerting.Rules) }

// PlayHistory runs rules over what ClickHouse has of the past.
func PlayHistory(ctx context.Context, cfg Config, rules backtest.Rules, opt backtest.Options, log *zap.Logger) (backtest.Report, error) {
	client, err := clickhouse.Open(cfg.ClickHouse, log, telemetry.NewRegistry())
	if err != nil {
		return backtest.Report{}, err
	}
	defer func() { _ = client.Close() }() // nothing was written
	return backtest.Run(ctx, client, rules, opt)
}
