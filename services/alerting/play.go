package alerting

import (
	"context"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/mailstream/mailstream/schemas"
	"github.com/mailstream/mailstream/services/alerting/internal/slow"
	"github.com/mailstream/mailstream/services/internal/platform/clickhouse"
	"github.com/mailstream/mailstream/services/internal/provider/registry"
)

// Play is a stretch of history to be judged by the rules by SQL.
type Play struct {
	From, To time.Time
	// Step is the time between two readings of every rule.
	Step time.Duration
	// Read, when not nil, is called after every round with the time it took.
	Read func(at time.Time, took time.Duration)
}

// PlaySQL returns the incidents that the rules by SQL of cfg would have had in p, in
// order of their beginning; what is stored of that time is what they see. It writes
// nothing and notifies no one.
func PlaySQL(ctx context.Context, cfg Config, store clickhouse.Config, p Play, log *zap.Logger) ([]schemas.Alert, error) {
	client, err := clickhouse.Open(store, log, prometheus.NewRegistry())
	if err != nil {
		return nil, err
	}
	defer client.Close()
	rules, _ := cfg.sqlRules()
	g := slow.NewGame(rules)
	engine := slow.New(slow.Options{
		Rules: rules, Pace: cfg.SQL.Interval, RowsMax: cfg.SQL.RowsMax, Literal: registry.Literal(), Active: g.Active,
	}, client, log, prometheus.NewRegistry())
	for at := p.From; !at.After(p.To); at = at.Add(p.Step) {
		began := time.Now()
		rounds, err := engine.ReadAll(ctx, at)
		if err != nil {
			return nil, fmt.Errorf("read rules at %s: %w", at.UTC().Format(time.RFC3339), err)
		}
		for _, round := range rounds {
			g.Take(round, at)
		}
		if p.Read != nil {
			p.Read(at, time.Since(began))
		}
	}
	return g.Incidents(), nil
}
