package pipeline

import (
	"context"

	"go.uber.org/zap"

	"github.com/mailstream/mailstream/services/alerting/playback"
	"github.com/mailstream/mailstream/services/internal/platform/clickhouse"
	"github.com/mailstream/mailstream/services/internal/platform/telemetry"
)

// Rules returns the rules of alerting as a back-test takes them, those among them that
// are built in.
func (c Config) Rules() playback.Rules { return playback.Of(c.Alerting.AllRules()) }

// WrittenRules returns those of them that are written down.
func (c Config) WrittenRules() playback.Rules { return playback.Of(c.Alerting.Rules) }

// PlayHistory runs rules over what ClickHouse has of the past.
func PlayHistory(ctx context.Context, cfg Config, rules playback.Rules, opt playback.Options, log *zap.Logger) (playback.Report, error) {
	client, err := clickhouse.Open(cfg.ClickHouse, log, telemetry.NewRegistry())
	if err != nil {
		return playback.Report{}, err
	}
	defer func() { _ = client.Close() }() // nothing was written
	return playback.Run(ctx, client, rules, opt)
}
