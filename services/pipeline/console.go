package pipeline

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/mailstream/mailstream/services/alerting"
	"github.com/mailstream/mailstream/services/alerting/playback"
	"github.com/mailstream/mailstream/services/console"
	"github.com/mailstream/mailstream/services/internal/platform/clickhouse"
	"github.com/mailstream/mailstream/services/internal/platform/config"
	"github.com/mailstream/mailstream/services/internal/provider/registry"
)

// consoleWorld is what the configuration says of the services that the console shows.
// It needs none of their secrets.
func (c Config) consoleWorld(log *zap.Logger) console.World {
	w := console.World{Webhooks: "http://" + c.Ingress.Listen, Literal: slices.Sorted(maps.Keys(registry.Literal())), Advice: alerting.Advice}
	for _, s := range c.Ingress.Sources {
		w.Sources = append(w.Sources, console.Source{Name: s.Name, Provider: s.Provider})
	}
	for _, r := range c.Alerting.AllRules() {
		r = r.WithDefaults()
		judged := console.JudgedSQL
		switch {
		case !r.On():
			judged = console.JudgedOff
		case r.FromStream():
			judged = console.JudgedStream
		}
		w.Rules = append(w.Rules, console.Rule{
			Name: r.Name, Metric: r.Metric, Severity: string(r.Severity), By: r.By, Window: config.FormatDuration(r.Window),
			Threshold: r.Threshold, MinVolume: r.MinVolume, Counts: r.Match.Words(), Judged: judged,
			Match: console.Match{Cause: r.Match.Cause, Reason: r.Match.Reason, Type: r.Match.Type, Stream: r.Match.Stream},
		})
	}
	w.Backtest = func(ctx context.Context, from, to time.Time) ([]console.Trial, error) {
		return c.trials(ctx, from, to, log)
	}
	return w
}

// What a back-test of the console may take: it runs within the memory of the console,
// 256 MiB in the deployments here, beside ClickHouse's other work.
const (
	trialKeysMax      = 50_000      // domains and mailbox providers, 75 MB with an hour of minutes
	trialRowsMax      = 20_000_000  // counts by minute, a minute of reading
	trialIncidentsMax = 20_000      // 20 MB
	trialReadMax      = 500_000_000 // rows that one query reads
	trialMemoryMax    = 2 << 30     // bytes of one query in ClickHouse
)

// trials plays history to the rules, as the console's user of ClickHouse, within limits.
func (c Config) trials(ctx context.Context, from, to time.Time, log *zap.Logger) (list []console.Trial, err error) {
	if user := c.Console.ClickHouse; user.Username != "" {
		c.ClickHouse.Username, c.ClickHouse.Password = user.Username, user.Password
	}
	queries := clickhouse.Limits{Time: time.Minute, RowsRead: trialReadMax, Memory: trialMemoryMax, ReadOnlyUser: c.Console.ClickHouse.Username != ""}
	report, err := PlayHistory(queries.Around(ctx), c, c.Rules(), playback.Options{
		From: from, To: to, Limits: playback.Limits{Keys: trialKeysMax, Rows: trialRowsMax, Incidents: trialIncidentsMax},
	}, log)
	if limit, ok := errors.AsType[*playback.LimitError](err); ok {
		return nil, &console.LimitError{Why: limit.Error()}
	}
	if errors.Is(err, clickhouse.ErrLimit) || errors.Is(err, clickhouse.ErrTooLarge) {
		return nil, &console.LimitError{Why: fmt.Sprintf("a query would read more than %d rows, or take more than %d MiB of ClickHouse's memory, which are the limits here", trialReadMax, trialMemoryMax>>20)}
	}
	if err != nil {
		return nil, err
	}
	for _, r := range report.Rules {
		list = append(list, console.Trial{Rule: r.Rule, Incidents: r.Incidents, PagesPerWeek: r.PagesPerWeek, Fired: r.Fired, Both: r.Both, Missed: r.Missed, New: r.New})
	}
	return list, nil
}
