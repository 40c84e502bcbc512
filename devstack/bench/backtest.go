package bench

import (
	"context"
	"fmt"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/mailstream/mailstream/services/alerting/playback"
	"github.com/mailstream/mailstream/services/pipeline"
)

const (
	// backtestDays and backtestRules are those of the budget.
	backtestDays  = 30
	backtestRules = 50
	// backtestDayEvents make 3 million messages in 30 days.
	backtestDayEvents = 100_000
	// clickHouseTime is how SQL text names a moment.
	clickHouseTime = "2006-01-02 15:04:05"
)

// BacktestReport is the medians over the rounds.
type BacktestReport struct {
	Messages  int64
	Incidents int           // of all rules together
	Took      time.Duration // to play the history to all rules
	Reference time.Duration // to read the same counts and throw them away
}

// Backtest plays 30 days of mail to 50 variants of the built-in rule, beside a
// query that only reads the same counts. The calling program must be able to be
// the engine's child.
func Backtest(ctx context.Context, opt Options) (BacktestReport, error) {
	opt = opt.withDefaults()
	d, stop, err := newDrain(ctx, opt)
	if err != nil {
		return BacktestReport{}, err
	}
	defer stop()
	const database = "history"
	cfg, err := d.config(database)
	if err != nil {
		return BacktestReport{}, err
	}
	if err := pipeline.MigrateTables(ctx, cfg, zap.NewNop()); err != nil {
		return BacktestReport{}, err
	}
	to := time.Now().UTC().Truncate(24 * time.Hour)
	from := to.AddDate(0, 0, -backtestDays)
	for day := range backtestDays {
		if _, err := d.ask(ctx, database, "history", "{{day}}", fmt.Sprint(day), "{{from}}", from.AddDate(0, 0, day).Format(clickHouseTime),
			"{{events}}", fmt.Sprint(backtestDayEvents)); err != nil {
			return BacktestReport{}, err
		}
	}
	rules, err := playback.ReadRules("the benchmark's rules", []byte("rules: [{name: block_spike, min_volume: 5, resolve_below: 0.2}]"))
	if err == nil {
		rules, err = rules.Sweep(fmt.Sprintf("threshold=0.25:%.2f:0.01", 0.25+0.01*(backtestRules-1)))
	}
	if err != nil {
		return BacktestReport{}, err
	}
	var report BacktestReport
	var took, reference []time.Duration
	for round := range opt.Rounds {
		start := time.Now()
		if _, err := d.ask(ctx, database, "history_scan", "{{from}}", from.Format(clickHouseTime), "{{to}}", to.Format(clickHouseTime)); err != nil {
			return BacktestReport{}, err
		}
		reference = append(reference, time.Since(start))
		start = time.Now()
		played, err := pipeline.PlayHistory(ctx, cfg, rules, playback.Options{From: from, To: to}, zap.NewNop())
		if err != nil {
			return BacktestReport{}, err
		}
		took = append(took, time.Since(start))
		report.Messages, report.Incidents = played.Messages, len(played.Incidents)
		opt.Progress(fmt.Sprintf("round %d/%d: played in %s, read in %s", round+1, opt.Rounds, took[round].Round(time.Millisecond), reference[round].Round(time.Millisecond)))
	}
	slices.Sort(took)
	slices.Sort(reference)
	report.Took, report.Reference = took[len(took)/2], reference[len(reference)/2]
	if want := backtestDays * backtestRules; report.Incidents < want { // a spike a day, seen by each rule
		return report, fmt.Errorf("play history: %d incidents, want at least %d", report.Incidents, want)
	}
	return report, nil
}
