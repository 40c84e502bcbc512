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

// BacktestReport is the rounds that took the median time.
type BacktestReport struct {
	Stream BacktestCost // rules that are judged from the stream
	SQL    BacktestCost // rules that are judged by SQL
}

// BacktestCost is what it took to play the history to all rules of one engine.
type BacktestCost struct {
	Messages  int64
	Incidents int // of all rules together
	Took, CPU time.Duration
	// Reference is the time to read the same counts and throw them away; for rules by SQL, to
	// count all events once.
	Reference time.Duration
}

// Backtest plays 30 days of mail to 50 variants of the built-in rule, and to 50 rules by
// SQL, each beside a query that only reads. The calling program must be able to be the
// engine's child.
func Backtest(ctx context.Context, opt Options) (BacktestReport, error) {
	opt = opt.withDefaults()
	d, stop, err := newDrain(ctx, opt)
	if err != nil {
		return BacktestReport{}, err
	}
	defer stop()
	var report BacktestReport
	if report.Stream, err = d.backtestStream(ctx); err != nil {
		return report, err
	}
	report.SQL, err = d.backtestSQL(ctx)
	return report, err
}

// backtestStream plays variants of the built-in rule.
func (d *drain) backtestStream(ctx context.Context) (cost BacktestCost, err error) {
	const database = "history"
	cfg, err := d.config(database)
	if err == nil {
		err = pipeline.MigrateTables(ctx, cfg, zap.NewNop())
	}
	if err != nil {
		return cost, err
	}
	to := time.Now().UTC().Truncate(24 * time.Hour)
	from := to.AddDate(0, 0, -backtestDays)
	for day := range backtestDays {
		if _, err := d.ask(ctx, database, "history", "{{day}}", fmt.Sprint(day), "{{from}}", from.AddDate(0, 0, day).Format(clickHouseTime),
			"{{events}}", fmt.Sprint(backtestDayEvents)); err != nil {
			return cost, err
		}
	}
	rules, err := playback.ReadRules("the benchmark's rules", []byte("rules: [{name: block_spike, min_volume: 5, resolve_below: 0.2}]"))
	if err == nil {
		rules, err = rules.Sweep(fmt.Sprintf("threshold=0.25:%.2f:0.01", 0.25+0.01*(backtestRules-1)))
	}
	if err != nil {
		return cost, err
	}
	cost, err = d.backtest(ctx, cfg, rules, playback.Options{From: from, To: to}, "history_scan")
	if want := backtestDays * backtestRules; err == nil && cost.Incidents < want { // a spike a day, seen by each rule
		return cost, fmt.Errorf("play history: %d incidents, want at least %d", cost.Incidents, want)
	}
	return cost, err
}

// backtestSQL plays the rules of Slow.
func (d *drain) backtestSQL(ctx context.Context) (cost BacktestCost, err error) {
	const database = "history_sql"
	cfg, err := d.config(database)
	if err == nil {
		err = pipeline.MigrateTables(ctx, cfg, zap.NewNop())
	}
	if err != nil {
		return cost, err
	}
	last, err := d.weeks(ctx, database)
	if err != nil {
		return cost, err
	}
	rules, err := playback.ReadRules("the benchmark's rules", []byte("rules:\n"+slowRuleLines()))
	if err != nil {
		return cost, err
	}
	to := last.AddDate(0, 0, 1)
	return d.backtest(ctx, cfg, rules, playback.Options{From: to.AddDate(0, 0, -backtestDays), To: to}, "weeks_scan")
}

// backtest plays rounds and takes the median.
func (d *drain) backtest(ctx context.Context, cfg pipeline.Config, rules playback.Rules, opt playback.Options, scan string) (BacktestCost, error) {
	var costs []BacktestCost
	for round := range d.opt.Rounds {
		start := time.Now()
		if _, err := d.ask(ctx, cfg.ClickHouse.Database, scan, "{{from}}", opt.From.Format(clickHouseTime), "{{to}}", opt.To.Format(clickHouseTime)); err != nil {
			return BacktestCost{}, err
		}
		c := BacktestCost{Reference: time.Since(start)}
		start, used := time.Now(), d.processorTime()
		played, err := pipeline.PlayHistory(ctx, cfg, rules, opt, zap.NewNop())
		if err != nil {
			return c, err
		}
		c.Took, c.CPU, c.Messages, c.Incidents = time.Since(start), d.processorTime()-used, played.Messages, len(played.Incidents)
		d.opt.Progress(fmt.Sprintf("round %d/%d: %d incidents played in %s (%s of processor), read in %s", round+1, d.opt.Rounds, c.Incidents,
			c.Took.Round(time.Millisecond), c.CPU.Round(time.Millisecond), c.Reference.Round(time.Millisecond)))
		costs = append(costs, c)
	}
	slices.SortFunc(costs, func(a, b BacktestCost) int { return int(a.Took - b.Took) })
	return costs[len(costs)/2], nil
}
