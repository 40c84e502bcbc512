package pipeline

import (
	"context"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/mailstream/mailstream/services/alerting/playback"
	"github.com/mailstream/mailstream/services/console"
	"github.com/mailstream/mailstream/services/internal/platform/config"
)

// consoleWorld is what the configuration says of the services that the console shows.
// It needs none of their secrets.
func (c Config) consoleWorld(log *zap.Logger) console.World {
	w := console.World{Webhooks: "http://" + c.Ingress.Listen}
	for _, s := range c.Ingress.Sources {
		w.Sources = append(w.Sources, console.Source{Name: s.Name, Provider: s.Provider})
	}
	for _, r := range c.Alerting.Rules {
		r = r.WithDefaults()
		judged := "from ClickHouse, every few minutes"
		switch {
		case !r.On():
			judged = "switched off"
		case r.FromStream():
			judged = "from the stream, every second"
		}
		w.Rules = append(w.Rules, console.Rule{
			Name: r.Name, Metric: r.Metric, Severity: string(r.Severity), By: strings.Join(r.By, ", "), Window: config.FormatDuration(r.Window),
			Threshold: r.Threshold, MinVolume: r.MinVolume, Judged: judged,
		})
	}
	w.Backtest = func(ctx context.Context, from, to time.Time) ([]console.Trial, error) {
		return c.trials(ctx, from, to, log)
	}
	return w
}

// trials plays history to the rules, as the console's user of ClickHouse.
func (c Config) trials(ctx context.Context, from, to time.Time, log *zap.Logger) (list []console.Trial, err error) {
	if user := c.Console.ClickHouse; user.Username != "" {
		c.ClickHouse.Username, c.ClickHouse.Password = user.Username, user.Password
	}
	report, err := PlayHistory(ctx, c, c.Rules(), playback.Options{From: from, To: to}, log)
	if err != nil {
		return nil, err
	}
	for _, r := range report.Rules {
		list = append(list, console.Trial{Rule: r.Rule, Incidents: r.Incidents, PagesPerWeek: r.PagesPerWeek, Fired: r.Fired, Both: r.Both, Missed: r.Missed, New: r.New})
	}
	return list, nil
}
